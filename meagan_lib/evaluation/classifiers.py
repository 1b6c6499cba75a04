"""Metrics that ask a classifier: how well it distinguishes real from generated windows, or labels by features."""

from functools import lru_cache

import numpy as np
import scipy.stats
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import nn

from meagan_lib.evaluation.context import Context, Statistic
from meagan_lib.windows.features import Array, classifier_features
from meagan_lib.windows.footprints import footprint_features


def c2st_auc(real: Array, fake: Array, context: Context, events: Array | None = None, n_trees: int = 120) -> Statistic:
    """Area under the ROC curve of a classifier real against generated, cross-validated; 0.5 is ideal.

    Gradient-boosted trees on :func:`~meagan_lib.windows.features.classifier_features`: a linear or quadratic
    classifier would pass a Gaussian. Lopez-Paz & Oquab 2017, arXiv:1610.06545. ``events`` (n + m,): windows of one
    event, real ones first, are never on both sides of a fold; without them each window is its own. Of footprints
    (n, electrodes, samples) the trees see :func:`~meagan_lib.windows.footprints.footprint_features`. Features are
    sorted into 127 bins: with scikit-learn's 255 the AUC is the same within .01, and takes half as long again.
    """
    x = np.concatenate([real, fake])
    x = footprint_features(x) if x.ndim == 3 else classifier_features(x, context.sampling_rate_hz)
    y = np.r_[np.ones(len(real)), np.zeros(len(fake))]
    trees = HistGradientBoostingClassifier(
        max_iter=n_trees, max_bins=127, early_stopping=False, random_state=context.seed
    )
    folds = _folds(y, events, 3, context.seed)
    with threadpool_limits(1):  # its threads spin while they wait, which starves whatever runs beside
        p = cross_val_predict(trees, x, y, cv=folds, method="predict_proba")[:, 1]
    return roc_auc(p[: len(real)], p[len(real) :])


def c2st_cnn_auc(real: Array, fake: Array, context: Context, events: Array | None = None) -> Statistic:
    """Area under the ROC curve as in :func:`c2st_auc`, of a small convolutional network that sees samples alone.

    It finds what no feature was made for. Logits of different folds have scales of their own, so their ranks within
    the fold are compared. The same bits twice on one thread of torch.
    """
    x = np.concatenate([real, fake]).astype(np.float32)
    x = x[:, None] if x.ndim == 2 else x  # electrodes are channels; images (n, channels, size, size) have theirs
    y = np.r_[np.ones(len(real)), np.zeros(len(fake))].astype(np.float32)
    rank = np.empty(len(x))
    for seen, unseen in _folds(y, events, 2, context.seed):
        logit = _fitted_cnn(x[seen], y[seen], context.seed)
        with torch.no_grad():
            rank[unseen] = scipy.stats.rankdata(logit(torch.from_numpy(x[unseen]))[:, 0]) / len(unseen)
    return roc_auc(rank[: len(real)], rank[len(real) :])


def _folds(y: Array, events: Array | None, n_folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows to train on and to predict in each fold, with even fractions of real windows, ``y`` (n,) = 1."""
    if events is None or len(np.unique(events)) == len(y):
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y))
    return _folds_of_events((y == 1).tobytes(), np.unique(events, return_inverse=True)[1].tobytes(), n_folds, seed)


@lru_cache(16)
def _folds_of_events(y: bytes, events: bytes, n_folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Do so with whole events, of which scikit-learn considers one after the other: once for all models compared."""
    y, events = np.frombuffer(y, bool), np.frombuffer(events, np.intp)
    return list(StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(y, y, events))


def _fitted_cnn(x: Array, y: Array, seed: int, epochs: int = 8, batch: int = 128, least: int = 80) -> nn.Module:
    """Fit three convolutions and a linear map from windows (n, channels, samples) to the logit (n, 1) of ``y`` = 1.

    Images (n, channels, size, size) are convolved in two dimensions.

    Of few windows it takes more epochs, so that there are ``least`` steps: after fewer, its answer is mostly chance.
    """
    convolution = nn.Conv2d if x.ndim == 4 else nn.Conv1d
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            convolution(x.shape[1], 16, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            convolution(16, 32, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            convolution(32, 32, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.LazyLinear(1),
        )
        network(torch.zeros(1, *x.shape[1:]))
    batches = -(-len(x) // batch)
    epochs = max(epochs, -(-least // batches))
    adam = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 4e-3, total_steps=epochs * batches)
    x, y = torch.from_numpy(x), torch.from_numpy(y)[:, None]
    rng = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=rng).split(batch):
            loss = nn.functional.binary_cross_entropy_with_logits(network(x[rows]), y[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
    return network.eval()


def refitted(auc: float, half_learned: float = 0.0) -> float:
    """Return what other training windows add to the variance of a cross-validated AUC, a multiple of the bootstrap's.

    Any two folds test each other. Where there is nothing to find, an accident counts twice: as much is added. Where
    the classes lie apart, a classifier is the same whatever it was trained on: nothing is added. A network that has
    learned some of what there is differs more from training to training: ``half_learned``, found by counting
    (``bench/INTERVALS.md``).
    """
    apart = abs(2 * auc - 1)
    return (1 - apart**2) * (1 + half_learned * apart * (1 - apart) ** 2)


def mann_whitney_u(a: Array, b: Array) -> float:
    """Count the pairs in which a value of ``a`` (n,) is above one of ``b`` (m,), ties by half.

    The U of ``scipy.stats.mannwhitneyu`` without its p-value: a bootstrap asks for it hundreds of times.
    """
    b = np.sort(b)
    return float(sum(np.searchsorted(b, a, side).sum() for side in ("left", "right")) / 2)


def roc_auc(real: Array, fake: Array) -> Statistic:
    """Area under the ROC curve, U / nm, of outputs (n,) and (m,) that are the higher, the more real."""
    return lambda i, j: mann_whitney_u(real[i], fake[j]) / (len(i) * len(j))


def linear_probe(train: Array, train_labels: np.ndarray, test: Array, test_labels: np.ndarray) -> float:
    """Predict labels from features (n, d) by a linear classifier: balanced accuracy on (m, d), 1 is perfect.

    Logistic regression on standardised features, fitted on ``train``; labels that either side lacks are left out.
    """
    both = np.intersect1d(train_labels, test_labels)
    kept, asked = np.isin(train_labels, both), np.isin(test_labels, both)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, class_weight="balanced"))
    with threadpool_limits(1):
        predicted = probe.fit(train[kept], train_labels[kept]).predict(test[asked])
    return float(balanced_accuracy_score(test_labels[asked], predicted))
