"""Types of spikes by their shape: how synthetic windows fall into the groups of the real ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from meagan_lib.evaluation.metrics import Metric
from meagan_lib.evaluation.neighbours import occupancy_divergence
from meagan_lib.evaluation.scores import by_event, evaluate
from meagan_lib.evaluation.statistics import wilson
from meagan_lib.network.groups import choose_groups
from meagan_lib.windows.features import shape_features
from meagan_lib.windows.spike_windows import SpikeWindows, Split

MOST_TRAIN, MOST_TEST = 1500, 2000
"""Most training windows that are grouped, and most windows of each source."""
WITHIN = 0.99
"""Fraction of the training spikes that no spike inside a group is further from its centre than."""


@dataclass(frozen=True)
class SpikeTypes:
    """Windows of several sources, "real" and models, in the groups of real training spikes."""

    table: pd.DataFrame
    """Model → ``divergence_bits`` from half of the real ones with its ``interval``, ``floor`` and ``floor_interval`` of
    the other half, and the fraction ``outside`` all groups."""
    label: dict[str, np.ndarray]
    """Source → group int64 (n,) of each window, the last for outside."""
    plane: dict[str, np.ndarray]
    """Source → (n, 2): the principal components of its windows."""
    share: dict[str, np.ndarray]
    """Source → fraction (groups + 1,) of its windows in each group."""
    error: dict[str, np.ndarray]
    """Source → (2, groups + 1): how far the 95 % interval of ``share`` (Wilson) reaches below and above."""


def log_shape(windows: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Return shape features of windows (n, samples) as rows; amplitudes and slopes in their logarithm."""
    features = shape_features(windows, sampling_rate_hz)
    return np.stack(
        [v if name.endswith("_ms") else np.log10(np.maximum(np.abs(v), 1e-9)) for name, v in features.items()], axis=1
    )


def compare_spike_types(
    windows: SpikeWindows,
    synthetic: Mapping[str, np.ndarray],
    most_groups: int = 6,
    fuzziness: float = 2.0,
    n_bootstrap: int = 199,
    seed: int = 0,
) -> SpikeTypes:
    """Group training windows by shape, and put held-out and ``synthetic`` windows, model → (n, samples), into them.

    A window is outside where it is further from every centre than 99 % of the training windows are from theirs.
    """
    rng = np.random.default_rng(seed)
    train = log_shape(rng.permutation(windows.of(Split.TRAIN))[:MOST_TRAIN], windows.sampling_rate_hz)
    scaler = StandardScaler().fit(train)
    train = scaler.transform(train)
    groups = choose_groups(train, most_groups, fuzziness, seed).groups
    limit, n_groups = np.quantile(groups.distances(train).min(axis=1), WITHIN), len(groups.centre)

    test, events = windows.of(Split.TEST), windows.events[windows.split == Split.TEST]
    n = min(MOST_TEST, len(test) // 2, *(len(w) for w in synthetic.values()))
    order = by_event(events, rng)[: 2 * n]  # one half and the other, all windows of a spike in one of them
    sources = {"real": test[order]} | {model: rng.permutation(w)[:n] for model, w in synthetic.items()}
    rows = {source: scaler.transform(log_shape(w, windows.sampling_rate_hz)) for source, w in sources.items()}
    label = {source: groups.assign(x, limit) for source, x in rows.items()}
    counts = {source: np.bincount(own, minlength=n_groups + 1) for source, own in label.items()}
    share = {source: k / k.sum() for source, k in counts.items()}

    # Two labels are compared by counting them alone: of the context of the metrics, that is the seed.
    metric = Metric(lambda a, b, _: occupancy_divergence(a, b, max(a.max(), b.max()) + 1), "groups JS", "diversity")
    context = SimpleNamespace(seed=seed)
    half, of_half = label["real"][:n], events[order[:n]]
    others = {"real": (label["real"][n:], events[order[n:]])}
    others |= {model: (label[model], events.max() + 1 + np.arange(n)) for model in synthetic}
    divergence = {
        source: evaluate(metric, half, own, context, n_bootstrap, (of_half, their_events))
        for source, (own, their_events) in others.items()
    }
    columns = ["divergence_bits", "interval", "floor", "floor_interval", "outside"]
    compared = {model: [*divergence[model], *divergence["real"], share[model][-1]] for model in synthetic}
    table = pd.DataFrame(compared, columns).T
    pca = PCA(2, svd_solver="full").fit(train)
    plane = {source: pca.transform(x) for source, x in rows.items()}
    ends = {source: np.transpose([wilson(k, of.sum()) for k in of]) for source, of in counts.items()}
    error = {source: np.abs(ends[source] - share[source]) for source in share}
    return SpikeTypes(table, label, plane, share, error)
