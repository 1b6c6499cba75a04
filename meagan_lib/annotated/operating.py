"""Operating curves: how many true spikes a detector finds at a given rate of false positives, by their depth."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from meagan_lib.annotated.detector import Detections
from meagan_lib.evaluation.statistics import wilson

DEPTHS = ((3, 4), (4, 5), (5, 6), (6, 8), (8, np.inf))
"""Depths of true spikes, in noise levels, that are counted apart."""
LEAST, FAINT = 3.0, 1.5
"""A true spike counts from ``LEAST`` noise levels on; what is found near one above ``FAINT`` is not false."""


@dataclass(frozen=True)
class TrueSpikes:
    """Where spikes are to be seen: a row for each spike and electrode on which it is deep enough, sorted by frame.

    ``frame`` int64, ``channel`` int32, ``unit`` int32, ``depth`` float32 in noise levels, and ``own`` bool: whether
    the unit is deepest on this electrode; each (n,).
    """

    frame: np.ndarray
    channel: np.ndarray
    unit: np.ndarray
    depth: np.ndarray
    own: np.ndarray

    @classmethod
    def of(
        cls,
        templates: np.ndarray,
        before: int,
        frame: np.ndarray,
        unit: np.ndarray,
        factor: np.ndarray,
        noise: np.ndarray,
        above: float = FAINT,
    ) -> Self:
        """Find where spikes of band-passed ``templates`` (units, samples, channels) are deeper than ``above``.

        ``before`` is the sample of a template that stands at a spike's ``frame`` (n,); ``factor`` (n,) is how large
        the spike of a ``unit`` (n,) is.
        """
        trough = templates.argmin(axis=1) - before  # (units, channels)
        depth = -templates.min(axis=1) / np.where(noise > 0, noise, np.inf)
        peak = (-templates.min(axis=1)).argmax(axis=1)
        spike, channel = np.nonzero(depth[unit] * factor[:, None] > above)
        its, order = unit[spike], np.argsort(frame[spike] + trough[unit[spike], channel], kind="stable")
        columns = (
            (frame[spike] + trough[its, channel]).astype(np.int64),
            channel.astype(np.int32),
            its.astype(np.int32),
            (depth[its, channel] * factor[spike]).astype(np.float32),
            channel == peak[its],
        )
        return cls(*(column[order] for column in columns))

    def within(self, spans: np.ndarray) -> Self:
        """Return those in ``spans`` (stretches, 2)."""
        rows = inside(self.frame, spans)
        return type(self)(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def inside(frame: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Return whether bool (n,) frames are in one of the ``spans`` (stretches, 2)."""
    return ((frame[:, None] >= spans[:, 0]) & (frame[:, None] < spans[:, 1])).any(axis=1)


@dataclass(frozen=True)
class OperatingCurve:
    """Scores of true spikes and of false positives; a threshold between them is an operating point.

    Attributes
    ----------
    score
        float32 (n,): highest score found near each true spike from ``LEAST`` noise levels on, −∞ for none.
    depth, own
        Depth (n,) of these spikes, and whether bool (n,) they are seen on their unit's own electrode.
    false
        float32 (m,), descending: scores of what was found near no true spike.
    exposure
        Seconds times electrodes in which false positives were counted.
    searched
        Seconds times electrodes in which true spikes were searched for; None: the same.
    """

    score: np.ndarray
    depth: np.ndarray
    own: np.ndarray
    false: np.ndarray
    exposure: float
    searched: float | None = None

    def threshold(self, rate: float) -> float:
        """Return the highest score that is refused, so that at most ``rate`` false positives a second are accepted."""
        n = int(rate * self.exposure)
        return float(self.false[n]) if n < len(self.false) else -np.inf

    def recall(self, rate: float, low: float = LEAST, high: float = np.inf, own: bool = False) -> tuple[int, int]:
        """Return how many true spikes of a depth are found at ``rate`` false positives, and how many there are."""
        asked = (self.depth >= low) & (self.depth < high) & (self.own | (not own))
        return int((self.score[asked] > self.threshold(rate)).sum()), int(asked.sum())

    def f1(self, rate: float) -> float:
        """Return 2 TP / (2 TP + FP + FN) over all true spikes at ``rate`` false positives."""
        hits, n = self.recall(rate)
        false = (self.false > self.threshold(rate)).sum() * (self.searched or self.exposure) / self.exposure
        return 2 * hits / max(hits + false + n, 1)

    def table(self, rates: tuple[float, ...]) -> pd.DataFrame:
        """Return a row for each rate, depth, and all electrodes or the own one: recall, its interval, f1, n."""
        rows = []
        for rate in rates:
            f1 = self.f1(rate)
            for where in ("all", "own"):
                for low, high in DEPTHS:
                    hits, n = self.recall(rate, low, high, where == "own")
                    ends = dict(zip(("low", "high"), wilson(hits, n)))
                    about = {"false_positive_rate": rate, "electrodes": where, "depth": depth_name(low, high)}
                    rows.append(about | {"recall": hits / n if n else np.nan, **ends, "n": n, "f1": f1})
        return pd.DataFrame(rows)


def depth_name(low: float, high: float) -> str:
    """Name a range of depths in noise levels."""
    return f"{low:g}–{high:g}" if np.isfinite(high) else f"> {low:g}"


FAINT_SPIKES = (3.0, 5.0)
"""Depths, in noise levels, at which a threshold misses most."""


def gain(learned: OperatingCurve, threshold: OperatingCurve, rate: float) -> str:
    """Say in words how many more faint spikes a detector finds than the threshold, and whether it loses deep ones."""
    low, deep = FAINT_SPIKES
    counts = [curve.recall(rate, low, deep) for curve in (learned, threshold)]
    ends = ["{:.2f}–{:.2f}".format(*wilson(*of)) for of in counts]
    lost = threshold.recall(rate, deep)[0] - learned.recall(rate, deep)[0]
    deeper = f"and finds {-lost} more of the deeper ones" if lost <= 0 else f"but loses {lost} of the deeper ones"
    (hits, n), (before, _) = counts
    return (
        f"At {rate:g} false positives per second and electrode the detector finds {hits} of {n} spikes of {low:g} to "
        f"{deep:g} noise levels ({ends[0]}), the threshold {before} ({ends[1]}), {deeper}."
    )


def operating_curve(
    found: Detections, true: TrueSpikes, exposure: float, dead: int, faint: float = FAINT
) -> OperatingCurve:
    """Match what was found with true spikes of the same electrode within ``dead`` frames.

    A true spike has the highest score near it. What is near no true spike deeper than ``faint`` noise levels is false.
    """
    asked = true.depth >= LEAST
    score, near = np.full(len(true.frame), -np.inf, np.float32), np.zeros(len(found.frame), bool)
    for channel in np.unique(np.r_[true.channel, found.channel]):
        mine, theirs = np.flatnonzero(true.channel == channel), np.flatnonzero(found.channel == channel)
        if len(mine) == 0 or len(theirs) == 0:
            continue
        frames, scores = found.frame[theirs], found.score[theirs]
        first, end = (
            np.searchsorted(frames, true.frame[mine] + by, side) for by, side in ((-dead, "left"), (dead, "right"))
        )
        for step in range(int((end - first).max())):
            here = first + step < end
            score[mine[here]] = np.maximum(score[mine[here]], scores[first[here] + step])
        known = np.sort(true.frame[mine[true.depth[mine] > faint]])
        near[theirs] = np.searchsorted(known, frames - dead, "left") < np.searchsorted(known, frames + dead, "right")
    falling = np.sort(found.score[~near])[::-1]
    return OperatingCurve(score[asked], true.depth[asked], true.own[asked], falling, exposure)
