"""Halves and crops: no piece is in both, defects are in their crops, training has no way to the test."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meagan_lib import InputError
from meagan_lib.images import Photograph, split
from meagan_lib.images.crops import centres
from meagan_lib.images.halves import training_pieces

KINDS = ("a", "b", "free")
SHOWN = st.dictionaries(st.integers(0, 10**6), st.sets(st.sampled_from(KINDS), min_size=1), min_size=1, max_size=60)


@given(SHOWN, st.integers(0, 100))
def test_halves_are_equal_and_so_is_the_rarest_class_in_them(classes, seed):
    training = training_pieces(classes, seed)
    assert abs(2 * len(training) - len(classes)) <= 1
    counts = {kind: sum(kind in its for its in classes.values()) for kind in KINDS}
    _, rarest = min((n, kind) for kind, n in counts.items() if n)
    own = {piece for piece, its in classes.items() if rarest in its}
    assert abs(2 * len(training & own) - len(own)) <= 1


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(KINDS)), max_size=150), st.integers(0, 100))
def test_photographs_of_a_piece_never_straddle_the_halves(listed, seed):
    listed += [(100 + i, kind) for i, kind in enumerate(KINDS * 6)]
    photographs = [Photograph(Path(str(i)), kind, piece) for i, (piece, kind) in enumerate(listed)]
    training, test = split(photographs, seed)
    assert {p.piece for p in training.photographs}.isdisjoint(p.piece for p in test.photographs)
    assert sorted(training.photographs + test.photographs, key=str) == sorted(photographs, key=str)


def test_severstal_is_split_into_equal_halves_by_seed():
    classes = {i: {str(1 + i % 4)} if i < 6666 else {"free"} for i in range(12568)}
    one, again, other = (training_pieces(classes, seed) for seed in (0, 0, 1))
    assert len(one) == len(other) == 6284 and one == again != other


def test_training_crops_come_from_no_piece_of_the_test(photographs):
    training, test = split(photographs)
    crops, held_out = training.crops("spot", 32, 0), test.test_set("spot", 32)
    assert set(crops.pieces).isdisjoint(held_out.pieces)
    assert not hasattr(test, "crops") and not hasattr(test, "backgrounds")
    seen = {image.tobytes() for image in [*crops.images, *training.backgrounds(32, 0)]}
    assert seen.isdisjoint(image.tobytes() for image in held_out.images)


def test_fewer_annotated_pieces_are_among_more_of_them(photographs):
    training, _ = split(photographs)
    few, more, all_of_two = (training.annotated("spot", n, 3, each) for n, each in ((2, 1), (3, 1), (2, 0)))
    assert few.pieces("spot") == all_of_two.pieces("spot") == 2 and len(few.crops("spot", 32, 0, draws=1)) == 2
    assert set(few.photographs) < set(more.photographs) and set(few.photographs) < set(all_of_two.photographs)
    assert len(few.backgrounds(32, 0)) == len(training.backgrounds(32, 0))


def test_crops_show_their_defect_and_are_cut_at_native_resolution(photographs):
    training, _ = split(photographs)
    crops = training.crops("spot", 32, 0)
    assert crops.images.dtype == crops.masks.dtype == np.float32 and crops.images.shape == crops.masks.shape
    assert crops.masks.any(axis=(1, 2)).all() and set(np.unique(crops.masks)) == {0, 1}
    dark = crops.images[crops.masks > 0].mean()
    assert dark < crops.images[crops.masks == 0].mean() - 0.2  # image and mask were cut at the same place


@given(st.integers(1, 200), st.integers(1, 30), st.integers(8, 64))
def test_a_long_defect_is_covered_by_crops_in_its_middle(length, breadth, size):
    mask = np.zeros((260, 60), bool)
    mask[20 : 20 + length, 10 : 10 + breadth] = True
    places = centres(mask, size, most=1000)
    assert mask[tuple(places.T)].all()
    rows = np.flatnonzero(mask.any(axis=1))
    assert np.abs(rows[:, None] - places[:, 0]).min(axis=1).max() <= size / 2
    assert len(centres(mask, size)) == min(4, len(places))


def test_too_few_pieces_or_pixels_are_told(photographs):
    with pytest.raises(InputError, match="too few pieces without a defect"):
        split([p for p in photographs if p.kind == "spot"])
    spots = sorted({p.piece for p in photographs if p.kind == "spot"})
    with pytest.raises(InputError, match="too few pieces with a 'spot' \\(3\\)"):
        split([p for p in photographs if p.piece not in spots[3:]])
    training, _ = split(photographs)
    with pytest.raises(InputError, match="less than a crop of 41"):
        training.crops("spot", 41, 0)
    with pytest.raises(InputError, match="did you mean 'spot'"):
        training.crops("spots", 32, 0)
