"""What the playground of the book is given: its library and engine as text, and windows of the run for its spikes."""

from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from meagan_lib import ROOT, plots
from meagan_lib.book.scripts import as_text, write_script
from meagan_lib.windows import Standardiser
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow.execution import RESULTS

LIBRARY = ROOT / "book" / "vendor" / "jax-js" / "jax.min.js"
ENGINE = ROOT / "book" / "static" / "playground-engine.js"
SHOWN = {"train": 1500, "test": 512, "synthetic": 200}
"""Windows that go along, at most."""
STEPS = 1000
"""Steps of the integers that windows become, for one standard deviation of the training windows."""


def spikes(run: str, seed: int = 0) -> dict | None:
    """Return windows of a run for the game of spikes; None where it has none or too few.

    Windows (n, samples) are of the own electrode, standardised by the training windows and kept as int16, base64; the
    generator learns from ``train``, measures are against ``test``; ``synthetic`` are the Transformer-GAN's, where the
    run has them. ``components`` (2 · samples) and ``centre`` (samples,) span the plane of the leading principal
    components of the training windows; ``plane`` is what is shown of it, (2, 2) from … to, ``range`` the voltages.
    """
    path = RESULTS / run / "windows.h5"
    if not path.is_file():
        return None
    windows, rng = SpikeWindows.load(path), np.random.default_rng(seed)
    found = {name: windows.of(split) for name, split in (("train", Split.TRAIN), ("test", Split.TEST))}
    if any(len(its) < 64 for its in found.values()):
        return None
    made = RESULTS / run / "transformer_gan" / "synthetic.h5"
    if made.is_file():
        synthetic = SpikeWindows.load(made)
        found["synthetic"] = synthetic.windows[:, : windows.n_samples]
    scale = Standardiser.fit(found["train"])
    zero, one = (float(scale.inverse(np.full((1, windows.n_samples), x, np.float32))[0, 0]) for x in (0, 1))
    some = {name: its[rng.permutation(len(its))[: SHOWN[name]]] for name, its in found.items()}
    scaled = {name: scale.transform(its) for name, its in some.items()}
    plane = PCA(2, svd_solver="full").fit(scaled["train"])
    low, high = np.quantile(some["test"], [0.0005, 0.9995])
    kept = {name: np.rint(np.clip(its * STEPS, -32767, 32767)).astype("<i2") for name, its in scaled.items()}
    return {name: as_text(its.tobytes()) for name, its in kept.items()} | {
        "n": windows.n_samples,
        "time_ms": windows.time_ms.round(4).tolist(),
        "unit": plots.UNITS[windows.amplitude_unit],
        "mean": zero,
        "scale": one - zero,
        "components": plane.components_.ravel().round(5).tolist(),
        "centre": plane.mean_.round(5).tolist(),
        "plane": np.quantile(plane.transform(scaled["test"]), [0.005, 0.995], axis=0).T.round(3).tolist(),
        "range": [float(low), float(high)],
    }


def export(run: str, path: Path) -> None:
    """Write what the page of the playground needs as the script ``path``."""
    content = {"library": LIBRARY.read_text(), "engine": ENGINE.read_text(), "spikes": spikes(run)}
    write_script(path, "meaganPlayground", content)
