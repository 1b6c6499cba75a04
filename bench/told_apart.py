"""Can painted spikes be told from real ones, of as many as there are? ``make bench`` writes ``bench/TOLD_APART.md``.

As in section 6.3 of notebook 6, with longer simulations and more spikes on each side than a quick run has: of 400 the
intervals are too wide to tell painters from one another. Three seeds: of the painter, what it paints, and the judges.
"""

from pathlib import Path

import pandas as pd
import torch
from preprocessing import machine

from meagan_lib.annotated import Chip, fit_painter, footprint_windows, judge
from meagan_lib.evaluation import SIGNIFICANT
from meagan_lib.evaluation.metrics import METRICS
from meagan_lib.recordings import SimulationConfig, ground_truth, open_recording
from meagan_lib.windows import DetectionConfig

BENCH = Path(__file__).parent
SIMULATIONS = {
    "simulation of 240 s": SimulationConfig(seed=0, duration_s=240.0),
    "noisier simulation of 240 s": SimulationConfig(seed=7, duration_s=240.0, white_noise_uv=5.0, amplitude_cv=0.2),
}
RECORDINGS = (*SIMULATIONS, "locust")
PAINTERS = {"painting_gan": {"steps": 300}, "gaussian_spikes": {}, "copy_paste": {}, "template": {}}
CLASSIFIERS = {"c2st_auc": "trees", "c2st_cnn_auc": "CNN"}
SEEDS, MOST, N_BOOTSTRAP = (0, 1, 2), 2000, 50
FOOTPRINT_UM = 50.0
"""As in notebook 6."""


def judged(recording: str) -> pd.DataFrame:
    """Judge every painter with every seed; return the scores, a row for each painter, classifier and seed."""
    its = SIMULATIONS.get(recording)
    source = open_recording("simulated" if its else recording, simulation=its or SimulationConfig())
    detection, truth = DetectionConfig(threshold_mad=5.0).within(source), ground_truth(source)
    chip = Chip.of(source, detection, footprint_windows(FOOTPRINT_UM), 0, truth=truth)
    found = []
    for seed in SEEDS:
        fitted = {name: fit_painter(name, chip, seed, **options) for name, options in PAINTERS.items()}
        judgement = judge(chip, fitted, MOST, seed, N_BOOTSTRAP)
        about = {"recording": recording, "seed": seed, "n": len(judgement.real)}
        found.append(judgement.scores.assign(**about))
    return pd.concat(found)


def lines(scores: pd.DataFrame) -> list[str]:
    """Return the table: a row for each painter on each recording, ranges and counts over the seeds."""
    shown = [f"{of}: {what}" for of in CLASSIFIERS.values() for what in ("AUC", "below templates", "less", "more")]
    rows = ["| painter | spikes a side | " + " | ".join(shown) + " |", "|---" * (2 + len(shown)) + "|"]
    for (recording, n, painter), its in scores.groupby(["recording", "n", "painter"], sort=False):
        cells = [f"{painter} on {recording}", n]
        for classifier in CLASSIFIERS:
            by = its[its["classifier"] == METRICS[classifier].label]
            apart, sure = by["below"].dropna(), by[by["q"] < SIGNIFICANT]["below"]
            cells.append(f"{by['auc'].min():.3f} to {by['auc'].max():.3f}")
            if apart.empty:
                cells += ["", "", ""]
            else:
                cells += [f"{apart.min():+.3f} to {apart.max():+.3f}", (sure > 0).sum(), (sure < 0).sum()]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return rows


def text(scores: pd.DataFrame) -> str:
    """Return the page."""
    seeds, steps = ", ".join(map(str, SEEDS)), PAINTERS["painting_gan"]["steps"]
    return f"""# Painted spikes, told from real ones

{machine()}, torch {torch.__version__}. Real spikes of the test time against as many that were painted into background \
of the test time, both as detection cuts them (notebook 6, section 6.3). AUC of two classifiers, from the least to the \
largest over seeds {seeds}; .5 is ideal. Below templates: how much less a painter is told than templates are; less, \
more: in how many seeds it is so significantly (q < {SIGNIFICANT:g} over the painters and classifiers of a seed). The \
painting GAN has {steps} steps.

{chr(10).join(lines(scores))}
"""


if __name__ == "__main__":
    torch.set_num_threads(1)
    page = text(pd.concat([judged(recording) for recording in RECORDINGS]))
    print(page)
    (BENCH / "TOLD_APART.md").write_text(page)
