"""Windows drawn from a fitted model: the gate that real windows went through, and moment matching.

One treatment for all: every model's windows go through the same :class:`Gate`, and every network is shown without and
with :func:`moment_matching`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from meagan_lib.models.gaussian import gaussian_transport, without_farthest
from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.spike_windows import SpikeWindows, Split, Standardiser, fit_normalisation

MATCHING_WINDOWS = 10_000
"""Generated windows from which the mean and covariance of a model are estimated."""
MOST_DRAWN = 20
"""Windows are drawn until as many pass the gate as are wanted, but no more than so many times that number."""
READ_OFF = 0.999
"""Fraction of the training windows that keep a rule for it to be asked of generated windows."""


@dataclass(frozen=True)
class Gate:
    """The rule by which detection and cutting accepted the real windows, asked of any window.

    Of the recording's own windows the rule is known. Of imported windows only the position of the trough can be read
    off, and where it varies, nothing: then every window passes. A part of the rule that fewer than ``READ_OFF`` of the
    training windows keep is not asked.

    Attributes
    ----------
    aligned
        bool (samples,): where the lowest sample of a training window stands.
    noise_mad
        (channels,), sorted: noise levels of the channels that gave training windows; none for imported windows. A
        generated window has no channel, and passes if it would have on one of them.
    threshold_mad
        Depth of the trough in noise levels.
    guard_mad
        Depth, in noise levels, that no second trough exceeds; ∞: no matter.
    dead
        A trough is the lowest sample within so many on both sides.
    artefact
        Absolute value that no sample exceeds; ∞: no matter.
    """

    aligned: np.ndarray
    noise_mad: np.ndarray
    threshold_mad: float = 0.0
    guard_mad: float = np.inf
    dead: int = 1
    artefact: float = np.inf

    @classmethod
    def of(cls, windows: SpikeWindows) -> "Gate":
        """Return the rule that the training windows of ``windows`` went through."""
        train, kept, rule = windows.of(Split.TRAIN), windows.split == Split.TRAIN, windows.detection
        aligned = np.zeros(windows.n_samples, bool)
        aligned[train.argmin(axis=1)] = True
        if "threshold_mad" not in rule or not len(windows.noise_mad):
            return cls(aligned, np.zeros(0))
        pairs = np.stack([windows.noise_recording, _counted(windows.noise_recording)])
        used = np.stack([windows.recording, windows.channel])[:, kept]
        noise = windows.noise_mad[(pairs[:, :, None] == np.unique(used, axis=1)[:, None]).all(axis=0).any(axis=1)]
        dead = DetectionConfig(dead_time_ms=rule["dead_time_ms"]).dead(windows.sampling_rate_hz)
        asked = {
            "threshold_mad": rule["threshold_mad"],
            "guard_mad": rule["isolation"]["guard_mad"] or np.inf,
            "artefact": rule["artefact"] or np.inf,
        }
        noise = np.sort(noise[noise > 0].astype(np.float64))
        met = {
            name: cls(np.ones_like(aligned), noise, dead=dead, **{name: value}).passes(train).mean() >= READ_OFF
            for name, value in asked.items()
        }
        return cls(aligned, noise, dead=dead, **{name: value for name, value in asked.items() if met[name]})

    def passes(self, windows: np.ndarray) -> np.ndarray:
        """Whether bool (n,) windows (n, samples), in the unit of the recording, would have been accepted."""
        accepted = self.aligned[windows.argmin(axis=1)] & (np.abs(windows).max(axis=1) <= self.artefact)
        if not len(self.noise_mad):
            return accepted
        depth = -windows.min(axis=1).astype(np.float64)
        # Some noise level σ must lie between second trough / guard and depth / threshold; float32 rounds both.
        highest = depth / max(self.threshold_mad, 1e-9) * (1 + 1e-6)
        lowest = second_trough(windows, self.dead) / self.guard_mad * (1 - 1e-6)
        return accepted & (np.searchsorted(self.noise_mad, highest) > np.searchsorted(self.noise_mad, lowest))

    def on(self, standardiser: Standardiser) -> Callable[[np.ndarray], np.ndarray]:
        """Return :meth:`passes` for windows that a standardiser has transformed."""
        return lambda windows: self.passes(standardiser.inverse(windows))


def _counted(groups: np.ndarray) -> np.ndarray:
    """Position (n,) of each row within its group, whose rows stand together."""
    first = np.r_[True, np.diff(groups.astype(np.int64)) != 0]
    start = np.maximum.accumulate(np.where(first, np.arange(len(groups)), 0))
    return np.arange(len(groups)) - start


def second_trough(windows: np.ndarray, dead: int) -> np.ndarray:
    """Depth (n,) of the deepest trough of windows (n, samples) beside the lowest sample; 0 where there is none.

    A trough is the lowest sample within ``dead`` samples on both sides, the first of equals, as in detection; nearer to
    the edge than that a window does not tell whether there is one.
    """
    n, samples = windows.shape
    if samples <= 2 * dead:
        return np.zeros(n)
    around = np.lib.stride_tricks.sliding_window_view(windows, 2 * dead + 1, axis=1)  # (n, positions, 2 dead + 1)
    position = np.arange(dead, samples - dead)
    trough = around.argmin(axis=2) == dead
    trough &= np.abs(position - windows.argmin(axis=1)[:, None]) > dead
    return np.where(trough, -windows[:, dead : samples - dead], 0).max(axis=1).clip(0).astype(np.float64)


class Sampler(Protocol):
    """What draws windows: a fitted model, or a trainer."""

    def sample(self, n: int, seed: int, labels: np.ndarray | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples), normalised, with labels (n,) where it was trained with any."""


def draw_synthetic(
    model: Sampler,
    windows: SpikeWindows,
    normalisation: str = "z_score",
    condition: str = "",
    seed: int = 0,
    matched: bool = False,
) -> SpikeWindows:
    """Draw windows from a model that was fitted to the training windows of ``windows``; mark what passes the gate.

    As many as there are test windows, and more until as many pass (at most ``MOST_DRAWN`` times that); with labels as
    often as among the training windows.

    Parameters
    ----------
    normalisation, condition
        Those that the model was fitted with.
    matched
        Whether windows go through :func:`moment_matching`.
    """
    train = windows.of(Split.TRAIN)
    normaliser = fit_normalisation(normalisation, train)
    labels, classes = windows.classes(condition, Split.TRAIN) if condition else (None, None)

    def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        own = None if labels is None else labels[np.random.default_rng(seed).integers(len(labels), size=n)]
        return normaliser.inverse(model.sample(n, seed, *([] if own is None else [own]))), own

    gate, n = Gate.of(windows), int((windows.split == Split.TEST).sum())
    match = moment_matching(draw(MATCHING_WINDOWS, seed + 1)[0], train) if matched else lambda drawn: drawn
    parts, n_passed, n_drawn, wanted = [], 0, 0, n
    while wanted > 0:
        drawn, own = draw(wanted, seed + 10_000 * len(parts))
        drawn = match(drawn)
        parts.append((drawn, gate.passes(drawn), own))
        n_passed, n_drawn = n_passed + int(parts[-1][1].sum()), n_drawn + wanted
        more = min(int(1.1 * (n - n_passed) * n_drawn / max(n_passed, 1)) + 1, MOST_DRAWN * n - n_drawn)
        wanted = more if n_passed < n else 0
    drawn, passes, own = (None if column[0] is None else np.concatenate(column) for column in zip(*parts))
    columns = {} if own is None else {{"unit": "label", "channel": "channel"}[condition]: classes[own, 1]}
    return windows.synthetic(drawn, passes=passes, **columns)


def draw_by_class(
    model: Sampler, windows: SpikeWindows, normalisation: str, condition: str, seed: int = 0, most: int = 8
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return real test windows and 500 that a conditional model draws, of the classes with ``most`` training windows.

    Both are class → windows (·, samples).
    """
    labels, classes = windows.classes(condition, Split.TRAIN)
    own = windows.classes_among(condition, Split.TEST, classes)
    inverse = fit_normalisation(normalisation, windows.of(Split.TRAIN)).inverse
    largest = {f"{condition} {classes[k, 1]}": k for k in np.argsort(-np.bincount(labels), kind="stable")[:most]}
    real = {name: windows.of(Split.TEST)[own == k] for name, k in largest.items()}
    return real, {name: inverse(model.sample(500, seed, np.full(500, k))) for name, k in largest.items()}


def moment_matching(generated: np.ndarray, train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the linear map of windows (·, samples) that gives ``generated`` the mean and covariance of ``train``.

    Of all such maps it moves windows least (:func:`~meagan_lib.models.gaussian.gaussian_transport`). The hundredth of
    either that lies farthest out is not counted. ``generated`` are windows of their own, not those that are mapped.
    """
    scale = Standardiser.fit(train)
    a, b = gaussian_transport(*(without_farthest(scale.transform(x), 0.01) for x in (generated, train)))
    return lambda windows: scale.inverse(scale.transform(windows) @ a.T + b)


def matching_parameters(samples: int) -> int:
    """Count the numbers that moment matching of windows of ``samples`` fits: a symmetric matrix and a shift."""
    return samples * (samples + 1) // 2 + samples
