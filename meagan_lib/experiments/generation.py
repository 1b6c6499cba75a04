"""Windows drawn from a fitted model: the gate that real windows went through, and moment matching, alike for all."""

from collections.abc import Callable

import numpy as np

from meagan_lib.models.contract import Model
from meagan_lib.models.gaussian import gaussian_transport, without_farthest
from meagan_lib.windows.gate import Gate
from meagan_lib.windows.normalisation import Standardiser, fit_normalisation
from meagan_lib.windows.spike_windows import SpikeWindows, Split

MATCHING_WINDOWS = 10_000
"""Generated windows from which the mean and covariance of a model are estimated."""
MOST_DRAWN = 20
"""Windows are drawn until as many pass the gate as are wanted, but no more than so many times that number."""


def draw_synthetic(
    model: Model,
    windows: SpikeWindows,
    normalisation: str = "z_score",
    condition: str = "",
    seed: int = 0,
    matched: bool = False,
) -> SpikeWindows:
    """Draw windows from a model, or its trainer, that was fitted to ``windows``; mark what passes the gate.

    As many as there are test windows, and more until as many pass (at most ``MOST_DRAWN`` times that); with labels as
    often as among the training windows. The model was fitted with ``normalisation`` and ``condition``; ``matched``
    windows go through :func:`moment_matching`.
    """
    train = windows.vectors_of(Split.TRAIN)
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
    column = {"unit": "label", "channel": "channel"}.get(condition)  # a depth is measured, not noted
    columns = {column: classes[own, 1]} if column else {}
    return windows.synthetic(drawn, passes=passes, **columns)


def draw_by_class(
    model: Model, windows: SpikeWindows, normalisation: str, condition: str, seed: int = 0, most: int = 8
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return real test windows and 500 that a conditional model draws, of the classes with ``most`` training windows.

    Both are class → windows (·, samples), on the own electrode.
    """
    labels, classes = windows.classes(condition, Split.TRAIN)
    own = windows.classes_among(condition, Split.TEST, classes)
    normaliser = fit_normalisation(normalisation, windows.vectors_of(Split.TRAIN))
    names = windows.class_names(condition)
    chosen = np.argsort(-np.bincount(labels), kind="stable")[:most]
    largest = {names[k]: k for k in (np.sort(chosen) if condition == "depth" else chosen)}
    real = {name: windows.of(Split.TEST)[own == k] for name, k in largest.items()}
    drawn = {name: normaliser.inverse(model.sample(500, seed, np.full(500, k))) for name, k in largest.items()}
    return real, {name: vectors[:, : windows.n_samples] for name, vectors in drawn.items()}


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
