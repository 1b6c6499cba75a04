"""Drawings: what draws a saved figure again, without the run that it shows.

``figures/<run>/drawings/<id>.npz`` holds ``drawing``, the call of the function of ``meagan_lib.plots`` as JSON, and the
arrays of its arguments, each once, by hash. It comes from anywhere: arrays are not unpickled, and no function can be
called but the drawing functions of the plots.
"""

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from meagan_lib import InputError
from meagan_lib.workflow.files import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from meagan_lib.plots.drawing import Drawing

VERSION = 1
LARGEST = 2**31
"""Bytes that the arrays of a drawing may take; files that unfold to more are refused."""
PLAIN = (bool, int, float, str, type(None))
"""What JSON holds as it is."""
DAMAGED = (ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, TypeError)
DAMAGED += (ValueError, zipfile.BadZipFile, zlib.error)
"""What reading a file may raise that holds anything."""


@dataclass(frozen=True)
class Kept:
    """What was given to ``save_figure``: the calls that drew figure and animation, the data shown, the stamp."""

    figure: "Drawing"
    data: Mapping[str, np.ndarray]
    stamp: str = ""
    animation: "Drawing | None" = None


def place(of: Path, id: str) -> Path:
    """Return where the drawing of a figure lies, in a folder ``of`` figures."""
    return of / "drawings" / f"{id}.npz"


def redrawn(run: str | Path, id: str) -> "Figure":
    """Draw a figure of a run, or of a folder of figures, again: as its function draws it, without stamp.

    ``InputError``: nothing is kept of it, or it cannot be read.
    """
    from meagan_lib.workflow import figures

    return read(place(run if isinstance(run, Path) else figures.folder(run), id)).figure()


def keep(path: Path, figure: object, data: Mapping[str, np.ndarray], stamp: str, animation: bytes | None) -> bool:
    """Write what draws a figure, and its animation, again; return whether it is known.

    It is not known where no drawing function made them, or where an argument is none that a file can hold: then an
    earlier file is removed.
    """
    moving = None if animation is None else getattr(animation, "drawn_by", animation)
    kept = Kept(getattr(figure, "drawn_by", None), {name: np.asarray(its) for name, its in data.items()}, stamp, moving)
    arrays: dict[str, np.ndarray] = {}
    try:
        content = encoded({field.name: getattr(kept, field.name) for field in fields(kept)}, arrays)
    except TypeError:
        content = None
    if content is None or kept.figure is None:
        path.unlink(missing_ok=True)
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, drawing=json.dumps({"version": VERSION, "kept": content}), **arrays)
    return True


def read(path: Path) -> Kept:
    """Read what :func:`keep` has written.

    ``InputError``: no such file, a damaged or a foreign one, or one of a newer version.
    """
    if not path.is_file():
        raise InputError(f"nothing is kept that draws the figure '{path.stem}' again: run its notebook anew")
    with open(path, "rb") as file:
        return loaded(file, path.name)


def loaded(file: BinaryIO, name: str) -> Kept:
    """Read a drawing from an open file of that ``name``; errors as :func:`read`."""
    try:
        with zipfile.ZipFile(file) as members:
            if (size := sum(member.file_size for member in members.infolist())) > LARGEST:
                raise ValueError(f"it would take {size / 1e9:.0f} GB")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            content = json.loads(str(arrays["drawing"]))
            if content["version"] > VERSION:
                raise InputError(f"{name} is of a newer version of this project: update, then try again")
            kept = Kept(**decoded(content["kept"], arrays))
        if not (callable(kept.figure) and isinstance(kept.data, dict) and isinstance(kept.stamp, str)):
            raise TypeError("something is in the place of the figure, its data or its stamp")
        if wrong := [name for name in kept.data if name == "file" or re.search(r"[`\n\r]", name)]:
            raise ValueError(f"{wrong[0]!r} names no array")
        return kept
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{name} is damaged, or no drawing: {error}") from error


def encoded(value: object, arrays: dict[str, np.ndarray]) -> object:
    """Return ``value`` as JSON holds it; arrays are put into ``arrays``, by their hash.

    What is neither plain nor a list is a mapping with one key, its kind. Numbers of numpy keep their type, mappings
    their order and keys of any kind; of a dataclass only the fields are kept. ``TypeError``: anything else.
    """
    if type(value) in PLAIN:
        return value
    if isinstance(value, str):  # of numpy
        return str(value)
    if type(value) is list:
        return [encoded(item, arrays) for item in value]
    kind, content = _taken_apart(value, arrays)
    return {kind: content}


def _taken_apart(value: object, arrays: dict[str, np.ndarray]) -> tuple[str, object]:
    """Return the kind of a value, and what JSON holds of it."""
    import pandas as pd

    from meagan_lib.plots.drawing import Drawing

    def inner(items: object) -> object:
        return encoded(items, arrays)

    if isinstance(value, Drawing):
        return "drawing", [value.function, inner(value.arguments)]
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return "number", [value.dtype.str, value.item()]
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        return "objects", [list(value.shape), inner(value.ravel().tolist())]
    if isinstance(value, Mapping):
        return "mapping", [[inner(key), inner(item)] for key, item in value.items()]
    if isinstance(value, tuple):
        return "tuple", inner(list(value))
    if isinstance(value, pd.DataFrame):
        columns = [_column(value.iloc[:, i]) for i in range(value.shape[1])]
        return "frame", inner([_labels(value.columns), _labels(value.index), columns])
    if isinstance(value, pd.Series):
        return "series", inner([_labels(value.index), _column(value), value.name])
    if is_dataclass(value) and not isinstance(value, type):
        return "record", inner({field.name: getattr(value, field.name) for field in fields(value)})
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        grey = _as_grey(array)
        return ("array", _stored(array, arrays)) if grey is None else ("grey", _stored(grey, arrays))
    if isinstance(value, Collection) and not isinstance(value, (bytes, bytearray)):  # sets, ranges, views
        return "list", inner(list(value))
    raise TypeError(f"a drawing cannot hold a {type(value).__name__}")


def _as_grey(array: np.ndarray) -> np.ndarray | None:
    """Return the bytes (…) of an image float32 whose values are bytes over 255, a quarter of its size; else None."""
    if array.dtype != np.float32 or array.ndim < 2 or not (array.size and array.min() >= 0 and array.max() <= 1):
        return None
    grey = np.rint(array * 255).astype(np.uint8)
    return grey if _of_grey(grey).tobytes() == array.tobytes() else None


def _of_grey(grey: np.ndarray) -> np.ndarray:
    return grey.astype(np.float32) / 255


def _stored(array: np.ndarray, arrays: dict[str, np.ndarray]) -> list:
    """Put an array into ``arrays``; return its key, and its axes in the order of memory: sums depend on it."""
    axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    if array.flags.c_contiguous:
        axes = list(range(array.ndim))
    content = np.ascontiguousarray(array.transpose(axes)).reshape([array.shape[axis] for axis in axes])
    key = hashlib.sha256(f"{content.shape}{content.dtype.str}".encode() + content.tobytes()).hexdigest()[:32]
    arrays[key] = content
    return [key, axes]


def _column(column: object) -> tuple:
    """Return type and values of a column: an array where numpy knows the type, else the values one by one."""
    if isinstance(column.dtype, np.dtype) and not column.dtype.hasobject:
        return "", column.to_numpy()
    if column.dtype == "category":
        return "category", column.cat.codes.to_numpy(), list(column.cat.categories), bool(column.cat.ordered)
    return str(column.dtype), column.tolist()


def _labels(index: object) -> tuple:
    """Return what an index needs: names of its levels, and a column for each."""
    frame = index.to_frame(index=False)
    return list(index.names), [_column(frame.iloc[:, i]) for i in range(frame.shape[1])]


def decoded(content: object, arrays: Mapping[str, np.ndarray]) -> object:
    """Return the value of which :func:`encoded` made ``content`` and ``arrays``; dataclasses become namespaces."""
    if type(content) is list:
        return [decoded(item, arrays) for item in content]
    if type(content) is not dict:
        return content
    ((kind, inner),) = content.items()
    return PUT_TOGETHER[kind](inner, arrays)


def _drawing(inner: list, arrays: Mapping[str, np.ndarray]) -> "Drawing":
    from meagan_lib.plots.drawing import Drawing, named

    name, arguments = inner
    named(name)  # or LookupError
    return Drawing(name, decoded(arguments, arrays))


def _array(inner: list, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    key, axes = inner
    return arrays[key].transpose(np.argsort(axes)) if axes else arrays[key]


def _number(inner: list, arrays: Mapping[str, np.ndarray]) -> np.generic:
    return np.dtype(inner[0]).type(inner[1])


def _objects(inner: list, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    shape, items = inner
    flat = np.empty(len(items), object)
    flat[:] = decoded(items, arrays)
    return flat.reshape(shape)


def _mapping(inner: list, arrays: Mapping[str, np.ndarray]) -> dict:
    return {decoded(key, arrays): decoded(item, arrays) for key, item in inner}


def _series_of(column: tuple) -> object:
    import pandas as pd

    dtype, values, *category = column
    if category:
        return pd.Series(pd.Categorical.from_codes(values, *category))
    return pd.Series(values, dtype=dtype or None)


def _index_of(labels: tuple) -> object:
    import pandas as pd

    names, columns = labels
    levels = [_series_of(column) for column in columns]
    return pd.Index(levels[0], name=names[0]) if len(levels) == 1 else pd.MultiIndex.from_arrays(levels, names=names)


def _frame(inner: list, arrays: Mapping[str, np.ndarray]) -> object:
    import pandas as pd

    columns, index, values = decoded(inner, arrays)
    frame = pd.DataFrame(dict(enumerate(map(_series_of, values))))
    return frame.set_axis(_index_of(index), axis=0).set_axis(_index_of(columns), axis=1)


def _series(inner: list, arrays: Mapping[str, np.ndarray]) -> object:
    index, column, name = decoded(inner, arrays)
    return _series_of(column).set_axis(_index_of(index)).rename(name)


PUT_TOGETHER = {
    "array": _array,
    "drawing": _drawing,
    "frame": _frame,
    "grey": lambda inner, arrays: _of_grey(_array(inner, arrays)),
    "list": decoded,
    "mapping": _mapping,
    "number": _number,
    "objects": _objects,
    "record": lambda inner, arrays: SimpleNamespace(**decoded(inner, arrays)),
    "series": _series,
    "tuple": lambda inner, arrays: tuple(decoded(inner, arrays)),
}
"""How each kind of value is put together again."""
