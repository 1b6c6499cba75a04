"""Figures of generated crops: they show what they are given."""

import numpy as np

from meagan_lib import plots


def test_each_source_has_its_crops_with_and_without_outlines():
    images, masks = np.random.default_rng(0).random((12, 8, 8)), np.zeros((12, 8, 8))
    masks[:, 2:5, 2:5] = 1
    fig = plots.crops_with_masks({"real": (images, masks), "painter": (images[:3], masks[:3])}, shown=4)
    shown = [axis.images[0].get_array() for axis in fig.axes]
    assert [a.shape for a in shown] == [(20, 40), (20, 30)]
    np.testing.assert_array_equal(shown[0][:8, 10:18], images[1])
    np.testing.assert_array_equal(shown[0][10:18, 10:18], images[1])
    assert [text.get_text() for axis in fig.axes for text in axis.texts] == ["real", "painted"]


def test_the_architectures_name_the_size_of_the_crops():
    texts = [t.get_text() for axis in plots.image_architectures(48, 64, 10).axes for t in axis.texts]
    assert "2 × 48²" in texts and "20 × 24²" in texts and "z: noise, 48²" in texts
