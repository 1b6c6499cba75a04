"""Photographs with masks: what is read rightly, what is refused, and which pieces are whose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from meagan_lib import InputError
from meagan_lib.images import decode, encode, kinds, open_photographs
from meagan_lib.images.opening import tile_pieces
from meagan_lib.images.photographs import read_grey, read_mask
from tests.images.conftest import save
from tests.recordings.test_recordings import mirrored

SPOT = np.pad(np.full((4, 6), 255, np.uint8), 10)
GREY = np.arange(SPOT.size, dtype=np.uint8).reshape(SPOT.shape)


def test_sixteen_bits_and_grey_in_three_channels_are_read_by_their_range(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    for name, values in (("a.png", GREY), ("b.png", np.stack([GREY] * 3, axis=2)), ("c.png", deep), ("d.tif", deep)):
        np.testing.assert_allclose(read_grey(save(tmp_path / name, values)), GREY / 255, atol=1e-6)


def test_masks_of_any_common_form_mark_the_same_pixels(tmp_path):
    wanted = SPOT > 0
    soft = np.where(wanted, 130, 125).astype(np.uint8)
    palette = Image.fromarray(wanted.astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0])
    palette.save(tmp_path / "palette.png")
    Image.fromarray(wanted).save(tmp_path / "bits.png")
    save(tmp_path / "soft.png", soft)
    save(tmp_path / "ones.png", wanted.astype(np.uint8))
    for name in ("palette", "bits", "soft", "ones"):
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}.png"), wanted, err_msg=name)


@pytest.fixture
def folder(tmp_path):
    """A folder of one's own: two classes, and images without a defect."""
    for kind, names in {"hole": "ab", "scratch": "ac", "free": "de"}.items():
        for name in names:
            save(tmp_path / "images" / kind / f"{name}.png", GREY)
            save(tmp_path / "masks" / kind / f"{name}.png", SPOT if kind != "free" else 0 * SPOT)
    return tmp_path


def test_a_folder_of_ones_own_has_classes_and_pieces(folder):
    photographs = open_photographs(folder)
    assert kinds(photographs) == ["hole", "scratch"] and len(photographs) == 6
    assert len({p.piece for p in photographs}) == 5  # 'a' shows both defects
    image, mask = photographs[-1].read()
    assert image.dtype == np.float32 and mask.sum() == (SPOT > 0).sum()
    lines = "\n".join(f"{stem}.png,{'left' if stem in 'ad' else stem}" for stem in "abcde")
    (folder / "pieces.csv").write_text(f"image,piece\n{lines}\n")
    piece = {p.path.stem: p.piece for p in open_photographs(folder)}
    assert piece["a"] == piece["d"] and len(set(piece.values())) == 4


def test_a_folder_without_subfolders_has_one_class(tmp_path):
    save(tmp_path / "images" / "a.jpg", GREY)
    save(tmp_path / "masks" / "a.png", SPOT)
    (photograph,) = open_photographs(tmp_path)
    assert photograph.kind == "defect"


def damage(folder, how):
    hole = folder / "masks" / "hole" / "a.png"
    if how == "size":
        save(hole, SPOT[:-1])
    elif how == "empty":
        save(hole, 0 * SPOT)
    elif how == "colour":
        save(folder / "images" / "hole" / "a.png", np.stack([GREY, GREY, 255 - GREY], axis=2))
    elif how == "float":
        Image.fromarray(GREY.astype(np.float32)).save(folder / "images" / "hole" / "a.tif")
        (folder / "images" / "hole" / "a.png").unlink()
    elif how == "cut":
        image = folder / "images" / "hole" / "a.png"
        image.write_bytes(image.read_bytes()[:-40])
    elif how == "text":
        (folder / "images" / "hole" / "a.png").write_text("no image")
    elif how == "no mask":
        hole.unlink()
    elif how == "no image":
        (folder / "images" / "hole" / "a.png").unlink()
    elif how == "no masks":
        (folder / "masks").rename(folder / "others")
    elif how == "twice":
        save(folder / "images" / "hole" / "a.jpg", GREY)
    elif how == "pieces":
        (folder / "pieces.csv").write_text("image,piece\na,1\n")


@pytest.mark.parametrize(
    "how, sentence",
    [
        ("size", "masks/hole/a.png has 23 × 26 pixels and its image 24 × 26"),
        ("empty", "masks/hole/a.png is empty"),
        ("colour", "images/hole/a.png is in colour"),
        ("float", "images/hole/a.tif has pixels of Pillow's kind 'F'"),
        ("cut", "images/hole/a.png is no readable image"),
        ("text", "images/hole/a.png is no readable image"),
        ("no mask", "images/hole/a.png has no mask"),
        ("no image", "masks/hole/a.png is the mask of no image"),
        ("no masks", "has no masks"),
        ("twice", "have one name"),
        ("pieces", "does not say of which piece b is"),
    ],
)
def test_bad_input_gets_one_sentence_that_names_the_file(folder, how, sentence):
    damage(folder, how)
    with pytest.raises(InputError, match=sentence):
        for photograph in open_photographs(folder):
            photograph.read()


@pytest.mark.parametrize("source, sentence", [("nowhere", "no folder of photographs"), ("locust", "is a recording")])
def test_what_holds_no_photographs_is_refused(source, sentence):
    with pytest.raises(InputError, match=sentence):
        open_photographs(source)


def test_exposures_of_a_tile_are_one_piece_even_where_some_are_missing():
    about = [(1, 100), (2, 120), (4, 160), (6, 330), (1, 500), (5, 640), (2, 645), (1, 720)]
    pieces = tile_pieces(about)
    assert [pieces[one] for one in about] == [0, 0, 0, 0, 1, 1, 1, 2]
    pieces = tile_pieces([(1, 108719), (2, 108741), (6, 108800), (1, 108889), (2, 108923), (1, 110000)])
    assert len(set(pieces.values())) == 2 and pieces[2, 108741] == pieces[2, 108923]  # of which r = 0.98


def test_magnetic_tiles_have_their_classes_and_masks():
    photographs = open_photographs(mirrored("magnetic_tile"))
    assert kinds(photographs) == ["blowhole", "break", "crack"] and len(photographs) == 557
    assert sum(p.kind == "free" for p in photographs) == 300
    pieces = [len({p.piece for p in photographs if p.kind == kind}) for kind in kinds(photographs)]
    assert pieces == [20, 16, 9]
    image, mask = next(p for p in photographs if p.kind == "blowhole").read()
    assert 0 <= image.min() < image.max() <= 1 and 0 < mask.mean() < 0.02


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_run_lengths_are_undone_by_reading_them(mask):
    np.testing.assert_array_equal(decode(encode(mask), mask.shape), mask)


def test_run_lengths_go_down_the_columns_from_one():
    mask = decode("29102 12 29346 24 29602 24", (256, 1600))
    assert mask.sum() == 60
    pixel = 29102
    rows, columns = np.nonzero(mask)
    assert mask[(pixel - 1) % 256, (pixel - 1) // 256]
    assert set(columns) == {113, 114, 115} and rows[columns == 113].tolist() == list(range(173, 185))


@pytest.mark.parametrize("runs", ["1 2 3", "a b", "0 4", "5 0", "4 3 5 2", "12 2", "1.5 2"])
def test_wrong_run_lengths_are_refused(runs):
    with pytest.raises(InputError):
        decode(runs, (3, 4))


HEADERS = {"old": "ImageId_ClassId,EncodedPixels", "new": "ImageId,ClassId,EncodedPixels"}


def severstal(folder, header, runs):
    """Write a folder in the form of Severstal: runs by (image, class)."""
    old = header == "old"
    lines = [f"{image}{'_' if old else ','}{kind},{its}" for (image, kind), its in runs.items()]
    (folder / "train.csv").write_text("\n".join([HEADERS[header], *lines, ""]))
    for image in {image for image, _ in runs} | {"z.jpg"}:
        save(folder / "train_images" / image, np.zeros((256, 1600), np.uint8))
    return folder


@pytest.mark.parametrize("header", HEADERS)
def test_the_form_of_severstal_is_read_with_both_headers(tmp_path, header):
    runs = {("0002cc93b.jpg", "1"): "29102 12 29346 24 29602 24", ("0002cc93b.jpg", "2"): "", ("b.jpg", "1"): ""}
    runs |= {("c.jpg", "3"): "1 2", ("c.jpg", "4"): "600 3"}
    photographs = open_photographs(severstal(tmp_path, header, runs))
    assert [(p.path.name, p.kind) for p in photographs] == [
        ("0002cc93b.jpg", "1"),
        ("c.jpg", "3"),
        ("c.jpg", "4"),
        ("b.jpg", "free"),
        ("z.jpg", "free"),
    ]
    assert len({p.piece for p in photographs}) == 4
    mask = photographs[0].read()[1]
    assert mask.shape == (256, 1600) and mask.sum() == 60


@given(st.data())
def test_masks_in_the_form_of_severstal_come_back(data):
    mask = data.draw(arrays(bool, (256, 3)))
    whole = np.zeros((256, 1600), bool)
    whole[:, data.draw(st.integers(0, 1597)) :][:, :3] = mask
    np.testing.assert_array_equal(decode(encode(whole), whole.shape), whole)


@pytest.mark.parametrize(
    "runs, sentence",
    [({("a.jpg", "1"): ""}, "has no mask"), ({("a.jpg", "1"): "409600 2"}, "a.jpg: run lengths end at pixel 409601")],
)
def test_a_damaged_table_in_the_form_of_severstal_is_refused(tmp_path, runs, sentence):
    with pytest.raises(InputError, match=sentence):
        for photograph in open_photographs(severstal(tmp_path, "new", runs)):
            photograph.read()


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("ImageId_ClassId,EncodedPixels\na.jpg,1 2\n", "not in the form of Severstal"),
        ("ImageId,EncodedPixels\na.jpg,1 2\n", "not in the form of Severstal"),
        ("ImageId,ClassId,EncodedPixels\nq.jpg,1,1 2\n", "names q.jpg, which is not in"),
        ("ImageId,ClassId,EncodedPixels\nz.jpg,1,1 2\nz.jpg,1,5 2\n", "class 1 of z.jpg twice"),
    ],
)
def test_another_table_is_refused(tmp_path, text, sentence):
    severstal(tmp_path, "new", {})
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        open_photographs(tmp_path)
