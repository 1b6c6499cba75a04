"""Scripts that hold data as text: a page opened from a folder may run a script beside it, but not read a file."""

import base64
import json
from pathlib import Path

from meagan_lib import ROOT
from meagan_lib.workflow.files import write_if_changed

VENDOR = ROOT / "book" / "vendor" / "onnxruntime"
RUNTIME = {"module": "ort.wasm.bundle.min.mjs", "wasm": "ort-wasm-simd-threaded.wasm.gz"}


def as_text(content: bytes) -> str:
    """Return bytes as base64 text."""
    return base64.b64encode(content).decode()


def write_script(path: Path, name: str, content: dict) -> None:
    """Write ``content`` as the script ``path``, which gives it to a page as ``window.name``."""
    write_if_changed(path, f"window.{name} = {json.dumps(content)};\n")


def export_runtime(path: Path) -> None:
    """Write onnxruntime-web as the script ``path``: what computes networks in the reader's own browser."""
    write_script(path, "meaganRuntime", {name: as_text((VENDOR / file).read_bytes()) for name, file in RUNTIME.items()})
