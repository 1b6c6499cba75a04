"""How near generated windows come to held-out real ones.

A metric is a function ``prepare(real, fake, context) → statistic``: the costly part is done once, and
``statistic(i, j)`` gives the value on the windows ``real[i]`` and ``fake[j]``, so that resampling is cheap. The
reference ``real`` is always held out; the training windows fit what a metric looks through (principal components,
clusters), and are never the reference. Whether windows are *copied* from them is asked in
:mod:`meagan_lib.evaluation.memorisation`. A value says nothing without its floor and its reach: :mod:`meagan_lib.evaluation.scores` puts them
beside it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from typing import Literal, NamedTuple

import numpy as np
import scipy.linalg
import scipy.stats
import torch
from scipy.spatial.distance import jensenshannon
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import nn

from meagan_lib.windows.features import Array, autocorrelations, classifier_features, power_spectra, shape_features
from meagan_lib.windows.normalisation import Standardiser, fit_normalisation
from meagan_lib.windows.spike_windows import SpikeWindows, Split

Statistic = Callable[[np.ndarray, np.ndarray], float]
CLUSTERS = 10
NEIGHBOURS = 5
SEARCHED = 40
"""Neighbours of a centre that are kept: of a random half of them, five are left."""


@dataclass(frozen=True)
class Context:
    """What the metrics share: fitted on the training windows, never on those that are compared.

    Attributes
    ----------
    pca
        Principal components of the training windows.
    sampling_rate_hz
        For the features that have a duration.
    train
        The training windows (n, samples).
    seed
        Of random directions, folds, clusters and bootstrap.
    labels
        Spike types (n,) of the training windows where they are known, for the Inception Score.
    gate
        Which windows (n, samples), bool (n,), the rule of real ones accepts
        (:meth:`meagan_lib.windows.gate.Gate.passes`); None: all.
    """

    pca: PCA
    sampling_rate_hz: float
    train: Array
    seed: int = 0
    labels: np.ndarray | None = None
    gate: Callable[[Array], np.ndarray] | None = None

    @classmethod
    def fit(
        cls,
        train: Array,
        sampling_rate_hz: float,
        n_components: int = 10,
        seed: int = 0,
        labels: np.ndarray | None = None,
    ) -> "Context":
        """From training windows (n, samples), as z-scores."""
        pca = PCA(min(n_components, *train.shape), svd_solver="full").fit(train)
        return cls(pca, sampling_rate_hz, train, seed, labels)

    @cached_property
    def kmeans(self) -> KMeans:
        """Clusters of the training windows in the space of their principal components."""
        with threadpool_limits(1):
            kmeans = KMeans(min(CLUSTERS, len(self.train)), n_init=3, random_state=self.seed)
            return kmeans.fit(self.pca.transform(self.train))

    @cached_property
    def _nearest(self) -> dict[int, tuple[Array, tuple[Array, np.ndarray]]]:
        return {}

    def nearest(self, windows: Array) -> tuple[Array, np.ndarray]:
        """Distances and indices, each (n, 2), of the two nearest training windows of each window, exactly.

        The same array is searched for once, however many metrics ask.
        """
        if id(windows) not in self._nearest:  # kept with what was found, so that no other array takes its id
            search = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(self.train)
            self._nearest[id(windows)] = windows, search.kneighbors(windows)
        return self._nearest[id(windows)][1]

    def clusters(self, windows: Array) -> np.ndarray:
        """The cluster (n,) of each window (n, samples)."""
        with threadpool_limits(1):
            return self.kmeans.predict(self.pca.transform(windows))

    @cached_property
    def spike_types(self) -> LinearDiscriminantAnalysis:
        """p(y|x) of a spike type, from principal components; without labels that can be learned, types are clusters."""
        known = self.labels is not None and 1 < len(np.unique(self.labels)) < len(self.labels)
        types = self.labels if known else self.clusters(self.train)
        return LinearDiscriminantAnalysis().fit(self.pca.transform(self.train), types)


def c2st_auc(
    real: Array, fake: Array, context: Context, events: Array | None = None, n_trees: int = 120, n_folds: int = 3
) -> Statistic:
    """Area under the ROC curve of a classifier real against generated, cross-validated; 0.5 is ideal.

    Gradient-boosted trees on :func:`~meagan_lib.windows.features.classifier_features`: a linear or quadratic classifier would
    pass a Gaussian. Lopez-Paz & Oquab 2017, arXiv:1610.06545. ``events`` (n + m,): windows of one event, real ones
    first, are never on both sides of a fold; without them each window is its own.
    """
    x = classifier_features(np.concatenate([real, fake]), context.sampling_rate_hz)
    y = np.r_[np.ones(len(real)), np.zeros(len(fake))]
    trees = HistGradientBoostingClassifier(max_iter=n_trees, early_stopping=False, random_state=context.seed)
    folds = _folds(y, events, n_folds, context.seed)
    with threadpool_limits(1):  # its threads spin while they wait, which starves whatever runs beside
        p = cross_val_predict(trees, x, y, cv=folds, method="predict_proba")[:, 1]
    return _auc(p[: len(real)], p[len(real) :])


def _folds(y: Array, events: Array | None, n_folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Windows (rows) to learn from and to be asked, for each fold; each has its share of real ones, ``y`` (n,) = 1."""
    if events is None or len(np.unique(events)) == len(y):
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y))
    return list(StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(y, y, events))


def _refitted(auc: float, half_learned: float = 0.0) -> float:
    """What other training windows add to the variance of a cross-validated AUC, as a multiple of the bootstrap's.

    Any two folds judge each other. Where there is nothing to find, an accident counts twice: as much is added. Where
    the classes lie apart, a classifier is the same whatever it was trained on: nothing is added. A network that has
    learned some of what there is differs more from training to training: ``half_learned``, found by counting
    (``bench/INTERVALS.md``).
    """
    apart = abs(2 * auc - 1)
    return (1 - apart**2) * (1 + half_learned * apart * (1 - apart) ** 2)


def mann_whitney_u(a: Array, b: Array) -> float:
    """U: the pairs in which a value of ``a`` (n,) is above one of ``b`` (m,), ties counted half.

    That of ``scipy.stats.mannwhitneyu`` without its p-value: a bootstrap asks for it hundreds of times.
    """
    b = np.sort(b)
    return float(sum(np.searchsorted(b, a, side).sum() for side in ("left", "right")) / 2)


def _auc(real: Array, fake: Array) -> Statistic:
    """Area under the ROC curve of scores (n,) and (m,), the higher, the more real: U / nm."""
    return lambda i, j: mann_whitney_u(real[i], fake[j]) / (len(i) * len(j))


def c2st_cnn_auc(
    real: Array, fake: Array, context: Context, events: Array | None = None, n_folds: int = 2, epochs: int = 8
) -> Statistic:
    """The two-sample test of :func:`c2st_auc` by a small convolutional network that sees the samples alone.

    It finds what no feature was made for. Logits of different folds have scales of their own, so their ranks within
    the fold are compared. The same bits twice on one thread of torch.
    """
    x = np.concatenate([real, fake]).astype(np.float32)
    y = np.r_[np.ones(len(real)), np.zeros(len(fake))].astype(np.float32)
    rank = np.empty(len(x))
    for seen, unseen in _folds(y, events, n_folds, context.seed):
        logit = _fitted_cnn(x[seen], y[seen], epochs, context.seed)
        with torch.no_grad():
            rank[unseen] = scipy.stats.rankdata(logit(torch.from_numpy(x[unseen])[:, None])[:, 0]) / len(unseen)
    return _auc(rank[: len(real)], rank[len(real) :])


def _fitted_cnn(x: Array, y: Array, epochs: int, seed: int, batch: int = 128, least: int = 80) -> nn.Module:
    """Three convolutions and a linear map from windows (n, 1, samples) to the logit (n, 1) of ``y`` = 1.

    Of few windows it takes more epochs, so that there are ``least`` steps: after fewer, chance is most of what it says.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv1d(1, 16, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Conv1d(16, 32, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Conv1d(32, 32, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.LazyLinear(1),
        )
        network(torch.zeros(1, 1, x.shape[1]))
    batches = -(-len(x) // batch)
    epochs = max(epochs, -(-least // batches))
    adam = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 4e-3, total_steps=epochs * batches)
    x, y = torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None]
    rng = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=rng).split(batch):
            loss = nn.functional.binary_cross_entropy_with_logits(network(x[rows]), y[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
    return network.eval()


@dataclass(frozen=True)
class Validation:
    """What picks a checkpoint: a short two-sample test against validation windows, lower is better.

    The sides may differ in number: more generated windows than real ones make the test less noisy.

    Attributes
    ----------
    held_out
        Validation windows (n, samples), as z-scores.
    context
        Of the training windows.
    z_scores
        From windows as the model makes them to z-scores, both (m, samples).
    events
        Event (n,) of each validation window: those of one spike are on one side of a fold. None: each is its own.
    """

    held_out: Array
    context: Context
    z_scores: Callable[[Array], Array] = lambda generated: generated
    events: np.ndarray | None = None

    @classmethod
    def of(cls, windows: SpikeWindows, normalisation: str = "z_score", seed: int = 0, n: int = 1000) -> "Validation":
        """By the first ``n`` validation windows, for a model of windows that are normalised so."""
        scale = Standardiser.fit(windows.of(Split.TRAIN))
        own = fit_normalisation(normalisation, windows.of(Split.TRAIN))
        context = Context.fit(scale.transform(windows.of(Split.TRAIN)), windows.sampling_rate_hz, seed=seed)
        held_out = scale.transform(windows.of(Split.VALIDATION))[:n]
        events = windows.events[windows.split == Split.VALIDATION][:n]
        return cls(held_out, context, lambda generated: scale.transform(own.inverse(generated)), events)

    def __call__(self, generated: Array) -> float:
        """C2ST AUC of generated windows (m, samples)."""
        generated = self.z_scores(generated)
        real = np.arange(len(self.held_out)) if self.events is None else self.events
        events = np.r_[real, real.max() + 1 + np.arange(len(generated))]
        statistic = c2st_auc(self.held_out, generated, self.context, events, n_trees=40, n_folds=3)
        return statistic(np.arange(len(self.held_out)), np.arange(len(generated)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all windows that the choice depends on, and of what else decides it."""
        arrays = (self.held_out, self.context.train, *([] if self.events is None else [self.events]))
        about = (self.context.seed, self.context.sampling_rate_hz, *(a.shape for a in arrays))
        return sha256(repr(about).encode() + b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def frechet_distance(real: Array, fake: Array, context: Context) -> Statistic:
    """‖μ_r − μ_g‖² + Tr(C_r + C_g − 2 (C_r C_g)^½) in the PCA space of the training windows.

    The "FID" of the thesis (1.3.4) for one-dimensional signals. Alone it is worthless: a Gaussian passes it.
    """
    a, b = context.pca.transform(real), context.pca.transform(fake)

    def statistic(i: np.ndarray, j: np.ndarray) -> float:
        c_a, c_b = np.cov(a[i], rowvar=False), np.cov(b[j], rowvar=False)
        # Tr (C_r C_g)^½ by the symmetric form: the eigenvalues of C_r^½ C_g C_r^½ are those of C_r C_g.
        root = scipy.linalg.sqrtm(c_a).real
        cross = np.sqrt(np.linalg.eigvalsh(root @ c_b @ root).clip(0)).sum()
        shift = a[i].mean(axis=0) - b[j].mean(axis=0)
        return float(shift @ shift + np.trace(c_a) + np.trace(c_b) - 2 * cross)

    return statistic


def sliced_wasserstein(real: Array, fake: Array, context: Context, n_directions: int = 128) -> Statistic:
    """Sliced Wasserstein-2 distance: √ of the mean over random directions of the squared distance of the quantiles.

    Bonneel et al. 2015, doi:10.1007/s10851-014-0506-3. Both sides need the same number of windows.
    """
    directions = np.random.default_rng(context.seed).standard_normal((real.shape[1], n_directions))
    directions /= np.linalg.norm(directions, axis=0)
    a, b = real @ directions, fake @ directions
    return lambda i, j: float(np.sqrt(np.mean((np.sort(a[i], axis=0) - np.sort(b[j], axis=0)) ** 2)))


def _counts(drawn: np.ndarray, size: int) -> Array:
    """How often each of ``size`` windows was drawn."""
    return np.bincount(drawn, minlength=size).astype(np.float64)


def cubic_kernel(a: Array, b: Array) -> Array:
    """(x·y / d + 1)³ of windows (n, d) and (m, d), float64 (n, m). Bińkowski et al. 2018, arXiv:1801.01401."""
    linear = a.astype(np.float64) @ b.T.astype(np.float64) / a.shape[1] + 1
    return linear * linear * linear  # ** 3 takes ten times as long


def squared_mmd(real: Array, fake: Array, context: Context) -> Statistic:
    """Unbiased squared maximum mean discrepancy with :func:`cubic_kernel`; around 0, also below, where nothing differs.

    Mean k(x, x') − 2 mean k(x, y) + mean k(y, y') over pairs of two windows. Gretton et al. 2012 (JMLR 13), eq. 3.
    """
    rr, gg, rg = cubic_kernel(real, real), cubic_kernel(fake, fake), cubic_kernel(real, fake)

    def statistic(i: np.ndarray, j: np.ndarray) -> float:
        n, m = len(i), len(j)
        u, v = _counts(i, len(real)), _counts(j, len(fake))
        within = [(w @ k @ w - w @ k.diagonal()) / (s * (s - 1)) for w, k, s in ((u, rr, n), (v, gg, m))]
        return float(sum(within) - 2 * (u @ rg @ v) / (n * m))

    return statistic


def mmd_permutation_p(real: Array, fake: Array, n_permutations: int = 200, seed: int = 0) -> float:
    """p of :func:`squared_mmd` under random exchanges of the windows (n, samples) of both sides, equal in number.

    (1 + number of exchanges whose value is as large) / (1 + exchanges).
    """
    n, rng = len(real), np.random.default_rng(seed)
    pooled = np.concatenate([real, fake])
    kernel = cubic_kernel(pooled, pooled)
    np.fill_diagonal(kernel, 0)
    side = np.ones((2 * n, n_permutations + 1))
    side[n:] = -1
    for column in side.T[1:]:
        rng.shuffle(column)
    # With s = ±1 for the sides, Σ s_i s_j k_ij = (pairs within a side) − (pairs across), and their sum never changes.
    signed, total = (side * (kernel @ side)).sum(axis=0), kernel.sum()
    value = (total + signed) / 2 / (n * (n - 1)) - (total - signed) / 2 / n**2
    return float((1 + (value[1:] >= value[0]).sum()) / (1 + n_permutations))


def marginals(real: Array, fake: Array, sampling_rate_hz: float) -> dict[str, tuple[float, float]]:
    """For each shape feature, Wasserstein-1 distance over the real standard deviation, and KS distance."""
    a, b = (shape_features(windows, sampling_rate_hz) for windows in (real, fake))
    return {
        name: (float(scipy.stats.wasserstein_distance(a[name], b[name])) / _spread(a[name]), _ks(a[name], b[name]))
        for name in a
    }


def _spread(values: Array) -> float:
    """Standard deviation; 1 where all are the same."""
    return float(values.std()) or 1.0


def _ks(a: Array, b: Array) -> float:
    """Largest gap between the distribution functions of values (n,) and (m,), without the p-value of ``ks_2samp``."""
    a, b = np.sort(a), np.sort(b)
    below = (np.searchsorted(values, np.r_[a, b], side="right") / len(values) for values in (a, b))
    return float(np.abs(np.subtract(*below)).max())


def feature_wasserstein(real: Array, fake: Array, context: Context) -> Statistic:
    """Wasserstein-1 distance / σ_real of the shape features, mean over features. Both sides need the same number."""
    a, b = (np.stack(list(shape_features(w, context.sampling_rate_hz).values()), axis=1) for w in (real, fake))
    spread = np.array([_spread(column) for column in a.T])
    return lambda i, j: float(np.mean(np.abs(np.sort(a[i], axis=0) - np.sort(b[j], axis=0)) / spread))


def feature_ks(real: Array, fake: Array, context: Context) -> Statistic:
    """Kolmogorov–Smirnov distance of the shape features, that of the worst feature, in [0, 1]."""
    a, b = (shape_features(windows, context.sampling_rate_hz) for windows in (real, fake))
    return lambda i, j: max(_ks(a[name][i], b[name][j]) for name in a)


def amplitude_ks(real: Array, fake: Array, context: Context) -> Statistic:
    """Kolmogorov–Smirnov distance of the peak-to-peak amplitudes, in [0, 1]."""
    a, b = np.ptp(real, axis=1), np.ptp(fake, axis=1)
    return lambda i, j: _ks(a[i], b[j])


def _profile_difference(real: Array, fake: Array) -> Callable[[np.ndarray, np.ndarray], Array]:
    """Mean waveform and standard deviation (2 · samples,) of the real windows minus those of the generated ones."""

    def profile(windows: Array) -> Array:
        return np.r_[windows.mean(axis=0, dtype=np.float64), windows.std(axis=0, dtype=np.float64)]

    return lambda i, j: profile(real[i]) - profile(fake[j])


def profile_l1(real: Array, fake: Array, context: Context) -> Statistic:
    """Mean |Δ| between mean waveforms and between standard deviations.

    No real window is paired with a generated one, as in :func:`independent_l1`: that rewards a collapse.
    """
    difference = _profile_difference(real, fake)
    return lambda i, j: float(np.abs(difference(i, j)).mean())


def profile_l2(real: Array, fake: Array, context: Context) -> Statistic:
    """√ mean Δ² of the same as :func:`profile_l1`."""
    difference = _profile_difference(real, fake)
    return lambda i, j: float(np.sqrt((difference(i, j) ** 2).mean()))


def independent_l1(real: Array, fake: Array) -> float:
    """L1 of the thesis (1.3.4), E ‖x − y‖₁ over all pairs of windows x (n, samples) and y (m, samples).

    Per sample, with the distribution functions F and G of both sides, E |x − y| = ∫ F (1 − G) + G (1 − F). It is least
    where every y is the median of x, and no measure of likeness: other real windows do worse.
    """
    total = 0.0
    for x, y in zip(np.sort(real.T.astype(np.float64)), np.sort(fake.T.astype(np.float64))):
        at = np.sort(np.r_[x, y])
        f, g = (np.searchsorted(side, at[:-1], side="right") / len(side) for side in (x, y))
        total += np.sum((f * (1 - g) + g * (1 - f)) * np.diff(at))
    return float(total)


def independent_l2(real: Array, fake: Array) -> float:
    """L2 of the thesis (1.3.4), E ‖x − y‖² = tr C_x + tr C_y + ‖μ_x − μ_y‖², over pairs as :func:`independent_l1`.

    It is least where every y is the mean of x.
    """
    sides = real.astype(np.float64), fake.astype(np.float64)
    shift = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    return float(sum(side.var(axis=0).sum() for side in sides) + shift @ shift)


def log_spectral_distance(real: Array, fake: Array, context: Context) -> Statistic:
    """√ mean_f (log P_r(f) − log P_g(f))², P the mean power spectrum, natural logarithm."""
    a, b = power_spectra(real), power_spectra(fake)
    return lambda i, j: float(np.sqrt(np.mean((np.log(a[i].mean(axis=0)) - np.log(b[j].mean(axis=0))) ** 2)))


def autocorrelation_distance(real: Array, fake: Array, context: Context) -> Statistic:
    """√ mean_τ (ρ_r(τ) − ρ_g(τ))², ρ the mean autocorrelation over that at lag 0: shape and colour, not gain."""
    a, b = autocorrelations(real), autocorrelations(fake)

    def rho(mean: Array) -> Array:
        return mean[1:] / mean[0]

    return lambda i, j: float(np.sqrt(np.mean((rho(a[i].mean(axis=0)) - rho(b[j].mean(axis=0))) ** 2)))


def _in_balls(centres: Array, windows: Array) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """(i, j) → whether each window j of (m, samples) lies in the ball of each centre i of (n, samples), bool (i, j).

    A ball reaches to the 5th nearest of the other centres i. A centre that stands in i twice would shrink the balls:
    choose without replacement.
    """
    near, nearest = NearestNeighbors(n_neighbors=min(SEARCHED, len(centres) - 1)).fit(centres).kneighbors()
    squared = (centres**2).sum(1)[:, None] + (windows**2).sum(1)[None, :] - 2 * centres @ windows.T

    def inside(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        chosen = np.zeros(len(centres), bool)
        chosen[i] = True
        fifth = (chosen[nearest[i]].cumsum(axis=1) < NEIGHBOURS).sum(axis=1)
        radius = near[i, np.minimum(fifth, near.shape[1] - 1)]
        return squared[np.ix_(i, j)] < (radius**2)[:, None]

    return inside


def passes(real: Array, fake: Array, context: Context) -> Statistic:
    """Fraction of generated windows that the rule of real ones accepts: 1 for real windows."""
    accepted = np.ones(len(fake), bool) if context.gate is None else context.gate(fake)
    return lambda i, j: float(accepted[j].mean())


def precision(real: Array, fake: Array, context: Context) -> Statistic:
    """Share of generated windows within the ball of some real one: low where they look like nothing real.

    Above the floor where every kind is drawn in towards its middle.
    Kynkäänniemi et al. 2019, arXiv:1904.06991.
    """
    inside = _in_balls(real, fake)
    return lambda i, j: float(inside(i, j).any(axis=0).mean())


def recall(real: Array, fake: Array, context: Context) -> Statistic:
    """Share of real windows within the ball of some generated one: low where the model lacks variety.

    Above the floor where generated windows lie too far apart.
    Kynkäänniemi et al. 2019, arXiv:1904.06991.
    """
    inside = _in_balls(fake, real)
    return lambda i, j: float(inside(j, i).any(axis=0).mean())


def density(real: Array, fake: Array, context: Context) -> Statistic:
    """Mean number of real balls around a generated window, over 5: above 1 where it keeps to the crowded places.

    Naeem et al. 2020, arXiv:2002.09797.
    """
    inside = _in_balls(real, fake)
    return lambda i, j: float(inside(i, j).sum() / (NEIGHBOURS * len(j)))


def coverage(real: Array, fake: Array, context: Context) -> Statistic:
    """Share of real windows with a generated one nearer than their 5th real neighbour: low when modes are missing.

    Of as many windows of the same distribution it is 1 − 2⁻⁵ = 0.969. Above, every kind is drawn in towards its middle.
    Naeem et al. 2020, arXiv:2002.09797.
    """
    inside = _in_balls(real, fake)
    return lambda i, j: float(inside(i, j).any(axis=1).mean())


def mode_occupancy(real: Array, fake: Array, context: Context) -> Statistic:
    """Jensen–Shannon divergence, in bits, of the shares of the clusters of the training windows: in [0, 1].

    Modes that are dropped or inflated show here.
    """
    return occupancy_divergence(context.clusters(real), context.clusters(fake), context.kmeans.n_clusters)


def occupancy_divergence(a: np.ndarray, b: np.ndarray, size: int) -> Statistic:
    """Return the Jensen–Shannon divergence, in bits, of how full groups are that labels a (n,) and b (m,) name."""

    def statistic(i: np.ndarray, j: np.ndarray) -> float:
        counts = (np.bincount(a[i], minlength=size), np.bincount(b[j], minlength=size))
        return float(jensenshannon(*counts, base=2) ** 2)

    return statistic


def inception_score(real: Array, fake: Array, context: Context) -> Statistic:
    """exp E_x KL(p(y|x) ‖ p(y)) of the generated windows, y the spike type (thesis 1.3.4); from 1 to as many as types.

    It never looks at real windows: a value is read beside that of real ones. Salimans et al. 2016, arXiv:1606.03498.
    """
    p = context.spike_types.predict_proba(context.pca.transform(fake)).astype(np.float64)  # a mean may underflow
    return lambda i, j: float(np.exp(scipy.stats.entropy(p[j], p[j].mean(axis=0)[None], axis=1).mean()))


Better = Literal["lower", "higher", "near the floor"]
Spread = Literal["resampled", "halves", "binomial"]


class Metric(NamedTuple):
    """A metric, how it is called and how it is read.

    ``signed``: values can lie below 0, so they have no ratio. ``report_only``: why it is shown and not judged by.
    ``spread``: how its interval is found, see :func:`meagan_lib.evaluation.scores.evaluate`. ``refitted``: of a metric that is
    cross-validated, which takes the events of the windows as well, what other training windows add to its variance, as
    a multiple, by its value.
    """

    prepare: Callable[..., Statistic]
    label: str
    family: str
    better: Better = "lower"
    signed: bool = False
    report_only: str = ""
    spread: Spread = "resampled"
    refitted: Callable[[float], float] | None = None


METRICS: dict[str, Metric] = {
    "c2st_auc": Metric(c2st_auc, "C2ST AUC", "overall", refitted=_refitted),
    "c2st_cnn_auc": Metric(c2st_cnn_auc, "C2ST AUC of a CNN", "overall", refitted=partial(_refitted, half_learned=6.0)),
    "sliced_wasserstein": Metric(sliced_wasserstein, "sliced Wasserstein", "distribution"),
    "squared_mmd": Metric(squared_mmd, "MMD²", "distribution", signed=True),
    "frechet_distance": Metric(frechet_distance, "Fréchet distance", "distribution"),
    "feature_wasserstein": Metric(feature_wasserstein, "features W₁/σ", "shape"),
    "feature_ks": Metric(feature_ks, "worst feature KS", "shape"),
    "amplitude_ks": Metric(amplitude_ks, "amplitude KS", "shape"),
    "profile_l1": Metric(profile_l1, "mean and SD L1", "shape"),
    "profile_l2": Metric(profile_l2, "mean and SD L2", "shape"),
    "log_spectral_distance": Metric(log_spectral_distance, "log-spectral distance", "colour"),
    "autocorrelation_distance": Metric(autocorrelation_distance, "autocorrelation", "colour"),
    "passes": Metric(passes, "passes the gate", "gate", "higher", spread="binomial"),
    "precision": Metric(precision, "precision", "fidelity", "near the floor", spread="halves"),
    "density": Metric(density, "density", "fidelity", "near the floor", spread="halves"),
    "coverage": Metric(coverage, "coverage", "diversity", "near the floor", spread="halves"),
    "recall": Metric(recall, "recall", "diversity", "near the floor", spread="halves"),
    "mode_occupancy": Metric(mode_occupancy, "mode occupancy JS", "diversity"),
    "inception_score": Metric(
        inception_score, "Inception Score", "diversity", "near the floor", report_only="it never looks at real windows"
    ),
}


def linear_probe(train: Array, train_labels: np.ndarray, test: Array, test_labels: np.ndarray) -> float:
    """How well a linear classifier tells labels from features (n, d): balanced accuracy on (m, d), 1 is perfect.

    Logistic regression on standardised features, fitted on ``train``; labels that either side lacks are left out.
    """
    both = np.intersect1d(train_labels, test_labels)
    kept, asked = np.isin(train_labels, both), np.isin(test_labels, both)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, class_weight="balanced"))
    with threadpool_limits(1):
        told = probe.fit(train[kept], train_labels[kept]).predict(test[asked])
    return float(balanced_accuracy_score(test_labels[asked], told))


def values(real: Array, fake: Array, context: Context, names: Iterable[str]) -> dict[str, float]:
    """The metrics called ``names`` of generated windows against held-out real ones, without floor and reach."""
    i, j = np.arange(len(real)), np.arange(len(fake))
    return {name: METRICS[name].prepare(real, fake, context)(i, j) for name in names}
