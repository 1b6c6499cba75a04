"""Groups of electrodes: features, fuzzy groups of them, and whether the groups hold in unseen time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial.distance import cdist, pdist
from skfuzzy.cluster import cmeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, balanced_accuracy_score, silhouette_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from meagan_lib import InputError
from meagan_lib.evaluation.statistics import Tested, permutation_p
from meagan_lib.network.bursts import electrode_bursts
from meagan_lib.network.connectivity import mean_with_others, sttc
from meagan_lib.network.spike_trains import SpikeTrains, sources
from meagan_lib.windows.features import shape_features
from meagan_lib.windows.spike_windows import SpikeWindows

FEATURES = {
    "log_rate": "log₁₀ rate (Hz)",
    "cv": "CV",
    "cv2": "CV2",
    "burst_index": "burst index",
    "log_amplitude": "log₁₀ amplitude",
    "trough_to_peak_ms": "trough to peak (ms)",
    "half_width_ms": "half-width (ms)",
    "connectivity": "mean STTC",
}
"""Features of an electrode, and their names in words."""
LEAST = 10
"""Least number of electrodes to be grouped."""
MOST = 2000
"""Most rows of the silhouette, which compares all with all."""


def interval_features(trains: SpikeTrains) -> dict[str, np.ndarray]:
    """Compute ``cv`` and ``cv2`` (electrodes,) of the intervals of each electrode; NaN below three intervals.

    CV: standard deviation over mean. CV2 = mean of 2 |I₂ − I₁| / (I₂ + I₁) over neighbouring intervals, which a slow
    drift of the rate does not raise (Holt et al. 1996, doi:10.1152/jn.1996.75.5.1806). Both are 1 for a Poisson train,
    0 for a clock.
    """
    interval, owner = trains.intervals()
    n = np.bincount(owner, minlength=trains.n_electrodes)
    enough = n >= 3
    n = np.maximum(n, 1)
    mean = np.bincount(owner, interval, len(n)) / n
    variance = np.bincount(owner, (interval - mean[owner]) ** 2, len(n)) / n
    run = trains.runs
    same = np.diff(run[1:][np.diff(run) == 0]) == 0  # neighbouring intervals of one run
    local = 2 * np.abs(np.diff(interval)) / np.maximum(interval[1:] + interval[:-1], 1)
    pairs = np.maximum(np.bincount(owner[1:][same], minlength=len(n)), 1)
    return {
        "cv": np.where(enough, np.sqrt(variance) / np.maximum(mean, 1e-12), np.nan),
        "cv2": np.where(enough, np.bincount(owner[1:][same], local[same], len(n)) / pairs, np.nan),
    }


def channel_features(
    trains: SpikeTrains,
    within_ms: float,
    least: int = 4,
    windows: SpikeWindows | None = None,
    recording: int = 0,
    span: tuple[int, int] | None = None,
) -> dict[str, np.ndarray]:
    """Compute features (electrodes,) by the names of ``FEATURES``; NaN where there are too few spikes.

    The burst index is the fraction of an electrode's spikes that lie in a burst of ``least`` or more; the mean STTC,
    within ``within_ms``, is that with all other electrodes. ``windows`` of the same ``recording``, whose channels are
    the names of the electrodes, from the frame span[0] to the frame span[1], give the shape of the mean spike. Without
    them there are no features of shape, and without amplitudes no amplitude.
    """
    n, counts = trains.n_electrodes, np.maximum(trains.counts, 1)
    inside = electrode_bursts(trains, least).inside
    silent = trains.counts == 0
    with np.errstate(divide="ignore"):
        features = {"log_rate": np.where(silent, np.nan, np.log10(trains.rate_hz))} | interval_features(trains)
    features["burst_index"] = np.where(silent, np.nan, np.bincount(trains.electrode, inside, n) / counts)
    if len(trains.frame) and np.isfinite(trains.amplitude).all():
        size = [np.median(np.abs(trains.amplitude[a:b])) if b > a else np.nan for a, b in pairwise(trains.offsets)]
        features["log_amplitude"] = np.log10(np.maximum(size, 1e-12))
    if windows is not None:
        features |= _shapes(windows, [int(name) for name in trains.names], recording, span)
    features["connectivity"] = mean_with_others(sttc(trains, within_ms))
    return {name: features[name] for name in FEATURES if name in features}


def _shapes(
    windows: SpikeWindows, channels: Sequence[int], recording: int, span: tuple[int, int] | None
) -> dict[str, np.ndarray]:
    """Measure trough to peak and half-width (channels,) in ms of each channel's mean window; NaN without one."""
    first, end = span or (0, np.inf)
    here = np.flatnonzero((windows.recording == recording) & (windows.frame >= first) & (windows.frame < end))
    here = here[np.argsort(sources(windows)[here], kind="stable")]
    begins, ends = (np.searchsorted(sources(windows)[here], channels, side) for side in ("left", "right"))
    means = np.full((len(channels), windows.n_samples), np.nan, np.float32)
    for i in np.flatnonzero(ends > begins):
        means[i] = windows.windows[here[begins[i] : ends[i]]].mean(axis=0)
    shape = shape_features(means, windows.sampling_rate_hz)
    return {name: np.where(ends > begins, shape[name], np.nan) for name in ("trough_to_peak_ms", "half_width_ms")}


@dataclass(frozen=True)
class FeatureTable:
    """Features of the electrodes that have all of them, over the whole recording and in each block of time."""

    names: list[str]
    """Of the features that vary, keys of ``FEATURES``."""
    values: np.ndarray
    """(electrodes, features), z-scores."""
    blocks: np.ndarray
    """(blocks, electrodes, features), not standardised."""
    usable: np.ndarray
    """bool (all electrodes,): those of the rows."""


def feature_table(
    trains: SpikeTrains,
    n_blocks: int,
    within_ms: float,
    least: int = 4,
    windows: SpikeWindows | None = None,
    recording: int = 0,
) -> FeatureTable:
    """Tabulate :func:`channel_features` of the whole recording and of ``n_blocks`` equal blocks of its time."""
    whole = channel_features(trains, within_ms, least, windows, recording)
    parts = [
        channel_features(trains.between(*span), within_ms, least, windows, recording, span)
        for span in pairwise(trains.block_edges(n_blocks))
    ]
    blocks = np.stack([np.stack([part[name] for name in whole], axis=1) for part in parts])
    values = np.stack(list(whole.values()), axis=1)
    usable = np.isfinite(values).all(axis=1) & np.isfinite(blocks).all(axis=(0, 2))
    values, blocks = values[usable], blocks[:, usable]
    vary = values.std(axis=0) > 1e-9 if len(values) else np.zeros(len(whole), bool)
    values, blocks = values[:, vary], blocks[:, :, vary]
    z = (values - values.mean(axis=0)) / values.std(axis=0) if vary.any() else values
    return FeatureTable([name for name, kept in zip(whole, vary) if kept], z, blocks, usable)


@dataclass(frozen=True)
class FuzzyGroups:
    """Fuzzy c-means: groups from the largest to the smallest."""

    centre: np.ndarray
    """(groups, features)."""
    membership: np.ndarray
    """(n, groups), each row with sum 1."""
    fuzziness: float
    """m: 1 gives hard groups, ∞ none."""

    @property
    def label(self) -> np.ndarray:
        """Return the group int64 (n,) in which each has most membership."""
        return self.membership.argmax(axis=1)

    def distances(self, x: np.ndarray) -> np.ndarray:
        """Compute the distance (m, groups) of each row of ``x`` (m, features) from each centre."""
        return cdist(x, self.centre)

    def assign(self, x: np.ndarray, limit: float) -> np.ndarray:
        """Find the nearest group int64 (m,) of each row of ``x`` (m, features).

        Rows further than ``limit`` from every centre are outside, one beyond the last group.
        """
        away = self.distances(x)
        return np.where(away.min(axis=1) > limit, len(self.centre), away.argmin(axis=1))


def fuzzy_c_means(
    x: np.ndarray, n_groups: int, fuzziness: float = 2.0, seed: int = 0, n_starts: int = 5
) -> FuzzyGroups:
    """Group the rows of ``x`` (n, features); of several random starts the one with the least objective is kept.

    J = Σ_n Σ_i u_ni^m ‖x_n − v_i‖² is minimised in the memberships u and the centres v in turn (Bezdek 1981), by
    scikit-fuzzy.

    ``InputError``: fewer rows than groups, or a fuzziness of 1 or less.
    """
    if not (1 <= n_groups <= len(x) and fuzziness > 1):
        raise InputError(
            f"{n_groups} groups of {len(x)} rows at a fuzziness of {fuzziness:g} were asked for: there must be as many "
            f"rows as groups, and a fuzziness above 1"
        )
    rng = np.random.default_rng(seed)
    starts = [rng.dirichlet(np.ones(n_groups), len(x)).T for _ in range(n_starts)]
    fits = [cmeans(x.T, n_groups, fuzziness, 1e-5, 300, init=start) for start in starts]
    centre, u, *_ = min(fits, key=lambda fit: fit[4][-1])  # the last value of its objective
    order = np.argsort(-u.sum(axis=1), kind="stable")
    return FuzzyGroups(centre[order], u[order].T, fuzziness)


INDICES = {
    "partition": ("modified partition coefficient", True),
    "xie_beni": ("Xie–Beni index", False),
    "silhouette": ("silhouette", True),
}
"""Indices for the number of groups: name in words, and whether higher is better."""


def indices(groups: FuzzyGroups, x: np.ndarray) -> dict[str, float]:
    """Rate groups of ``x`` (n, features) by the ``INDICES``.

    ``partition``: (c Σ u² / n − 1) / (c − 1), 1 for hard groups, 0 for none (Dave 1996). ``xie_beni``: spread within
    groups over the least distance between two (Xie & Beni 1991). ``silhouette``: by how much nearer each is to its own
    group than to the next, mean (Rousseeuw 1987).
    """
    u, c, label = groups.membership, len(groups.centre), groups.label
    within = (u**groups.fuzziness * groups.distances(x) ** 2).sum()
    several = 1 < len(np.unique(label[:MOST])) < len(x)
    return {
        "partition": float((c * (u**2).sum(axis=1).mean() - 1) / (c - 1)),
        "xie_beni": float(within / (len(x) * max(pdist(groups.centre, "sqeuclidean").min(), 1e-12))),
        "silhouette": float(silhouette_score(x[:MOST], label[:MOST])) if several else -1.0,
    }


@dataclass(frozen=True)
class Choice:
    """The chosen number of groups, and why."""

    groups: FuzzyGroups
    n_groups: np.ndarray
    """(k,): the numbers that were tried, from 2."""
    values: dict[str, np.ndarray]
    """Index → (k,)."""
    votes: dict[str, int]
    """Index → the number that it prefers."""


def choose_groups(x: np.ndarray, most: int = 6, fuzziness: float = 2.0, seed: int = 0) -> Choice:
    """Group ``x`` (n, features) into as many groups as most of the ``INDICES`` prefer; the fewest in a tie.

    ``InputError``: fewer rows than ``LEAST``.
    """
    if len(x) < LEAST:
        raise InputError(f"groups of {len(x)} electrodes would mean nothing: {LEAST} active ones are needed")
    tried = np.arange(2, max(min(most, len(x) // 5), 2) + 1)
    fits = [fuzzy_c_means(x, int(c), fuzziness, seed) for c in tried]
    rows = [indices(fit, x) for fit in fits]
    values = {name: np.array([row[name] for row in rows]) for name in INDICES}
    best = {name: own.argmax() if INDICES[name][1] else own.argmin() for name, own in values.items()}
    votes = {name: int(tried[at]) for name, at in best.items()}
    chosen = np.bincount(list(votes.values())).argmax()
    return Choice(fits[int(chosen) - 2], tried, values, votes)


def resampled_agreement(x: np.ndarray, n_groups: int, fuzziness: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Compute the adjusted Rand index (n,) between groups of all rows and groups of a random 80 % of them."""
    label = fuzzy_c_means(x, n_groups, fuzziness).label
    agreement = np.empty(n)
    for i in range(n):
        kept = rng.permutation(len(x))[: max(round(0.8 * len(x)), n_groups)]
        agreement[i] = adjusted_rand_score(label[kept], fuzzy_c_means(x[kept], n_groups, fuzziness, n_starts=2).label)
    return agreement


@dataclass(frozen=True)
class Stability:
    """Groups beside those of Gaussian clouds of the same covariance: whether they are more than slices of one."""

    agreement: np.ndarray
    """(n,): adjusted Rand index under resampling."""
    cloud_agreement: np.ndarray
    """(n,): the same of clouds."""
    silhouette: Tested
    """The silhouette, beside those (n,) of clouds."""


def stability(x: np.ndarray, n_groups: int, fuzziness: float = 2.0, n: int = 50, seed: int = 0) -> Stability:
    """Test the stability of ``n_groups`` groups of ``x`` (n, features) by ``n`` resamples and ``n`` clouds."""
    rng, own = np.random.default_rng(seed), indices(fuzzy_c_means(x, n_groups, fuzziness), x)["silhouette"]
    centre, covariance = x.mean(axis=0), np.cov(x, rowvar=False)
    clouds = [rng.multivariate_normal(centre, covariance, len(x), method="eigh") for _ in range(n)]
    others = np.array([indices(fuzzy_c_means(c, n_groups, fuzziness, n_starts=2), c)["silhouette"] for c in clouds])
    agreement = resampled_agreement(x, n_groups, fuzziness, n, rng)
    cloud_agreement = np.concatenate([resampled_agreement(c, n_groups, fuzziness, 1, rng) for c in clouds])
    return Stability(agreement, cloud_agreement, Tested(own, others, permutation_p(own, others)))


def gaussian_mixture(x: np.ndarray, groups: FuzzyGroups, most: int = 6, seed: int = 0) -> tuple[int, float]:
    """Fit mixtures of Gaussians with one covariance: components of the lowest BIC, from 1, and agreement.

    The agreement is the adjusted Rand index of ``groups`` and a mixture of as many components.
    """
    fits = [
        GaussianMixture(c, covariance_type="tied", n_init=3, random_state=seed).fit(x)
        for c in range(1, max(most, len(groups.centre)) + 1)
    ]
    best = int(np.argmin([fit.bic(x) for fit in fits[:most]])) + 1
    return best, float(adjusted_rand_score(groups.label, fits[len(groups.centre) - 1].predict(x)))


def classify_unseen(
    blocks: np.ndarray, n_groups: int, fuzziness: float = 2.0, n_permutations: int = 199, seed: int = 0
) -> Tested:
    """Predict the group of an electrode in time that neither grouping nor classifier has seen: balanced accuracy.

    Each of the ``blocks`` of time (blocks, electrodes, features) is left out in turn. The others give groups (of the
    mean features) and train a logistic regression from features to groups; it then predicts the groups of the
    electrodes from their features in the block that was left out. The null gives the labels to other electrodes: it
    profits, too, from each resembling itself.

    ``InputError``: fewer than two blocks.
    """
    n_blocks, n, _ = blocks.shape
    if n_blocks < 2:
        raise InputError("to leave a block of time out there must be two at least: raise blocks")
    rng = np.random.default_rng(seed)
    orders = [np.arange(n), *(rng.permutation(n) for _ in range(n_permutations))]
    scores = np.zeros((len(orders), n_blocks))
    for left_out in range(n_blocks):
        seen = np.delete(blocks, left_out, axis=0)
        centre, scale = seen.mean(axis=(0, 1)), np.maximum(seen.std(axis=(0, 1)), 1e-9)
        seen, unseen = (seen - centre) / scale, (blocks[left_out] - centre) / scale
        label = fuzzy_c_means(seen.mean(axis=0), n_groups, fuzziness, seed).label
        rows = seen.reshape(-1, seen.shape[2])
        with threadpool_limits(1):
            for i, order in enumerate(orders):
                given = label[order]
                if len(np.unique(given)) < 2:
                    scores[i, left_out] = 1 / n_groups
                    continue
                model = LogisticRegression(class_weight="balanced", max_iter=200)
                model.fit(rows, np.tile(given, n_blocks - 1))
                scores[i, left_out] = balanced_accuracy_score(given, model.predict(unseen))
    accuracy, null = scores.mean(axis=1)[0], scores.mean(axis=1)[1:]
    return Tested(float(accuracy), null, permutation_p(accuracy, null))
