"""Images for the tests of the wing: files written here, and a folder of textured plates with dark spots."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from meagan_lib.images import open_photographs


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def plate(rng: np.random.Generator, spot: bool) -> tuple[np.ndarray, np.ndarray]:
    """A grey plate of 40 × 48 pixels with noise, and the mask of its dark spot, if it has one."""
    row, column = np.ogrid[:40, :48]
    at, radius = rng.integers(8, 32, 2), rng.integers(3, 6)
    mask = ((row - at[0]) ** 2 + (column - at[1]) ** 2 < radius**2) & spot
    image = 150 + 12 * rng.standard_normal(mask.shape) - 90 * mask
    return image.clip(0, 255).astype(np.uint8), (255 * mask).astype(np.uint8)


@pytest.fixture(scope="session")
def plates(tmp_path_factory):
    """A folder of one's own: eight pieces with a spot, two photographs of each, and eight without."""
    folder, rng, lines = tmp_path_factory.mktemp("plates"), np.random.default_rng(0), ["image,piece"]
    for i in range(24):
        image, mask = plate(rng, spot := i < 16)
        save(folder / "images" / ("spot" if spot else "free") / f"{i}.png", image)
        lines.append(f"{i},{i // 2}")
        if spot:
            save(folder / "masks" / "spot" / f"{i}.png", mask)
    (folder / "pieces.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="session")
def photographs(plates):
    return open_photographs(plates)
