"""How near generated windows come to held-out real ones.

Every score stands beside its **floor** (the same metric between two random halves, A and B, of the real test set) and
its **reach** (the training windows against A: what a perfect copy of the training distribution would get, drift in
time included). The reference is always A; the training set is never one.

A metric is a function ``prepare(real, fake, context) → statistic``: the costly part is done once, and
``statistic(i, j)`` gives the value on the windows ``real[i]`` and ``fake[j]``, so that a bootstrap is cheap.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.stats
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

Array = NDArray[np.floating]
Statistic = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Context:
    """What the metrics share: fitted on the training windows, never on those that are compared.

    Attributes
    ----------
    pca
        Principal components of the training windows.
    sampling_rate_hz
        For the features that have a duration.
    seed
        Of random directions, folds and bootstrap.
    """

    pca: PCA
    sampling_rate_hz: float
    seed: int = 0

    @classmethod
    def fit(cls, train: Array, sampling_rate_hz: float, n_components: int = 10, seed: int = 0) -> "Context":
        """From training windows (n, samples), as z-scores."""
        pca = PCA(min(n_components, train.shape[1]), svd_solver="full").fit(train)
        return cls(pca, sampling_rate_hz, seed)


def shape_features(windows: Array, sampling_rate_hz: float) -> dict[str, Array]:
    """Features (n,) of the shape of a spike, by name; amplitudes in the windows' unit, times in ms.

    ``trough``: lowest value. ``peak_to_peak``: highest minus lowest. ``trough_to_peak_ms``: from the trough to the
    highest value after it. ``half_width_ms``: time below half the trough around it. ``fall``, ``rise``: steepest
    slope before and after the trough, per ms.
    """
    n, samples = windows.shape
    rows, ms = np.arange(n), 1000 / sampling_rate_hz
    at = windows.argmin(axis=1)
    index = np.arange(samples)
    after, before = index[None, :] > at[:, None], index[None, :] < at[:, None]
    peak_at = np.where(after, windows, -np.inf).argmax(axis=1)
    trough = windows[rows, at]
    above = windows > 0.5 * trough[:, None]
    left = np.where(above & before, index, -1).max(axis=1)
    right = np.where(above & after, index, samples).min(axis=1)
    slope = np.diff(windows, axis=1) / ms
    return {
        "trough": trough,
        "peak_to_peak": windows.max(axis=1) - trough,
        "trough_to_peak_ms": np.maximum(peak_at - at, 0) * ms,
        "half_width_ms": (right - left - 1) * ms,
        "fall": np.where(before[:, 1:] | (index[1:] == at[:, None]), slope, np.inf).min(axis=1).clip(max=0),
        "rise": np.where(after[:, 1:], slope, -np.inf).max(axis=1).clip(min=0),
    }


def power_spectra(windows: Array) -> Array:
    """|rfft|² of each window, (n, samples // 2 + 1)."""
    return np.abs(np.fft.rfft(windows, axis=1)) ** 2


def spectral_floor(windows: Array) -> Array:
    """By how much log mean power differs between two random halves of windows (n, samples), 95 %: (frequencies,).

    Δ log P̄ ≈ N(0, 4 s² / (n P̄²)), P̄ and s the mean and standard deviation of the power (delta method).
    """
    power = power_spectra(windows)
    return 1.96 * 2 * power.std(axis=0, ddof=1) / (power.mean(axis=0) * np.sqrt(len(windows)))


def classifier_features(windows: Array, sampling_rate_hz: float) -> Array:
    """What the classifier of the two-sample test sees: samples, log-spectrum and shape features, (n, features)."""
    spectrum = np.log(power_spectra(windows) + 1e-12)
    shape = np.stack(list(shape_features(windows, sampling_rate_hz).values()), axis=1)
    return np.concatenate([windows, spectrum, shape], axis=1).astype(np.float32)


def c2st_auc(real: Array, fake: Array, context: Context, n_trees: int = 120, n_folds: int = 3) -> Statistic:
    """Area under the ROC curve of a classifier real against generated, cross-validated; 0.5 is ideal.

    Gradient-boosted trees on :func:`classifier_features`: a linear or quadratic classifier would pass a Gaussian.
    Lopez-Paz & Oquab 2017, arXiv:1610.06545.
    """
    x = classifier_features(np.concatenate([real, fake]), context.sampling_rate_hz)
    y = np.r_[np.ones(len(real)), np.zeros(len(fake))]
    trees = HistGradientBoostingClassifier(max_iter=n_trees, early_stopping=False, random_state=context.seed)
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=context.seed)
    with threadpool_limits(1):  # its threads spin while they wait, which starves whatever runs beside
        p = cross_val_predict(trees, x, y, cv=folds, method="predict_proba")[:, 1]
    p_real, p_fake = p[: len(real)], p[len(real) :]
    return lambda i, j: float(
        roc_auc_score(np.r_[np.ones(len(i)), np.zeros(len(j))], np.r_[p_real[i], p_fake[j]])
    )


def validation_score(validation: Array, generated: Array, context: Context) -> float:
    """What picks a checkpoint: a short two-sample test against validation windows, lower is better.

    The sides may differ in number: more generated windows than real ones make the test less noisy.
    """
    statistic = c2st_auc(validation, generated, context, n_trees=40, n_folds=3)
    return statistic(np.arange(len(validation)), np.arange(len(generated)))


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


def amplitude_ks(real: Array, fake: Array, context: Context) -> Statistic:
    """Kolmogorov–Smirnov distance of the peak-to-peak amplitudes, in [0, 1]."""
    a, b = np.ptp(real, axis=1), np.ptp(fake, axis=1)
    return lambda i, j: float(scipy.stats.ks_2samp(a[i], b[j], method="asymp").statistic)


def log_spectral_distance(real: Array, fake: Array, context: Context) -> Statistic:
    """√ mean_f (log P_r(f) − log P_g(f))², P the mean power spectrum, natural logarithm."""
    a, b = power_spectra(real), power_spectra(fake)
    return lambda i, j: float(np.sqrt(np.mean((np.log(a[i].mean(axis=0)) - np.log(b[j].mean(axis=0))) ** 2)))


NEIGHBOURS = 5


def _real_ball_hits(real: Array, fake: Array) -> tuple[np.ndarray, np.ndarray]:
    """Coverage of each real window (n,) bool, and number of real balls that each generated one lies in (m,).

    A real window's ball reaches to its 5th nearest real neighbour.
    """
    radius = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(real).kneighbors(real)[0][:, -1]
    squared = (real**2).sum(1)[:, None] + (fake**2).sum(1)[None, :] - 2 * real @ fake.T
    inside = squared < (radius**2)[:, None]
    return inside.any(axis=1), inside.sum(axis=0)


def coverage(real: Array, fake: Array, context: Context) -> Statistic:
    """Share of real windows with a generated one nearer than their 5th real neighbour: low when modes are missing.

    Naeem et al. 2020, arXiv:2002.09797.
    """
    covered, _ = _real_ball_hits(real, fake)
    return lambda i, j: float(covered[i].mean())


def density(real: Array, fake: Array, context: Context) -> Statistic:
    """Mean number of real balls around a generated window, over 5: above 1 where it keeps to the crowded places.

    Naeem et al. 2020, arXiv:2002.09797.
    """
    _, hits = _real_ball_hits(real, fake)
    return lambda i, j: float(hits[j].mean() / NEIGHBOURS)


class Metric(NamedTuple):
    """A metric with its name in words."""

    prepare: Callable[[Array, Array, Context], Statistic]
    label: str
    higher_is_better: bool = False


METRICS: dict[str, Metric] = {
    "c2st_auc": Metric(c2st_auc, "C2ST AUC"),
    "frechet_distance": Metric(frechet_distance, "Fréchet distance"),
    "sliced_wasserstein": Metric(sliced_wasserstein, "sliced Wasserstein"),
    "amplitude_ks": Metric(amplitude_ks, "amplitude KS"),
    "log_spectral_distance": Metric(log_spectral_distance, "log-spectral distance"),
    "coverage": Metric(coverage, "coverage", higher_is_better=True),
    "density": Metric(density, "density", higher_is_better=True),
}


def distance_to_train(windows: Array, train: Array) -> Array:
    """Euclidean distance (n,) from each window (n, samples) to the nearest training window, computed exactly."""
    return NearestNeighbors(n_neighbors=1, algorithm="brute").fit(train).kneighbors(windows)[0][:, 0]


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


def nearer_to_train(generated: Array, test: Array) -> tuple[float, float]:
    """How often a generated window lies nearer to the training windows than a test window does, and its standard error.

    P(d_generated < d_test) + ½ P(=), of distances (n,) and (m,) from :func:`distance_to_train`: ½ where the model is as
    far from its training windows as new real ones are, towards 1 where it copies. The Mann–Whitney statistic behind C_T
    of Meehan, Chaudhuri & Dasgupta 2020 (arXiv:2004.05675).
    """
    n, m = len(generated), len(test)
    share = float(scipy.stats.mannwhitneyu(test, generated).statistic) / (n * m)
    return share, float(np.sqrt((n + m + 1) / (12 * n * m)))


def values(real: Array, fake: Array, context: Context, names: Iterable[str]) -> dict[str, float]:
    """The metrics called ``names`` of generated windows against held-out real ones, without floor and reach."""
    i, j = np.arange(len(real)), np.arange(len(fake))
    return {name: METRICS[name].prepare(real, fake, context)(i, j) for name in names}


@dataclass(frozen=True)
class Score:
    """A value with its 95 % interval, beside the floor with its own, and the reach; ``ratio`` = value / reach."""

    value: float
    interval: tuple[float, float]
    floor: float
    floor_interval: tuple[float, float]
    reach: float
    ratio: float


def evaluate(prepare, real: Array, fake: Array, context: Context, n_bootstrap: int) -> tuple[float, tuple[float, float]]:
    """Value of a metric and its 95 % interval, value ± 1.96 bootstrap standard errors (no metric is below 0).

    Resampling repeats windows, which moves a distance upwards; its spread is used, its mean is not.
    """
    statistic = prepare(real, fake, context)
    value = statistic(np.arange(len(real)), np.arange(len(fake)))
    rng = np.random.default_rng(context.seed)
    draws = [
        statistic(rng.integers(len(real), size=len(real)), rng.integers(len(fake), size=len(fake)))
        for _ in range(n_bootstrap)
    ]
    half = 1.96 * float(np.std(draws, ddof=1))
    return value, (max(value - half, 0.0), value + half)


def score_models(
    test: Array, train: Array, synthetic: dict[str, Array], sampling_rate_hz: float, n_windows: int = 2000,
    n_bootstrap: int = 50, seed: int = 0,
) -> dict[str, dict[str, dict]]:
    """Every metric for every model, with floors and reaches.

    Parameters
    ----------
    test, train
        Real windows (·, samples) as z-scores. ``train`` fits the PCA and gives the reach; it is never a reference.
    synthetic
        Generated windows (·, samples) of each model, as z-scores.
    n_windows
        Windows on each side; at most half the test set.
    n_bootstrap
        Resamplings for an interval.

    Returns
    -------
    dict
        model → metric → fields of :class:`Score`; the entry ``"reach"`` is the training windows themselves.
    """
    rng = np.random.default_rng(seed)
    n = min(n_windows, len(test) // 2, len(train), *(len(windows) for windows in synthetic.values()))
    order = rng.permutation(len(test))
    a, b = test[order[:n]], test[order[n : 2 * n]]
    candidates = {"reach": train[rng.permutation(len(train))[:n]]}
    candidates |= {name: windows[:n] for name, windows in synthetic.items()}
    context = Context.fit(train, sampling_rate_hz, seed=seed)
    scores: dict[str, dict[str, dict]] = {name: {} for name in candidates}
    for metric, (prepare, *_) in METRICS.items():
        floor, floor_interval = evaluate(prepare, a, b, context, n_bootstrap)
        values = {name: evaluate(prepare, a, windows, context, n_bootstrap) for name, windows in candidates.items()}
        reach = values["reach"][0]
        for name, (value, interval) in values.items():
            scores[name][metric] = asdict(Score(value, interval, floor, floor_interval, reach, value / reach))
    return scores


def comparison(scores: dict[str, dict[str, dict]], model: str, rival: str) -> dict[str, tuple[float, bool]]:
    """For each metric: by how much ``model`` is better than ``rival`` (negative: worse), and whether that is sure.

    Sure: the 95 % intervals do not overlap. Better is smaller, or larger for coverage and density.
    """
    rows = {}
    for name, metric in METRICS.items():
        a, b = scores[model][name], scores[rival][name]
        sign = 1 if metric.higher_is_better else -1
        apart = a["interval"][0] > b["interval"][1] or b["interval"][0] > a["interval"][1]
        rows[name] = (sign * (a["value"] - b["value"]), apart)
    return rows
