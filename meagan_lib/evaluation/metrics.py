"""How close generated windows come to held-out real ones: the table of metrics, and the one that picks a checkpoint.

A metric is a function ``prepare(real, fake, context) → statistic``: the costly part is done once, and
``statistic(i, j)`` gives the value on the windows ``real[i]`` and ``fake[j]``, so that resampling is cheap. The
reference ``real`` is always held out; the training windows fit what a metric looks through (:class:`Context`). A value
says nothing without its floor and its reach: :mod:`meagan_lib.evaluation.scores` puts them beside it.

Footprints are compared as one long vector, but for metrics that read the trace of one electrode, or see electrodes as
such (``Metric.view``); and by three more that only they have.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from typing import Literal, NamedTuple

import numpy as np

from meagan_lib.evaluation import classifiers, distances, footprints, memorisation, neighbours
from meagan_lib.evaluation.context import Context, Statistic
from meagan_lib.windows.features import Array
from meagan_lib.windows.normalisation import Standardiser, fit_normalisation
from meagan_lib.windows.spike_windows import SpikeWindows, Split

Better = Literal["lower", "higher", "near the floor"]
Interval = tuple[float, float]


class Metric(NamedTuple):
    """A metric, its name in words and how it is read."""

    prepare: Callable[..., Statistic]
    label: str
    family: str
    better: Better = "lower"
    bounds: Interval = (0.0, np.inf)
    """The least and the most that a value can be; one that can lie below 0 has no ratio."""
    report_only: str = ""
    """Why it is shown and decides nothing."""
    spread: Literal["resampled", "halves", "binomial"] = "resampled"
    """How its interval is found, see :func:`meagan_lib.evaluation.scores.evaluate`."""
    view: Literal["vector", "own", "footprint"] = "vector"
    """What it sees of a footprint: all electrodes in a row, the trace of its own, or (electrodes, samples)."""
    refitted: Callable[[float], float] | None = None
    """Of a metric that is cross-validated, which takes the events of the windows as well: what other training windows
    add to its variance, as a multiple, by its value."""

    def statistic(self, real: Array, fake: Array, context: Context, **more: Array) -> Statistic:
        """Prepare the metric with its view of ``real`` and ``fake``; ``more`` is what it takes besides."""
        if self.view != "vector":
            see = context.own if self.view == "own" else context.footprints
            real, fake = see(real), see(fake)
        return self.prepare(real, fake, context, **more)


_cnn_refitted = partial(classifiers.refitted, half_learned=6.0)
_fraction, _signed = partial(Metric, bounds=(0.0, 1.0)), partial(Metric, bounds=(-np.inf, np.inf))
_balls = partial(Metric, better="near the floor", spread="halves")
METRICS: dict[str, Metric] = {
    "c2st_auc": _fraction(classifiers.c2st_auc, "C2ST AUC", "overall", view="footprint", refitted=classifiers.refitted),
    "c2st_cnn_auc": _fraction(
        classifiers.c2st_cnn_auc, "C2ST AUC of a CNN", "overall", view="footprint", refitted=_cnn_refitted
    ),
    "sliced_wasserstein": Metric(distances.sliced_wasserstein, "sliced Wasserstein", "distribution"),
    "squared_mmd": _signed(distances.squared_mmd, "MMD²", "distribution"),
    "frechet_distance": Metric(distances.frechet_distance, "Fréchet distance", "distribution"),
    "feature_wasserstein": Metric(distances.feature_wasserstein, "features W₁/σ", "shape", view="own"),
    "feature_ks": _fraction(distances.feature_ks, "worst feature KS", "shape", view="own"),
    "amplitude_ks": _fraction(distances.amplitude_ks, "amplitude KS", "shape", view="own"),
    "profile_l1": Metric(distances.profile_l1, "mean and SD L1", "shape"),
    "profile_l2": Metric(distances.profile_l2, "mean and SD L2", "shape"),
    "log_spectral_distance": Metric(distances.log_spectral_distance, "log-spectral distance", "colour", view="own"),
    "autocorrelation_distance": Metric(distances.autocorrelation_distance, "autocorrelation", "colour", view="own"),
    "passes": _fraction(neighbours.passes, "passes the gate", "gate", "higher", spread="binomial"),
    "precision": _balls(neighbours.precision, "precision", "fidelity", bounds=(0.0, 1.0)),
    "density": _balls(neighbours.density, "density", "fidelity"),
    "coverage": _balls(neighbours.coverage, "coverage", "diversity", bounds=(0.0, 1.0)),
    "recall": _balls(neighbours.recall, "recall", "diversity", bounds=(0.0, 1.0)),
    "mode_occupancy": _fraction(neighbours.mode_occupancy, "mode occupancy JS", "diversity"),
    "inception_score": Metric(
        neighbours.inception_score,
        "Inception Score",
        "diversity",
        "near the floor",
        bounds=(1.0, np.inf),
        report_only="it never looks at real windows",
    ),
    "distance_ratio": _fraction(memorisation.distance_ratio, "nearest / second nearest", "memorisation", "higher"),
    "c_t": _signed(memorisation.c_t, "C_T", "memorisation", "higher"),
    "authenticity": _fraction(memorisation.authenticity, "authenticity", "memorisation", "higher"),
    "share_nearest": _fraction(memorisation.fraction_nearest, "nearer than 95 % of test", "memorisation"),
}
"""All metrics of windows by the name that they have in ``scores.json``."""
_space = partial(Metric, family="space", view="footprint")
OF_FOOTPRINTS: dict[str, Metric] = {
    "decay_ks": _space(footprints.decay_ks, "decay of the amplitude KS", bounds=(0.0, 1.0)),
    "delay_difference": _space(footprints.delay_difference, "delay between electrodes (ms)"),
    "noise_correlation": _space(footprints.noise_correlation_difference, "correlation of the noise"),
}
"""Those that only footprints have."""
ALL = METRICS | OF_FOOTPRINTS


def applicable(electrodes: int) -> dict[str, Metric]:
    """Return the metrics of windows of so many electrodes, by name."""
    return METRICS if electrodes == 1 else ALL


FEW_TREES = 40
"""Of a two-sample test that is made often: a third of those of the metric, in a third of the time."""


def values(
    real: Array, fake: Array, context: Context, names: Iterable[str], n_trees: int | None = None
) -> dict[str, float]:
    """Compute the metrics called ``names`` of generated windows against held-out real ones, without floor and reach.

    ``n_trees``: of the two-sample test, where it is not to have as many as the metric.
    """
    i, j = np.arange(len(real)), np.arange(len(fake))
    options = {"c2st_auc": {"n_trees": n_trees}} if n_trees else {}
    return {name: ALL[name].statistic(real, fake, context, **options.get(name, {}))(i, j) for name in names}


@dataclass(frozen=True)
class Validation:
    """What picks a checkpoint: a short two-sample test against validation windows, lower is better.

    The sides may differ in number: more generated windows than real ones make the test less noisy.
    """

    held_out: Array
    """Validation windows (n, samples), as z-scores."""
    context: Context
    z_scores: Callable[[Array], Array] = lambda generated: generated
    """From windows as the model generates them to z-scores, both (m, samples)."""
    events: np.ndarray | None = None
    """Event (n,) of each validation window: those of one spike are on one side of a fold. None: each is its own."""

    @classmethod
    def of(cls, windows: SpikeWindows, normalisation: str = "z_score", seed: int = 0, n: int = 1000) -> "Validation":
        """Take the first ``n`` validation windows, for a model of windows that are normalised so."""
        train = windows.vectors_of(Split.TRAIN)
        scale, own = Standardiser.fit(train), fit_normalisation(normalisation, train)
        about = {"seed": seed, "electrodes": windows.electrodes}
        context = Context.fit(scale.transform(train), windows.sampling_rate_hz, **about)
        held_out = scale.transform(windows.vectors_of(Split.VALIDATION))[:n]
        events = windows.events[windows.split == Split.VALIDATION][:n]
        return cls(held_out, context, lambda generated: scale.transform(own.inverse(generated)), events)

    def __call__(self, generated: Array) -> float:
        """Return the C2ST AUC of generated windows (m, samples)."""
        generated = self.z_scores(generated)
        real = np.arange(len(self.held_out)) if self.events is None else self.events
        events = np.r_[real, real.max() + 1 + np.arange(len(generated))]
        options = {"events": events, "n_trees": FEW_TREES}
        statistic = METRICS["c2st_auc"].statistic(self.held_out, generated, self.context, **options)
        return statistic(np.arange(len(self.held_out)), np.arange(len(generated)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all windows that the choice depends on, and of what else decides it."""
        arrays = (self.held_out, self.context.train, *([] if self.events is None else [self.events]))
        about = (self.context.seed, self.context.sampling_rate_hz, *(a.shape for a in arrays))
        return sha256(repr(about).encode() + b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()
