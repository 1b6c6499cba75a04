"""Photographs with masks: grey images and where their defects are, read from files when they are asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from meagan_lib import InputError
from meagan_lib.images import run_length

FREE = "free"
"""The class of photographs without a defect."""
RANGES = {"1": 1, "L": 255, "RGB": 255, "I;16": 65535, "I;16B": 65535, "I;16L": 65535}
"""Largest value of a pixel in the modes of Pillow that can be read."""
NEARLY_GREY = 2
"""Largest difference of channels, of 255, that compression may leave in a grey image stored in colour."""


@dataclass(frozen=True)
class Photograph:
    """A photograph: its file, the class of its defects, its physical piece, and where its mask is.

    ``mask`` is a file of the same size, or run lengths; None for a photograph without a defect. Photographs of one
    ``piece`` show the same object, perhaps the same defect: they stay together when data are split.
    """

    path: Path
    kind: str
    piece: int
    mask: Path | str | None = None

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Read the image, float32 (h, w) in [0, 1], and the mask, bool (h, w).

        ``InputError``: a file that is damaged or in colour, or a mask that is empty or of another size.
        """
        image = read_grey(self.path)
        if self.mask is None:
            return image, np.zeros(image.shape, bool)
        if isinstance(self.mask, str):
            try:
                mask, name = run_length.decode(self.mask, image.shape), f"the mask of {self.path}"
            except InputError as error:
                raise InputError(f"{self.path}: {error}") from error
        else:
            mask, name = read_mask(self.mask), f"{self.mask}"
        if mask.shape != image.shape:
            raise InputError(
                f"{name} has {mask.shape[0]} × {mask.shape[1]} pixels and its image {image.shape[0]} × "
                f"{image.shape[1]}: a mask must be as large as its image"
            )
        if not mask.any():
            raise InputError(
                f"{name} is empty: mark the defect, white on black, or put the image with those without a defect"
            )
        return image, mask


def kinds(photographs: Iterable[Photograph]) -> list[str]:
    """Return the classes of defects in photographs, sorted."""
    return sorted({photograph.kind for photograph in photographs} - {FREE})


def read_grey(path: Path) -> np.ndarray:
    """Read a grey image, float32 (h, w) in [0, 1]: values over the largest that 8 or 16 bits can hold.

    ``InputError``: a damaged file, a real colour image, or a depth that is not 8 or 16 bits.
    """
    values, largest = _pixels(path)
    if values.ndim == 3:
        if np.ptp(values.astype(np.int16), axis=2).max() > NEARLY_GREY:
            raise InputError(f"{path} is in colour: convert it to grey, the networks see one channel")
        values = values[..., 0]
    return values.astype(np.float32) / largest


def read_mask(path: Path) -> np.ndarray:
    """Read a mask, bool (h, w): pixels of at least half the brightest possible; of a palette or 0 and 1, all but 0.

    ``InputError``: as :func:`read_grey`.
    """
    with _opened(path) as image:
        if image.mode == "P":
            return np.asarray(image) > 0
    values = read_grey(path)
    return values > 0 if values.max() <= 1 / 255 else values >= 0.5


def _pixels(path: Path) -> tuple[np.ndarray, int]:
    """Read pixels (h, w) or (h, w, 3), the right way up, and their largest possible value."""
    with _opened(path) as image:
        mode = image.mode
        if mode in ("P", "LA", "RGBA", "CMYK", "YCbCr", "PA", "LAB", "HSV"):
            image, mode = image.convert("RGB"), "RGB"
        if mode not in RANGES:
            raise InputError(f"{path} has pixels of Pillow's kind '{mode}': save it in grey with 8 or 16 bits")
        return np.asarray(ImageOps.exif_transpose(image)), RANGES[mode]


def _opened(path: Path) -> Image.Image:
    """Open an image and read its pixels."""
    try:
        image = Image.open(path)
        image.load()
        return image
    except FileNotFoundError as error:
        raise InputError(f"there is no image {path}: check the path") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is no readable image, or is damaged: save or copy it again") from error
