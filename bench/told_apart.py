"""Can painted spikes be told from real ones, of as many as there are? ``make bench`` writes ``bench/TOLD_APART.md``.

As in section 6.3 of notebook 6, with longer simulations and more spikes on each side than a quick run has: of 400 the
intervals are too wide to tell painters from one another. Three seeds: of the painter, what it paints, and the judges.
"""

from pathlib import Path

import pandas as pd
import torch
from preprocessing import machine

from meagan_lib.annotated import Chip, fit_painter, footprint_windows, judge
from meagan_lib.recordings import SimulationConfig, ground_truth, open_recording
from meagan_lib.windows import DetectionConfig

BENCH = Path(__file__).parent
SIMULATIONS = {
    "simulation, 240 s": SimulationConfig(seed=0, duration_s=240.0),
    "another, with more noise": SimulationConfig(seed=7, duration_s=240.0, white_noise_uv=5.0, amplitude_cv=0.2),
}
RECORDINGS = (*SIMULATIONS, "locust")
PAINTERS = {"painting_gan": {"steps": 300}, "gaussian_spikes": {}, "copy_paste": {}, "template": {}}
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
    """Return the rows of the table: a painter by one classifier on one recording, ranges over the seeds."""
    rows = []
    for about, its in scores.groupby(["recording", "n", "painter", "classifier"], sort=False):
        cells = [*about, f"{its['auc'].min():.3f} to {its['auc'].max():.3f}", "", "", ""]
        if its["q"].notna().any():
            sure = its[its["q"] < 0.05]["below"]
            cells[-3] = f"{its['below'].min():+.3f} to {its['below'].max():+.3f}"
            cells[-2:] = (sure > 0).sum(), (sure < 0).sum()
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return rows


def text(scores: pd.DataFrame) -> str:
    """Return the page."""
    seeds, steps = ", ".join(map(str, SEEDS)), PAINTERS["painting_gan"]["steps"]
    return f"""# Painted spikes, told from real ones

{machine()}, torch {torch.__version__}. Real spikes of the test time against as many that were painted into background \
of the test time, both as detection cuts them (notebook 6, section 6.3). AUC of two classifiers, from the least to the \
largest over seeds {seeds}; .5 is ideal. Below: how much less a painter is told than templates, and in how many seeds \
that is significant (q < .05 over the painters and classifiers of a seed): it is told less, or more. The painting GAN \
has {steps} steps.

| recording | spikes a side | painter | classifier | AUC | below templates | less | more |
|---|---|---|---|---|---|---|---|
{chr(10).join(lines(scores))}
"""


if __name__ == "__main__":
    torch.set_num_threads(1)
    page = text(pd.concat([judged(recording) for recording in RECORDINGS]))
    print(page)
    (BENCH / "TOLD_APART.md").write_text(page)
