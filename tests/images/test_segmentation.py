"""Segmentation: it learns where defects are, twice the same; scores agree with scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import metrics

from meagan_lib import InputError
from meagan_lib.images import Segmentation, SegmentationConfig, precision_recall, segmentation_scores, split
from meagan_lib.images import segmentation as module

SMALL = SegmentationConfig(width=4, levels=2, steps=40, batch_size=8)


@pytest.fixture(scope="module")
def halves(photographs):
    return split(photographs)


@pytest.fixture(scope="module")
def trained(halves):
    training, _ = halves
    return Segmentation.fit(training.crops("spot", 32, 0), training.backgrounds(32, 0), SMALL)


def test_a_network_finds_dark_spots(halves, trained):
    test = halves[1].test_set("spot", 32)
    scores = segmentation_scores(test.masks, trained.probabilities(test.images))
    assert scores["dice"] > 0.8 and scores["ap_pixel"] > 0.9 and scores["ap_image"] > 0.9


def test_training_gives_the_same_bits_twice(halves, trained):
    training, test = halves
    images = test.test_set("spot", 32).images
    again = Segmentation.fit(training.crops("spot", 32, 0), training.backgrounds(32, 0), SMALL)
    np.testing.assert_array_equal(again.probabilities(images), trained.probabilities(images))


def test_half_of_each_batch_is_synthetic_and_none_is_changed(halves, monkeypatch):
    training, _ = halves
    crops, backgrounds = training.crops("spot", 32, 0), training.backgrounds(32, 0)
    seen, forward = [], module.UNet.forward
    monkeypatch.setattr(module.UNet, "forward", lambda self, x: seen.append(x.numpy()) or forward(self, x))
    config = replace(SMALL, steps=3)
    synthetic = np.random.default_rng(0).random((12, 32, 32), np.float32)
    for painted in (None, (synthetic, np.ones_like(synthetic))):
        Segmentation.fit(crops, backgrounds, config, painted)
    assert module.synthetic_images(config) == 12 and len(seen) == 6 and {len(x) for x in seen} == {8}
    known = {name: {x.tobytes() for x in its} for name, its in (("own", crops.images), ("empty", backgrounds))}
    batches = [[sum(x.tobytes() in its for x in batch) for its in known.values()] for batch in seen]
    assert batches == [[6, 2]] * 3 + [[2, 2]] * 3
    np.testing.assert_array_equal(np.concatenate([batch[4:] for batch in seen[3:]]), synthetic)


def test_the_loss_is_cross_entropy_and_what_dice_lacks():
    masks = torch.zeros(2, 1, 8, 8)
    masks[:, :, 2:4, 2:6] = 1
    p = torch.full(masks.shape, 0.3)
    dice = (2 * 0.3 * 16 + 1) / (0.3 * 128 + 16 + 1)
    wanted = torch.nn.functional.binary_cross_entropy(p, masks) + 1 - dice
    assert module.loss(torch.logit(p), masks).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    masks = (rng.random((20, 8, 8)) < 0.1).astype(np.float32) * (np.arange(20) < 12)[:, None, None]
    p = (0.3 * masks + 0.7 * rng.random(masks.shape)).astype(np.float32)
    scores = segmentation_scores(masks, p)
    assert scores["dice"] == pytest.approx(metrics.f1_score(masks.ravel() > 0, p.ravel() >= 0.5))
    assert scores["iou"] == pytest.approx(metrics.jaccard_score(masks.ravel() > 0, p.ravel() >= 0.5))
    for name, truth, score in (
        ("ap_pixel", masks.ravel(), p.ravel()),
        ("ap_image", masks.max(axis=(1, 2)), p.max(axis=(1, 2))),
    ):
        order = np.argsort(-score)
        hits = truth[order] > 0
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        assert scores[name] == pytest.approx(precision[hits].mean())
    recall, precision = precision_recall(masks, p)
    assert (np.diff(recall) > 0).all() and np.trapezoid(precision, recall) == pytest.approx(
        scores["ap_pixel"], abs=0.02
    )


def test_what_cannot_be_trained_is_refused(halves):
    training, _ = halves
    with pytest.raises(InputError, match="take a multiple of 8"):
        Segmentation.fit(training.crops("spot", 20, 0), training.backgrounds(20, 0), replace(SMALL, levels=4))
    with pytest.raises(InputError, match="lacks one kind"):
        replace(SMALL, background=0.5, synthetic=0.5)
