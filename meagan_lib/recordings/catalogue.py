"""Public data by name: ``data/catalogue.yaml``, downloaded once and checked by their SHA-256."""

import os
from functools import cache
from pathlib import Path

import pooch
import yaml

from meagan_lib import ROOT, InputError
from meagan_lib.workflow.files import atomic, sha256

DATA = ROOT / "data"
"""Where simulated and downloaded files are kept."""
SIMULATED = {
    "simulated": {},
    "simulated_chip": {"patch": 64, "n_units": 200},
    "simulated_2": {"seed": 102},
    "simulated_3": {"seed": 103},
}
"""Simulated recordings, and what each changes in the config: a patch of the chip, all its electrodes, and two other
cultures on such a patch, with cells, spikes and noise of their own."""


def catalogue() -> dict[str, dict]:
    """Read the public recordings and photographs of ``data/catalogue.yaml``, by name."""
    return _parsed((DATA / "catalogue.yaml").read_text())


@cache
def _parsed(text: str) -> dict[str, dict]:
    """Parse the catalogue once: it takes longer than to open a recording."""
    return yaml.safe_load(text)


def files(name: str) -> dict[str, tuple[str, str]]:
    """Return the files of a catalogue entry: name, which may be a path → URL and SHA-256."""
    entry = catalogue()[name]
    if "sums" not in entry:
        named = {file.get("name") or file["url"].rsplit("/", 1)[1]: file for file in entry["files"]}
        return {its_name: (file["url"], file["sha256"]) for its_name, file in named.items()}
    lines = (line.split(maxsplit=1) for line in (DATA / entry["sums"]).read_text().splitlines())
    return {path: (f"{entry['base']}/{path}", digest) for digest, path in lines}


def source_hashes(name: str) -> set[str]:
    """Return by what hashes windows may know the files of a recording; older ones kept SHA-256."""
    own = catalogue()[name].get("files", [])
    return {file["sha256"] for file in own} | {f"blake3:{file['blake3']}" for file in own if "blake3" in file}


def fetch(name: str, data_dir: Path = DATA) -> list[Path]:
    """Download the files of a catalogue entry, once, and check their SHA-256; paths in the order of the entry.

    Nothing is downloaded that the folder in ``MEAGAN_DATA_MIRROR`` holds as ``<name>/<file>``.

    ``InputError``: neither network nor mirror, a file whose bytes are not those of the catalogue, or a full disk.
    """
    mirror = os.environ.get("MEAGAN_DATA_MIRROR")
    paths = []
    photographs = catalogue()[name].get("open") == "photographs"
    instead = "take photographs of your own" if photographs else "use the recording 'simulated'"
    for file_name, (url, digest) in files(name).items():
        if mirror and (source := Path(mirror) / name / file_name).is_file():
            if sha256(source) != digest:
                raise InputError(f"{source} is not the file of the catalogue (its SHA-256 differs): copy it again")
            paths.append(source)
            continue
        path = data_dir / name / file_name
        paths.append(path)
        if path.is_file() and sha256(path) == digest:
            continue
        try:
            with atomic(path) as temporary:  # pooch leaves a file that only its owner may read
                pooch.retrieve(url, known_hash=f"sha256:{digest}", fname=temporary.name, path=temporary.parent)
        except InputError:
            raise
        except ValueError as error:  # pooch: the hash differs
            raise InputError(
                f"{file_name} of '{name}' was changed at its source, its SHA-256 is not the catalogue's: take another "
                f"recording, or point MEAGAN_DATA_MIRROR to a folder with the earlier {name}/{file_name}"
            ) from error
        except OSError as error:  # no network, or a refusal; requests' errors are OSErrors
            raise InputError(
                f"'{name}' could not be downloaded ({type(error).__name__}): connect, or point MEAGAN_DATA_MIRROR to a "
                f"folder that holds {name}/{file_name}, or {instead}"
            ) from error
    return paths
