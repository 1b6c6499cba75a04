"""Scores of a segmentation against known masks: Dice, IoU, average precision by pixel and by image."""

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve

THRESHOLD = 0.5
"""Probability from which on a pixel counts as defect: fixed beforehand, no test set chooses it."""


def dice(mask: np.ndarray, found: np.ndarray) -> float:
    """Return 2 |A ∩ B| / (|A| + |B|) of two bool arrays, of all pixels together; NaN where both are empty."""
    both = mask.sum() + found.sum()
    return float(2 * (mask & found).sum() / both) if both else np.nan


def segmentation_scores(masks: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Score probabilities (n, h, w) against masks (n, h, w) of 0 and 1, all pixels of all images together.

    ``dice`` and ``iou`` = dice / (2 − dice) at a probability of ``THRESHOLD``; ``ap_pixel``, average precision of the
    pixels; ``ap_image``, that of the images, by their most probable pixel: does it show a defect at all? Images without
    a defect count: what is found there is a false alarm.
    """
    truth = masks > 0
    overlap = dice(truth, probabilities >= THRESHOLD)
    largest = probabilities.max(axis=(1, 2))
    return {
        "dice": overlap,
        "iou": overlap / (2 - overlap),
        "ap_pixel": float(average_precision_score(truth.ravel(), probabilities.ravel())),
        "ap_image": float(average_precision_score(truth.any(axis=(1, 2)), largest)),
    }


def precision_recall(masks: np.ndarray, probabilities: np.ndarray, points: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return recall, rising, and precision of the pixels at about so many thresholds, each (points,)."""
    precision, recall, _ = precision_recall_curve((masks > 0).ravel(), probabilities.ravel())
    recall, precision = recall[::-1], precision[::-1]
    kept = np.unique(np.searchsorted(recall, np.linspace(0, 1, points)).clip(0, len(recall) - 1))
    return recall[kept], precision[kept]
