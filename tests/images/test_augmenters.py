"""Augmenters: what they draw, what they leave alone, what they refuse."""

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from scipy import ndimage

from meagan_lib import InputError
from meagan_lib.images import AUGMENTERS, fit_augmenter, to_onnx
from meagan_lib.images.geometry import Motion, moved, moved_masks
from meagan_lib.images.surroundings import level_of
from meagan_lib.models.gan import GANTrainer

SIZE = 16
TINY = dict(steps=2, batch_size=4, width=4)
OPTIONS = {"painter": TINY, "decoder": TINY}


@pytest.fixture(scope="module")
def crops() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dark discs on grey noise; backgrounds of the noise alone."""
    rng = np.random.default_rng(0)
    surface = (0.5 + 0.05 * rng.standard_normal((14, SIZE, SIZE))).astype(np.float32).clip(0, 1)
    y, x = np.mgrid[:SIZE, :SIZE]
    masks = np.stack([(y - 6 - i / 2) ** 2 + (x - 8) ** 2 < 10 for i in range(6)]).astype(np.float32)
    return surface[:6] * (1 - 0.6 * masks), masks, surface[6:]


@pytest.fixture(scope="module")
def fitted(crops):
    """One augmenter of each name."""
    return {name: fit_augmenter(name, *crops, seed=0, **OPTIONS.get(name, {})) for name in AUGMENTERS}


@pytest.mark.parametrize("name", AUGMENTERS)
def test_crops_are_images_with_masks_and_the_same_of_the_same_seed(fitted, name):
    images, masks = fitted[name].draw(5, seed=1)
    assert images.shape == masks.shape == (5, SIZE, SIZE)
    assert images.dtype == masks.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 1 and set(np.unique(masks)) <= {0, 1}
    again, other = fitted[name].draw(5, seed=1), fitted[name].draw(5, seed=2)
    np.testing.assert_array_equal(images, again[0])
    np.testing.assert_array_equal(masks, again[1])
    assert not np.array_equal(images, other[0])


@pytest.mark.parametrize("name", OPTIONS)
def test_two_trainings_of_one_seed_give_the_same_bits(fitted, crops, name):
    again = fit_augmenter(name, *crops, seed=0, **TINY)
    np.testing.assert_array_equal(again.draw(3)[0], fitted[name].draw(3)[0])


@pytest.mark.parametrize("name", OPTIONS)
def test_a_training_that_stopped_is_resumed_to_the_same_bits(fitted, crops, tmp_path, monkeypatch, name):
    steps, step = [], GANTrainer.train_step

    def stopping(trainer):
        steps.append(trainer.step)
        if steps == [0, 1]:
            raise KeyboardInterrupt
        return step(trainer)

    monkeypatch.setattr(GANTrainer, "train_step", stopping)
    options = dict(seed=0, folder=tmp_path, checkpoint_every=1, **TINY)
    with pytest.raises(KeyboardInterrupt):
        fit_augmenter(name, *crops, **options)
    resumed = fit_augmenter(name, *crops, **options)
    assert steps == [0, 1, 1]
    np.testing.assert_array_equal(resumed.draw(3)[0], fitted[name].draw(3)[0])


@pytest.mark.parametrize("name, option", [("painter", "latent"), ("decoder", "margin"), ("decoder", "depth")])
def test_an_option_of_which_nothing_depends_is_refused(name, option, crops):
    with pytest.raises(InputError, match=f"'{option}' is no option"):
        fit_augmenter(name, *crops, **{option: 4})


def test_beyond_the_margin_of_the_mask_the_painter_changes_no_bit(fitted, crops):
    _, masks, backgrounds = crops
    painter = fitted["painter"]
    painted = painter.paint(backgrounds[:6], masks, seed=3)
    margin = painter.generator.margin
    reached = ndimage.binary_dilation(masks > 0.5, np.ones((1, 2 * margin + 1, 2 * margin + 1)))
    np.testing.assert_array_equal(painted[~reached], backgrounds[:6][~reached])
    assert (painted != backgrounds[:6])[masks > 0.5].mean() > 0.9


def test_the_painter_paints_where_a_mask_was_moved_to(fitted, crops):
    background = np.repeat(crops[2][:1], 2, axis=0)
    masks = np.zeros_like(background)
    masks[0, :1, :1] = masks[1, 15:, 15:] = 1
    changed = fitted["painter"].paint(background, masks) != background
    assert changed[0, :7, :7].any() and not changed[0, 7:, 7:].any()
    assert changed[1, 9:, 9:].any() and not changed[1, :9, :9].any()


def test_a_paste_is_dark_where_its_mask_is_and_the_background_elsewhere(fitted, crops):
    images, masks = fitted["copy_paste"].draw(20, seed=0)
    inside = ndimage.binary_erosion(masks > 0.5, np.ones((1, 3, 3)))
    assert images[inside].mean() < 0.3 < 0.45 < images[~ndimage.binary_dilation(masks > 0.5, np.ones((1, 9, 9)))].mean()


def test_a_paste_takes_on_the_exposure_of_its_place(fitted, crops):
    pasted, masks = fitted["copy_paste"].paste(np.full((1, SIZE, SIZE), 0.2, np.float32), np.array([0]))
    inside = ndimage.binary_erosion(masks[0] > 0.5, np.ones((3, 3)))
    assert pasted[0][inside].mean() / 0.2 == pytest.approx(0.4, abs=0.08)


def test_a_defect_at_the_edge_of_a_piece_is_compared_with_the_surface_and_not_with_the_dark_beyond(crops):
    _, masks, backgrounds = crops
    images = np.full_like(masks, 0.5) * (1 - 0.6 * masks)
    images[:, :4] = 0.02  # beyond the piece; the discs begin here
    paste = fit_augmenter("copy_paste", images, masks, backgrounds)
    touching = ndimage.binary_erosion(masks > 0.5, np.ones((1, 3, 3)))
    touching[:, :4] = False
    np.testing.assert_allclose(paste.ratio[touching], 0.4, rtol=0.1)
    np.testing.assert_allclose(level_of(images, masks, margin=1), 0.5, rtol=1e-3)


def test_a_mask_is_moved_with_its_image():
    disc = (np.hypot(*(np.mgrid[:48, :48] - 20)) < 8).astype(np.float32)[None].repeat(6, axis=0)
    masks, grids = moved_masks(disc, Motion(turn_degrees=90, scale=0.3, shift=0.2), np.random.default_rng(0))
    image = moved(1 - disc, grids)
    assert (image[masks == 1] < 0.5).all() and (image[masks == 0] >= 0.5).all()
    assert (masks.sum(axis=(1, 2)) >= 0.5 * disc.sum(axis=(1, 2))).all()


def test_the_exported_painter_gives_the_values_of_torch(fitted, crops):
    painter, (_, masks, backgrounds) = fitted["painter"], crops
    exported = to_onnx(painter)
    z = torch.randn(1, SIZE * SIZE, generator=torch.Generator().manual_seed(5))
    given = {"z": z.numpy(), "background": backgrounds[:1, None], "mask": masks[:1, None]}
    (painted,) = ReferenceEvaluator(onnx.load_from_string(exported)).run(None, given)
    np.testing.assert_allclose(painted[0, 0], painter.paint(backgrounds[:1], masks[:1], seed=5)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda i, m, b: (i[:0], m[:0], b), "annotated crops"),
        (lambda i, m, b: (i, 0 * m, b), "annotated crops"),
        (lambda i, m, b: (i, m[:3], b), "each crop needs a mask"),
        (lambda i, m, b: (i, m, b[:0]), "name some backgrounds"),
        (lambda i, m, b: (i, m, b[:, :8, :8]), "cut both alike"),
    ],
)
@pytest.mark.parametrize("name", AUGMENTERS)
def test_crops_from_which_nothing_can_be_learned_are_refused(crops, name, change, words):
    with pytest.raises(InputError, match=words):
        fit_augmenter(name, *change(*crops))


def test_an_unknown_augmenter_or_size_is_refused(crops):
    with pytest.raises(InputError, match="did you mean 'painter'"):
        fit_augmenter("panter", *crops)
    with pytest.raises(InputError, match="halved three times"):
        fit_augmenter("painter", *(a[:, :12, :12] for a in crops))
