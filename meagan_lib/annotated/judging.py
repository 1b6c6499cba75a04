"""Can painted spikes be told from real ones in their background? Both as detection cuts them, of test time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from meagan_lib import InputError
from meagan_lib.annotated.chip import Chip
from meagan_lib.annotated.painters import Painter
from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.metrics import METRICS, Metric
from meagan_lib.evaluation.scores import difference, estimate, prepared
from meagan_lib.evaluation.statistics import SIGNIFICANT, q_values
from meagan_lib.windows.spike_windows import Split

JUDGES = ("c2st_auc", "c2st_cnn_auc")
"""Two classifiers, for neither sees everything."""
REAL = "real, other half"
REFERENCE = "template"
"""What all other painters are compared with, where it is among them."""
SPARE = 3
"""Painted spikes over those that are wanted: detection does not accept all."""
FEWEST = 20
"""Painted spikes without which nothing can be judged."""
DEPTHS = 10
"""Bins of depth, with as many training footprints each."""


@dataclass(frozen=True)
class Judgement:
    """What was compared: footprints (·, electrodes, samples) by source, and the table of scores."""

    real: np.ndarray
    painted: dict[str, np.ndarray]
    scores: pd.DataFrame

    def verdict(self) -> str:
        """Say in words, by the scores, which painters hardly differ from real spikes, and which less than templates.

        Less, where it is so by one classifier and the contrary by none, by q over all painters and classifiers.
        """
        its = self.scores[self.scores["painter"] != REAL]
        worst = its.groupby("painter")["auc"].max().sort_values(kind="stable")
        low = its.groupby("painter")["low"].max()
        hardly = [name for name in worst.index if low[name] <= 0.5]
        these, all_ = "Not significantly distinguished from real spikes", "All are distinguished from real spikes"
        near = f"{these}: {', '.join(hardly)}" if hardly else all_
        auc = ", ".join(f"{name} {value:.3f}" for name, value in worst.items())
        said = f"{near}. The larger of the two AUC: {auc}."
        if REFERENCE not in worst.index:
            return said
        sure = np.sign(its["below"]).where(its["q"] < SIGNIFICANT, 0).groupby(its["painter"]).agg(["min", "max"])
        names = [name for name in worst.index if sure["min"][name] >= 0 and sure["max"][name] > 0]
        return f"{said} Harder to distinguish than {REFERENCE} (q < {SIGNIFICANT:g}): {', '.join(names) or 'none'}."


def painted_footprints(chip: Chip, painter: Painter, n: int, split: Split, seed: int) -> tuple[np.ndarray, ...]:
    """Paint spikes into the background of a split; return ``n`` accepted ones, their sources, and how many are.

    Kinds and electrodes are those of the training footprints, as often, and of what is accepted as many are kept of
    each depth as there are among these: spikes near the threshold are lost and found by chance, and whoever draws them
    as they were found has too few.
    """
    places = chip.places(split, round(SPARE * n), seed)
    pieces = painter.paint(places.pieces, chip.observation.slack, places.kind, seed=seed)
    windows, kept = chip.observation.windows(pieces, chip.noise[places.channel])
    if len(windows) < FEWEST:
        raise InputError(
            f"detection accepts {len(windows)} of {len(pieces)} painted spikes, too few to judge: fit the painter to "
            f"more spikes, or train it longer"
        )
    middle = chip.observation.half_window
    own = -chip.footprints[:, 0, middle] / chip.noise[chip.channel]
    edges = np.quantile(own, np.linspace(0, 1, DEPTHS + 1)[1:-1])
    bin_of = np.searchsorted(edges, -windows[:, 0, middle] / chip.noise[places.channel[kept]])
    rows = np.sort(np.concatenate([np.flatnonzero(bin_of == b)[: -(-n // DEPTHS)] for b in range(DEPTHS)]))
    return windows[rows], painter.sources(places.kind, seed)[kept][rows], len(kept) / len(pieces)


def judge(chip: Chip, painters: Mapping[str, Painter], n: int = 600, seed: int = 0, n_bootstrap: int = 50) -> Judgement:
    """Score painters against real spikes of test time: the AUC of two classifiers with 95 % intervals.

    ``below`` … is how much less a painter is told than templates are, the same real spikes drawn for both; ``q`` of all
    these differences.
    At most ``n`` footprints on each side. The floor, ``REAL``, is one random half of the real ones against the other.
    Copies of one cut footprint are never on both sides of a fold.
    """
    rng = np.random.default_rng(seed)
    real = chip.real(Split.TEST)[0]
    real = real[rng.permutation(len(real))[:n]]
    scale = float(chip.footprints.std(dtype=np.float64))
    flat = (chip.footprints / scale).reshape(len(chip.footprints), -1)
    context = Context.fit(flat, chip.windows.sampling_rate_hz, seed=seed)
    half = len(real) // 2
    sets: dict[str, tuple[np.ndarray, Sequence]] = {REAL: (real[half:], np.arange(len(real) - half))}
    passes = {}
    for name, painter in painters.items():
        painted, sources, passes[name] = painted_footprints(chip, painter, len(real), Split.TEST, seed)
        sets[name] = painted, sources
    rows, statistics = [], {}
    for name, (painted, sources) in sets.items():
        reference = real[:half] if name == REAL else real
        events = (np.arange(len(reference)), len(reference) + np.asarray(sources))
        for judge_name in JUDGES:
            metric = METRICS[judge_name]
            statistic = prepared(metric, reference / scale, painted / scale, context, events)
            value, (low, high) = estimate(metric, statistic, events, seed, n_bootstrap)
            statistics[name, metric] = statistic, events
            rows.append((name, metric.label, float(value), float(low), float(high), passes.get(name, 1.0)))
    scores = pd.DataFrame(rows, columns=["painter", "classifier", "auc", "low", "high", "passes"])
    apart = [_below(metric, statistics, name, seed, n_bootstrap) for name, metric in statistics]
    scores[["below", "below_low", "below_high", "p"]] = apart
    scores["q"] = q_values(scores["p"])
    return Judgement(real, {name: painted for name, (painted, _) in sets.items() if name != REAL}, scores)


def _below(metric: Metric, statistics: Mapping, name: str, seed: int, n_bootstrap: int) -> tuple[float, ...]:
    """Return how much less a painter is told than templates, the interval and p; NaN where that cannot be asked."""
    if name in (REAL, REFERENCE) or (REFERENCE, metric) not in statistics:
        return (np.nan,) * 4
    (first, (real, b)), (second, (_, c)) = statistics[REFERENCE, metric], statistics[name, metric]
    value, ends, p = difference(metric, (first, second), (real, b, c), seed, n_bootstrap)
    return value, *ends, p
