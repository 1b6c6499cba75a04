"""The tidy table of a study: which numbers are taken of a recording, and what its columns mean."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from meagan_lib import InputError
from meagan_lib.network import groups
from meagan_lib.network.bursts import electrode_bursts, summary
from meagan_lib.network.connectivity import functional_connectivity
from meagan_lib.network.spike_trains import SpikeTrains
from meagan_lib.network.topology import measure_topology
from meagan_lib.network.treatment import FEATURES, culture_features


class Column(NamedTuple):
    """A column of a table: its name in words, its unit and what it is."""

    words: str
    unit: str
    meaning: str


KEYS = ("label", "recording", "culture", "day", "condition", "replicate")
"""Columns that say which recording it is."""
FACTORS = {
    "label": Column("label", "", "name of the recording within the study, of its folders and figures"),
    "recording": Column("recording", "", "file, name of the catalogue, or simulated"),
    "culture": Column("culture", "", "what was grown by itself: one culture is one sample"),
    "day": Column("day", "days", "age of the culture when it was recorded"),
    "condition": Column("condition", "", "what was done to it"),
    "replicate": Column("replicate", "", "number of the recording of that culture on that day"),
    "failed": Column("failed", "", "why the recording has no numbers; empty where it has"),
}
DESCRIBED = {
    "duration_s": Column("length", "s", "what was recorded, without gaps"),
    "electrodes": Column("electrodes", "", "those that are analysed: they fire often enough, echoes left out"),
    "groups": Column("groups", "", "groups of electrodes that most indices prefer; empty below ten electrodes"),
}
"""Numbers that describe a recording and are not tested."""
MEASURES = {
    "log_rate": Column("rate", "log₁₀ Hz", "median over electrodes of the logarithm of their firing rate"),
    "cv": Column("CV", "", "median coefficient of variation of the intervals: 1 for a Poisson train"),
    "cv2": Column("CV2", "", "the same of neighbouring intervals, which a slow drift does not raise"),
    "burst_rate": Column("bursts of electrodes", "per minute", "bursts of an electrode, mean over electrodes"),
    "burst_index": Column("spikes in bursts", "fraction", "of all spikes, those in a burst of their electrode"),
    "network_rate": Column("network bursts", "per minute", "bursts of the whole network"),
    "network_index": Column("spikes in network bursts", "fraction", "of all spikes, those in a network burst"),
    "synchrony": Column("synchrony", "STTC", "mean spike time tiling coefficient of all pairs"),
    "connected": Column("connected pairs", "fraction", "pairs that fire together beyond jittered trains"),
    "clustering": Column("clustering", "", "of the graph of connected electrodes"),
    "modularity": Column("modularity", "", "of its communities"),
    "silhouette": Column("groups apart", "silhouette", "how far apart groups of electrodes are; empty below ten"),
}
"""Network measures, which are compared between conditions."""
SCORES = {
    "c2st_auc": Column("C2ST AUC", "", "how well trees tell generated from held-out windows: 0.5 is chance"),
    "coverage": Column("coverage", "", "fraction of held-out windows with a generated one near"),
    "frechet_distance": Column("Fréchet distance", "", "between Gaussians of principal components"),
    "log_spectral_distance": Column("spectral distance", "log", "between mean spectra"),
    "passes": Column("passes the gate", "fraction", "generated windows that detection and cutting would accept"),
}
"""Scores of a generator on a recording, in ``study.csv`` as ``<model> <score>``, mean over seeds."""
OF_SCORES = FACTORS | {
    "model": Column("model", "", "the generator, trained on this recording alone"),
    "seed": Column("seed", "", "of its weights and draws"),
    "score": Column("score", "", "which: the names above"),
    "value": Column("value", "", "of the generated windows against held-out ones"),
    "floor": Column("floor", "", "the same of two halves of the held-out windows: what sampling alone does"),
    "reach": Column("reach", "", "the same of training windows: what a perfect copy of them would get"),
}
"""Columns of ``study_scores.csv``, a line for each recording, model, seed and score."""
COLUMNS = FACTORS | DESCRIBED | MEASURES
"""Columns of ``study.csv``, a line for each recording; after them come the ``SCORES`` of each model."""

DECLARED = {
    "echo_um": 100.0,
    "least_rate_hz": 0.2,
    "most_electrodes": 500,
    "burst_spikes": 4,
    "sttc_ms": 50.0,
    "jitter_ms": 2000.0,
    "n_surrogates": 100,
    "alpha": 0.05,
    "most_groups": 6,
    "fuzziness": 2.0,
    "seed": 0,
}
"""Parameters of :func:`measure`: those of notebook 05, by the same names."""


def measure(trains: SpikeTrains, options: Mapping[str, object]) -> dict[str, float]:
    """Measure the network of a recording: ``DESCRIBED`` and ``MEASURES`` by name.

    ``options``: as ``DECLARED``.

    ``InputError``: fewer than two electrodes that fire often enough.
    """
    o = DECLARED | dict(options)
    trains = trains.without_echoes(o["echo_um"]).busiest(o["least_rate_hz"], o["most_electrodes"])
    within, least, seed = o["sttc_ms"], o["burst_spikes"], o["seed"]
    found = dict(zip(FEATURES, map(float, culture_features(trains, within, least))))
    found["burst_rate"] = summary(electrode_bursts(trains, least), trains)["per_minute"]
    links = functional_connectivity(trains, within, o["jitter_ms"], o["n_surrogates"], o["alpha"], seed).adjacency
    graph = measure_topology(links, 0, seed).measures
    found["connected"] = float(links[np.triu_indices(len(links), 1)].mean())
    found |= {name: float(graph[name][0]) for name in ("clustering", "modularity")}
    found |= {"duration_s": trains.duration_s, "electrodes": trains.n_electrodes}
    found |= _groups(trains, within, least, o["most_groups"], o["fuzziness"], seed)
    return {name: found[name] for name in (*DESCRIBED, *MEASURES)}


def _groups(trains: SpikeTrains, within: float, least: int, most: int, fuzziness: float, seed: int) -> dict[str, float]:
    """Group the electrodes by their spike trains; NaN where there are too few of them."""
    try:
        rows = groups.feature_table(trains, 1, within, least).values
        choice = groups.choose_groups(rows, most, fuzziness, seed)
    except InputError:
        return {"groups": np.nan, "silhouette": np.nan}
    n = len(choice.groups.centre)
    return {"groups": n, "silhouette": float(choice.values["silhouette"][n - choice.n_groups[0]])}


def measure_all(factors: pd.DataFrame, recordings: Sequence[SpikeTrains], options: Mapping[str, object]):
    """Put the measures of recordings beside their ``factors``, a row each: the tidy table without a run."""
    rows = [measure(trains, options) for trains in recordings]
    return pd.concat([factors.reset_index(drop=True), pd.DataFrame(rows)], axis=1)


def described(columns: Mapping[str, Column]) -> pd.DataFrame:
    """Tabulate what columns mean: a row each."""
    rows = {name: [column.meaning, column.unit] for name, column in columns.items()}
    return pd.DataFrame.from_dict(rows, "index", columns=["meaning", "unit"])
