"""What draws a figure again: arguments of all kinds come back, and a file from a stranger runs no code."""

import importlib
import inspect
import json
import pkgutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from meagan_lib import InputError, plots
from meagan_lib.plots.drawing import FUNCTIONS
from meagan_lib.workflow import drawings, figures

TIME = np.linspace(-1, 2, 16, dtype=np.float32)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "folder", lambda run: tmp_path / run)
    monkeypatch.delenv(figures.STAGING, raising=False)
    return tmp_path


def back(value: object) -> object:
    """``value``, written as JSON and arrays and read again."""
    arrays: dict[str, np.ndarray] = {}
    return drawings.decoded(json.loads(json.dumps(drawings.encoded(value, arrays))), arrays)


def samples() -> Figure:
    windows = np.random.default_rng(0).normal(size=(2, 60, 16)).astype(np.float32)
    return plots.samples(TIME, *windows, model="vae_gan", unit="uV")


def test_every_public_function_that_makes_a_figure_says_what_drew_it():
    for found in pkgutil.iter_modules(plots.__path__):
        module = importlib.import_module(f"{plots.__name__}.{found.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            makes = inspect.signature(function).return_annotation
            if function.__module__ == module.__name__ and makes in (Figure, bytes) and name[0] != "_":
                internal = name in ("lesson_figure", "gif")
                assert internal or FUNCTIONS[f"{found.name}.{name}"] is function, f"{found.name}.{name}: @drawing"


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
keys = st.text() | st.integers() | st.tuples(st.text(), st.integers())


@given(st.recursive(plain, lambda of: st.lists(of) | st.dictionaries(keys, of) | st.tuples(of, of)))
def test_nested_containers_come_back(value):
    assert back(value) == value and repr(back(value)) == repr(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
        np.asfortranarray(np.arange(6.0).reshape(2, 3))[:, :2],
        np.arange(10)[::-2],
        np.array(["a", "bc"]),
        np.array(["a", None, 3.0], object),
        np.zeros((0, 4), bool),
        np.array(2.5),
    ],
    ids=str,
)
def test_arrays_keep_type_values_and_the_order_in_which_they_are_summed(array):
    again = back(array)
    assert again.dtype == array.dtype and again.shape == array.shape
    np.testing.assert_array_equal(again, array)
    if array.ndim > 1 and array.size:
        assert np.argsort(again.strides).tolist() == np.argsort(array.strides).tolist()


def test_the_same_array_is_held_once():
    arrays: dict[str, np.ndarray] = {}
    drawings.encoded({"a": TIME, "b": [TIME.copy(), TIME[::2]]}, arrays)
    assert len(arrays) == 2


def test_an_image_of_8_bits_is_held_in_bytes_and_any_other_as_it_is():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16).astype(np.float32) / 255
    for array, kind in ((image, np.uint8), (image.T, np.uint8), (image + np.float32(1e-7), np.float32)):
        arrays: dict[str, np.ndarray] = {}
        again = drawings.decoded(drawings.encoded(array, arrays), arrays)
        assert next(iter(arrays.values())).dtype == kind and again.dtype == np.float32
        assert again.tobytes() == array.tobytes() and again.strides == array.strides


def test_tables_numbers_and_missing_values_come_back():
    table = pd.DataFrame(
        {"n": [1, 2], "auc": [0.5, np.nan], "who": ["a", None], "kind": pd.Categorical(["x", "y"], ["y", "x"])},
        index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["data", "seed"]),
    )
    pd.testing.assert_frame_equal(back(table), table)
    pd.testing.assert_frame_equal(back(table.T), table.T)
    pd.testing.assert_series_equal(back(table["auc"]), table["auc"])
    assert type(back(np.float32(0.1))) is np.float32 and back(np.float32(0.1)) == np.float32(0.1)


def test_a_saved_figure_and_its_animation_are_drawn_again_with_the_same_bits(home):
    frames = [samples() for _ in range(3)]
    figures.save_figure(samples(), "pca", run="a", data={"t": TIME}, stamp="x", animation=plots.animation(frames, 50))
    kept = drawings.read(drawings.place(home / "a", "pca"))
    again = {"data": kept.data, "stamp": kept.stamp, "animation": kept.animation()}
    figures.save_figure(drawings.redrawn("a", "pca"), "pca", run="b", **again)
    for suffix in (".png", ".svg", ".npz", ".gif"):
        assert (home / "a" / f"pca{suffix}").read_bytes() == (home / "b" / f"pca{suffix}").read_bytes(), suffix
    assert drawings.redrawn(home / "b", "pca").axes


def test_what_changes_after_drawing_does_not_change_the_drawing():
    shown = {"real": np.arange(5.0)}
    fig = plots.distance_to_train(shown)
    shown["vae_gan"] = np.arange(5.0)
    assert list(fig.drawn_by.arguments["distances"]) == ["real"]


def test_a_figure_drawn_by_hand_has_no_drawing_and_takes_an_earlier_one_away(home):
    figures.save_figure(samples(), "pca", run="a", data={})
    figures.save_figure(Figure(), "pca", run="a", data={})
    with pytest.raises(InputError, match="nothing is kept that draws the figure 'pca' again"):
        drawings.redrawn("a", "pca")


@pytest.mark.parametrize(
    "name", ["os.system", "style.gif", "drawing.named", "lessons.lesson_figure", "models.mpl", "models"]
)
def test_no_function_can_be_called_but_those_that_draw(tmp_path, name):
    path = tmp_path / "pca.npz"
    call = {"drawing": [name, {"mapping": []}]}
    kept = {"mapping": [["figure", call], ["data", {"mapping": []}]]}
    np.savez(path, drawing=json.dumps({"version": 1, "kept": kept}))
    with pytest.raises(InputError, match="pca.npz is damaged, or no drawing"):
        drawings.read(path)


def test_nothing_is_unpickled_and_damage_gets_a_sentence(tmp_path):
    path = tmp_path / "pca.npz"
    np.savez(path, drawing=np.array([{"a": 1}], object))
    with pytest.raises(InputError, match="damaged"):
        drawings.read(path)
    np.savez(path, drawing=json.dumps({"version": 99, "kept": None}))
    with pytest.raises(InputError, match="newer version"):
        drawings.read(path)
    drawings.keep(path, samples(), {}, "", None)
    whole = path.read_bytes()
    for end in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match="damaged"):
            drawings.read(path)
