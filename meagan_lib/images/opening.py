"""Opening photographs with masks: an entry of the catalogue, a folder of one's own, or one in the form of Severstal.

Only names and lists are read here; pixels are read when a photograph is.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pandas as pd

from meagan_lib import InputError
from meagan_lib.images.photographs import FREE, Photograph
from meagan_lib.recordings.catalogue import catalogue, fetch
from meagan_lib.recordings.opening import locate

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
DEFECT = "defect"
"""The class of defects where a folder states none."""
NEAR, ONE_SERIES = 50, 200
"""Photographs of magnetic tiles are numbered. Closer than the first, two are of one piece; up to the second they are
where the later one has the higher exposure: some exposures of a piece are in no list, which leaves a gap."""
AGAIN = (
    (85602, 85781, 86828, 88149),
    (108719, 108889),
    (37084, 37262),
    (8676, 10410, 10790),
    (7886, 54942, 61324, 68428, 71224),
)
"""Numbers of photographs of one tile that was photographed in several series: their fine structure, a difference of
Gaussians, correlates by 0.7 or more at the best shift, that of any two defects of other pieces by less than 0.5."""


def open_photographs(source: str | Path) -> tuple[Photograph, ...]:
    """List the photographs of an entry of ``data/catalogue.yaml``, or of a folder.

    A folder of one's own has ``images/`` and ``masks/``, a mask of the same stem for each image. Subfolders of both
    are classes of defects (without them all are of the class ``defect``), and ``images/free/`` holds images without a
    defect. Each stem is a piece, unless ``pieces.csv`` with the columns ``image`` and ``piece`` says which images show
    the same one. A folder in the form of Severstal has ``train.csv`` and ``train_images/``.

    ``InputError``: nothing there, an entry that is a recording, an image without mask or a mask without image.
    """
    entry = catalogue().get(str(source))
    if entry is not None:
        if entry["open"] != "photographs":
            raise InputError(f"'{source}' is a recording and holds no photographs: take magnetic_tile, or a folder")
        return magnetic_tile(fetch(str(source)))
    folder = locate(source)
    if folder is None or not folder.is_dir():
        raise InputError(f"no folder of photographs at {source}: check the path, or take magnetic_tile")
    return severstal(folder) if (folder / "train.csv").is_file() else own_folder(folder)


def magnetic_tile(paths: Iterable[Path]) -> tuple[Photograph, ...]:
    """List magnetic tiles, ``MT_<Class>/Imgs/exp<exposure>_num_<number>.jpg``, each with its mask as ``.png``."""
    paths = sorted(path for path in paths if path.suffix == ".jpg")
    about = [tuple(map(int, re.findall(r"\d+", path.stem))) for path in paths]
    piece = tile_pieces(about)
    kind = [path.parts[-3].removeprefix("MT_").lower() for path in paths]
    return tuple(
        Photograph(path, kind, piece[its], None if kind == FREE else path.with_suffix(".png"))
        for path, kind, its in zip(paths, kind, about)
    )


def tile_pieces(about: Iterable[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return (exposure, number) → physical piece.

    A tile was photographed under exposures 1 to 6, in this order, with rising numbers. The next number belongs to the
    same piece if it is closer than ``NEAR``, or not farther than ``ONE_SERIES`` and of a higher exposure; and series of
    ``AGAIN`` show one piece. Two pieces may so be taken for one, which costs a piece and lets nothing of a test
    photograph into training.
    """
    ordered = sorted(about, key=lambda one: one[1])
    pieces, piece = dict.fromkeys(ordered[:1], 0), 0
    for before, one in pairwise(ordered):
        gap = one[1] - before[1]
        piece += not (gap < NEAR or (gap <= ONE_SERIES and one[0] > before[0]))
        pieces[one] = piece
    by_number = {number: its for (_, number), its in pieces.items()}
    same = {}
    for series in AGAIN:
        known = [by_number[number] for number in series if number in by_number]
        same |= dict.fromkeys(known, known[:1])
    return {one: same.get(its, [its])[0] for one, its in pieces.items()}


def own_folder(folder: Path) -> tuple[Photograph, ...]:
    """List the photographs of a folder with ``images/`` and ``masks/``, as :func:`open_photographs` describes it."""
    images, masks = (_images_in(folder / part) for part in ("images", "masks"))
    if not images:
        raise InputError(f"{folder} has no images: put them into {folder / 'images'}, their masks into masks/")
    if not masks:
        raise InputError(f"{folder} has no masks: put one for each image with a defect into {folder / 'masks'}")
    annotated = {key for key in images if key[0] != FREE}
    masks = {key: path for key, path in masks.items() if key[0] != FREE}  # black ones, if any
    for key in sorted(annotated - set(masks)):
        raise InputError(
            f"{images[key]} has no mask in {folder / 'masks'}: add one of the same name, or move the image to "
            f"{folder / 'images' / FREE} if it shows no defect"
        )
    for key in sorted(set(masks) - annotated):
        raise InputError(f"{masks[key]} is the mask of no image: it needs one of its name under {folder / 'images'}")
    piece = _pieces(folder, sorted({stem for _, stem in images}))
    return tuple(
        Photograph(path, kind or DEFECT, piece[stem], masks.get((kind, stem)))
        for (kind, stem), path in sorted(images.items())
    )


def _images_in(folder: Path) -> dict[tuple[str, str], Path]:
    """Return (subfolder, stem) → file of the images in a folder and in its subfolders; subfolder "" for itself."""
    found: dict[tuple[str, str], Path] = {}
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."):
            key = ("" if path.parent == folder else path.parent.name, path.stem)
            if key in found:
                raise InputError(f"{found[key]} and {path} have one name: rename one of them, and its mask")
            found[key] = path
    return found


def _pieces(folder: Path, stems: Sequence[str]) -> Mapping[str, int]:
    """Return stem → piece as ``pieces.csv`` of a folder says; each its own where there is none."""
    listed = folder / "pieces.csv"
    if not listed.is_file():
        return {stem: i for i, stem in enumerate(stems)}
    table = read_csv(listed)
    if not {"image", "piece"} <= set(table.columns):
        raise InputError(f"{listed} needs the columns image and piece, and has {', '.join(table.columns)}")
    named = {Path(image).stem: piece for image, piece in zip(table["image"], table["piece"])}
    if missing := [stem for stem in stems if stem not in named]:
        raise InputError(f"{listed} does not say of which piece {missing[0]} is: add a line for each image")
    number = {piece: i for i, piece in enumerate(sorted(set(named.values())))}
    return {stem: number[named[stem]] for stem in stems}


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table of texts; an empty field is an empty text. ``InputError``: a file that is no table."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no table with commas: {str(error).splitlines()[0]}") from error


def severstal(folder: Path) -> tuple[Photograph, ...]:
    """List the photographs of a folder in the form of Severstal steel: ``train.csv`` and ``train_images/``.

    The table has the columns ``ImageId_ClassId`` (such as ``0002cc93b.jpg_1``) and ``EncodedPixels``, or ``ImageId``,
    ``ClassId`` and ``EncodedPixels``. An image with defects of several classes is listed once for each, as one piece;
    an image of which no class has pixels shows no defect, and so does one that the table does not list.

    ``InputError``: another table, an image that is not there, or one of a class that is listed twice.
    """
    listed, within = folder / "train.csv", folder / "train_images"
    table = read_csv(listed)
    if "ImageId_ClassId" in table.columns:
        table[["ImageId", "ClassId"]] = (
            table["ImageId_ClassId"].str.rsplit("_", n=1, expand=True).reindex(columns=[0, 1])
        )
    if not {"ImageId", "ClassId", "EncodedPixels"} <= set(table.columns) or not table["ClassId"].notna().all():
        raise InputError(
            f"{listed} is not in the form of Severstal: its columns must be ImageId_ClassId, EncodedPixels, or "
            f"ImageId, ClassId, EncodedPixels"
        )
    if (twice := table.duplicated(["ImageId", "ClassId"])).any():
        image, its = table.loc[twice, ["ImageId", "ClassId"]].iloc[0]
        raise InputError(f"{listed} has class {its} of {image} twice: leave one of the lines out")
    there = {path.name: path for path in sorted(within.glob("*")) if path.suffix.lower() in SUFFIXES}
    for image in table["ImageId"]:
        if image not in there:
            raise InputError(f"{listed} names {image}, which is not in {within}: copy it there")
    piece = {name: i for i, name in enumerate(there)}
    marked = table[table["EncodedPixels"].str.strip() != ""]
    defects = [
        Photograph(there[image], its, piece[image], runs)
        for image, its, runs in zip(marked["ImageId"], marked["ClassId"], marked["EncodedPixels"])
    ]
    if not defects:
        raise InputError(f"{listed} has no mask: no line has pixels in its last column")
    without = set(there) - set(marked["ImageId"])
    return (*defects, *(Photograph(there[name], FREE, piece[name]) for name in sorted(without)))
