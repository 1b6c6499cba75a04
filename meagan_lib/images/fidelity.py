"""How close generated crops come to held-out real ones, and whether they copy the crops that they were made of.

Features are those of a convolutional network with fixed random weights, the same for every data set: no weights are to
be downloaded, and surfaces are nothing that ImageNet shows (Naeem et al. 2020, arXiv:2002.09797, section 4.1, find a
random embedding as good as a trained one away from ImageNet). Values compare augmenters with one another and with the
floor; they are no FID of another article.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from torch import nn

from meagan_lib import InputError
from meagan_lib.evaluation.context import COMPONENTS, Context
from meagan_lib.evaluation.metrics import METRICS
from meagan_lib.evaluation.scores import evaluate
from meagan_lib.images.augmenters import Annotated, Classical
from meagan_lib.images.geometry import Motion
from meagan_lib.images.surroundings import grown, level_of
from meagan_lib.training.trainer import seeded

FEATURE_METRICS = {
    "frechet_distance": "FID of random features",
    "coverage": "coverage",
    "distance_ratio": "nearest / second nearest training crop",
    "share_nearest": "nearer to a training crop than 95 % of held-out ones",
}
"""Metrics of features, by their name in :data:`meagan_lib.evaluation.METRICS`."""
C2ST = "c2st_cnn_auc"
REAL = "real, other half"
NEAR = 8
"""Pixels around the mask within which crops are compared: further away all is real."""
FEWEST = 12
"""Real crops without which nothing is compared: each half has a fifth neighbour."""


def near_defect(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return what is compared, float32 (n, 2, size, size): brightness relative to the level near the mask, and mask."""
    level = level_of(images, masks)
    return np.stack([(images / level - 1) * grown(masks, NEAR), masks], axis=1).astype(np.float32)


def random_network(channels: int = 2, width: int = 32) -> nn.Sequential:
    """Build the feature network: three strided convolutions of random orthogonal weights, always the same."""

    def build() -> nn.Sequential:
        layers: list[nn.Module] = []
        for inputs, outputs in ((channels, width), (width, 2 * width), (2 * width, 2 * width)):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.ReLU()]
            nn.init.orthogonal_(layers[-2].weight, gain=2**0.5)
        return nn.Sequential(*layers).requires_grad_(False)

    return seeded(build, 0)


def features(crops: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation over the crop of each random channel: (n, channels, size, size) → (n, 128)."""
    network = random_network(crops.shape[1])
    maps = torch.cat([network(part).flatten(2) for part in torch.from_numpy(crops).split(100)])
    return torch.cat([maps.mean(dim=2), maps.std(dim=2)], dim=1).double().numpy()


def fit_context(images: np.ndarray, masks: np.ndarray, seed: int = 0, n: int = 300) -> Context:
    """Fit what metrics look through to the training crops; principal components to these moved a little, as few are."""
    moved = features(near_defect(*Classical(images, masks, Motion()).draw(n, seed)))
    pca = PCA(min(COMPONENTS, n), svd_solver="full").fit(moved)
    return Context(pca, 1.0, features(near_defect(images, masks)), seed=seed)


def fidelity(
    real: Annotated,
    generated: Mapping[str, Annotated],
    train: Annotated,
    pieces: Sequence[int] | None = None,
    seed: int = 0,
    n_bootstrap: int = 50,
) -> pd.DataFrame:
    """Score generated crops against held-out ``real`` ones: columns augmenter, metric, value, low, high (95 %).

    ``generated``: augmenter → images and masks. ``train``: the crops it was fitted to. ``pieces`` (n,): the physical
    piece of each real crop, of which no two halves or folds share one. The floor, :data:`REAL`, is one half of the
    real pieces against the other; generated crops are compared with the first half, as many as the other has, for the
    scores depend on how many there are. The C2ST trains a small convolutional network and cross-validates it.
    """
    pieces = np.arange(len(real[0])) if pieces is None else np.unique(np.asarray(pieces), return_inverse=True)[1]
    if len(real[0]) < FEWEST:
        raise InputError(f"{len(real[0])} held-out crops are too few to compare: hold out at least {FEWEST}")
    if len(train[0]) < 2:
        raise InputError("one training crop has no second nearest: train on two crops at least")
    context, crops = fit_context(*train, seed=seed), near_defect(*real)
    half = np.isin(pieces, np.random.default_rng(seed).permutation(pieces.max() + 1)[::2])
    sides = {REAL: (crops[half], crops[~half], pieces[half], pieces[~half])}
    for name, of in generated.items():
        made = near_defect(*of)[: len(crops) - half.sum()]
        sides[name] = crops[half], made, pieces[half], pieces.max() + 1 + np.arange(len(made))
    rows = []
    for name, (a, b, *events) in sides.items():
        seen = {C2ST: (a, b)} | dict.fromkeys(FEATURE_METRICS, (features(a), features(b)))
        for metric, (x, y) in seen.items():
            value, (low, high) = evaluate(METRICS[metric], x, y, context, n_bootstrap, events)
            label = FEATURE_METRICS.get(metric, METRICS[metric].label)
            rows.append((name, label, float(value), float(low), float(high)))
    return pd.DataFrame(rows, columns=["augmenter", "metric", "value", "low", "high"])
