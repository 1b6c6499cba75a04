"""What time buys: ``python bench/equal_time.py`` trains, prints a table and writes it to ``bench/EQUAL_TIME.md``.

Both models of the thesis with the steps of Algorithm 1, with cheaper ones, and against a discriminator that sees
windows whitened, for the same time of a core or half of it, with three seeds on two recordings, against test windows.
``python bench/equal_time.py full`` does so with the steps of ``params/full.yaml``, of today and before, and writes
``bench/EQUAL_TIME_FULL.md``. Rows are kept in ``results/equal_time`` as they come, so that it goes on where it was
stopped; a second argument takes one recording alone. It takes hours of a core, and is not part of ``make bench``.
"""

import json
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from preprocessing import machine

from meagan_lib.evaluation import metrics
from meagan_lib.experiments import benchmark
from meagan_lib.experiments.fitting import training_data
from meagan_lib.recordings import SimulationConfig, open_recording
from meagan_lib.training.trainer import Trainer
from meagan_lib.windows import DetectionConfig, WindowConfig, cut_windows
from meagan_lib.windows.imported import open_windows
from meagan_lib.windows.normalisation import Standardiser, fit_normalisation
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow.execution import RESULTS

BENCH, KEPT = Path(__file__).parent, RESULTS / "equal_time"
OLD = {"batch_size": 128}
CHEAP = {"batch_size": 128, "one_batch": True, "penalty_every": 4}
SMALL = CHEAP | {"batch_size": 64}
WHITE = SMALL | {"discriminator": "whitened"}
CASES = {
    "Transformer-GAN, Algorithm 1": ("transformer_gan", OLD, 4500, 0.4),
    "half the steps": ("transformer_gan", OLD, 2250, 0.4),
    "one batch for both players, a penalty every fourth step": ("transformer_gan", CHEAP, 3000, 0.4),
    "and batches of 64": ("transformer_gan", SMALL, 5000, 0.4),
    "Transformer-GAN, all four": ("transformer_gan", SMALL, 6500, 0.8),
    "the same, a penalty every second step": ("transformer_gan", SMALL | {"penalty_every": 2}, 6200, 0.8),
    "VAE-GAN, Algorithm 1": ("vae_gan", OLD | {"vae_steps": 600, "feature_weight": 0.01}, 3000, 0.4),
    "VAE-GAN, all four": ("vae_gan", SMALL | {"vae_steps": 750, "feature_weight": 0.01}, 3750, 0.8),
    "Transformer-GAN, whitened": ("transformer_gan", WHITE, 5200, 0.8),
    "Transformer-GAN, whitened, all the time": ("transformer_gan", WHITE, 10_000, 0.8),
    "VAE-GAN, whitened": ("vae_gan", WHITE | {"vae_steps": 900, "feature_weight": 0.01}, 3400, 0.8),
    "VAE-GAN, whitened, all the time": ("vae_gan", WHITE | {"vae_steps": 1700, "feature_weight": 0.01}, 6500, 0.8),
}
"""Model, options, steps, and ms of a patch."""
ONCE = ("half the steps", "one batch for both players, a penalty every fourth step", "and batches of 64")
"""Tried with one seed."""
FULL = {
    "Transformer-GAN, Algorithm 1": ("transformer_gan", OLD | {"ema": 0.999}, 20_000, 0.4),
    "Transformer-GAN, as it is": ("transformer_gan", WHITE | {"ema": 0.9993}, 26_800, 0.8),
    "VAE-GAN, Algorithm 1": ("vae_gan", OLD | {"ema": 0.999, "vae_steps": 3000, "feature_weight": 0.01}, 12_000, 0.4),
    "VAE-GAN, as it is": ("vae_gan", WHITE | {"ema": 0.9993, "vae_steps": 3200, "feature_weight": 0.01}, 17_000, 0.8),
}
"""The same, at the length of ``full``: as it was when its trainings followed Algorithm 1, and as it is."""
LONGER = {
    "simulated": {"transformer_gan": 976 / 553, "vae_gan": 835 / 494},
    "retina_hdmea": {"transformer_gan": 684 / 464, "vae_gan": 590 / 427},
}
"""Seconds of Algorithm 1 over those of ``full`` as it is, as measured first: a later measurement changes no steps."""
FULL |= {
    f"{name}, {words}": (*FULL[f"{name}, as it is"], share)
    for words, share in {"in half the time": 0.5, "all the time": 1.0}.items()
    for name in ("Transformer-GAN", "VAE-GAN")
}
"""And as it is, in a share of the seconds of Algorithm 1."""
METRICS = {
    "c2st_auc": "AUC of trees",
    "c2st_cnn_auc": "of a CNN",
    "amplitude_ks": "amplitude KS",
    "frechet_distance": "Fréchet",
    "log_spectral_distance": "log-spectral",
    "coverage": "coverage",
}


def windows_of(recording: str, duration_s: float = 60.0) -> SpikeWindows:
    """Return the windows of a simulation as long as that of the run ``quick``, or of a recording of windows."""
    if recording != "simulated":
        return open_windows(recording)
    source = open_recording(recording, simulation=SimulationConfig(duration_s=duration_s))
    return cut_windows(source, DetectionConfig(threshold_mad=5.0), WindowConfig())


def judged(windows: SpikeWindows, trainer: Trainer, seed: int) -> dict[str, object]:
    """Train to the end, and score against as many test windows as there are, at most 2600."""
    before = time.process_time()
    trainer.train()
    seconds, train = time.process_time() - before, windows.of(Split.TRAIN)
    scale, normaliser = Standardiser.fit(train), fit_normalisation("z_score", train)
    test = np.random.default_rng(seed).permutation(scale.transform(windows.of(Split.TEST)))[:2600]
    generated = scale.transform(normaliser.inverse(trainer.sample(len(test), seed)))
    context = metrics.Context.fit(scale.transform(train), windows.sampling_rate_hz, seed=seed)
    return {"seconds": round(seconds, 1)} | metrics.values(test, generated, context, METRICS)


def in_time(recording: str, case: tuple) -> tuple:
    """Return a case whose steps, and the weights that it averages, are those of its share of the time."""
    name, options, steps, patch_ms, *share = case
    longer = share[0] * LONGER[recording][name] if share else 1.0
    lengths = {"ema": 1 - (1 - options["ema"]) / longer} if share else {}
    if "vae_steps" in options:
        lengths["vae_steps"] = round(options["vae_steps"] * longer)
    return name, options | lengths, round(steps * longer), patch_ms


def trained(windows: SpikeWindows, case: tuple, seed: int, validations: int) -> dict[str, object]:
    """Train and judge one case."""
    name, options, steps, patch_ms = case
    model, reach = benchmark.model_class(name), 9 if name == "transformer_gan" else 6
    own = {"steps": steps, "ema": round(1 - reach / steps, 5), "validate_every": steps // validations}
    config = model.configure(seed, patch=windows.samples_of(patch_ms), options=own | options)
    return judged(windows, model.trainer(config, training_data(windows, seed=seed)), seed)


def rows(recordings: tuple[str, ...], cases: dict[str, tuple], full: bool) -> pd.DataFrame:
    """Train what has not been trained, and return all rows."""
    kept = KEPT / "full" if full else KEPT
    kept.mkdir(parents=True, exist_ok=True)
    for recording in recordings:
        windows = windows_of(recording, 180.0 if full else 60.0)
        for seed, case in product((0, 1, 2), cases):
            path = kept / f"{recording}-{list(cases).index(case)}-{seed}.json"
            if (seed == 0 or case not in ONCE) and not path.is_file():
                row = trained(windows, in_time(recording, cases[case]), seed, 20 if full else 8)
                path.write_text(json.dumps({"recording": recording, "case": case, "seed": seed} | row))
                print(path.name, row, flush=True)
    return pd.DataFrame([json.loads(path.read_text()) for path in sorted(kept.glob("*.json"))])


def text(found: pd.DataFrame, cases: list[str], title: str) -> str:
    """Return the page: means over the seeds, and the least and largest AUC, in the order of the ``cases``."""
    lines = [
        f"# {title}",
        "",
        f"{machine()}, torch {torch.__version__}, one thread. Windows as they are drawn, no gate, against up to "
        "2600 test windows. Means over the seeds, and the least and largest AUC of trees; seconds are those of a core.",
    ]
    lines += ["", "| | seeds | seconds | " + " | ".join(METRICS.values()) + " |", "|---" * (3 + len(METRICS)) + "|"]
    found = found.sort_values("case", key=lambda case: case.map(cases.index), kind="stable")
    for (recording, case), its in sorted(found.groupby(["recording", "case"], sort=False), key=lambda row: row[0][0]):
        auc, *others = (its[name].mean() for name in METRICS)
        least, largest = its["c2st_auc"].min(), its["c2st_auc"].max()
        spread = f"{auc:.3f}" + f" ({least:.3f} to {largest:.3f})" * (len(its) > 1)
        cells = [f"{recording}: {case}", len(its), f"{its['seconds'].mean():.0f}", spread]
        lines.append(f"| {' | '.join(map(str, cells + [f'{value:.3f}' for value in others]))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    full = "full" in sys.argv[1:]
    cases = FULL if full else CASES
    picked = tuple(word for word in sys.argv[1:] if word != "full") or ("simulated", "retina_hdmea")
    page = text(rows(picked, cases, full), list(cases), "What time buys" + full * ", in full")
    print(page)
    (BENCH / f"EQUAL_TIME{full * '_FULL'}.md").write_text(page)
