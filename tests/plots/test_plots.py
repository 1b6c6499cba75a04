"""Every figure stands odd input: one channel, no positions, an empty category."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from meagan_lib import plots
from meagan_lib.evaluation.statistics import paired
from meagan_lib.plots import c1_networks
from meagan_lib.workflow import figures

VERDICTS = ["good", "constant", "dead", "clipped", "noisy", "mains"]
CHIP_UM = (64 * 42.0, 64 * 42.0)
TIME_S = np.arange(800) / 100
RATE_HZ = 5 + 40 * np.exp(-(((TIME_S - 3) / 0.2) ** 2))
TIME_MS = (np.arange(64) - 32) / 20


def grid(side: int, first: int = 0) -> np.ndarray:
    """Positions (side², 2) in µm."""
    return 42.0 * (first + np.stack(np.divmod(np.arange(side * side), side), axis=1))


def windows(n: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((n, 64))
    return 10 * noise - 100 * np.exp(-((TIME_MS / 0.2) ** 2))


def draw(fig: Figure) -> None:
    """Draw it, with every warning an error, as when a label finds no room."""
    assert isinstance(fig, Figure)
    FigureCanvasAgg(fig).draw()


def texts(fig: Figure) -> str:
    """All labels of a figure, its axes and its legends."""
    return " ".join(t.get_text() for t in fig.findobj(lambda artist: hasattr(artist, "get_text")))


pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("positions", [grid(8, 28), None, grid(64), grid(1), np.add(grid(3), [1e4, 0])])
def test_a_quality_map_counts_each_verdict_in_its_legend(positions):
    n = 9 if positions is None else len(positions)
    verdict = np.arange(n) % 5  # no mains
    fig = plots.quality_map(positions, verdict, np.where(verdict == 1, 0, 10.0), VERDICTS, "uV")
    draw(fig)
    assert "mains: 0" in texts(fig) and f"good: {(verdict == 0).sum()}" in texts(fig)
    assert "noise level (µV)" in texts(fig) and ("electrode" if positions is None else "x (µm)") in texts(fig)


@pytest.mark.parametrize("n", [1, 4, 100])
def test_without_positions_electrodes_stand_in_rows_and_none_is_hidden(n):
    places = plots.recordings.electrode_places(None, n)
    assert len(np.unique(places, axis=0)) == n and places.max() < max(plots.recordings.ROW, n / plots.recordings.ROW)
    fig = plots.quality_map(None, np.zeros(n, int), np.zeros(n), VERDICTS, "ADU")
    draw(fig)
    assert len(fig.axes[0].get_xticks()) <= 16 and (fig.axes[0].get_xticks() % 1 == 0).all()
    draw(plots.chip_map(None, np.ones(n), np.ones(n), "ADU"))


def test_a_whole_chip_is_one_collection_and_not_thousands_of_patches():
    values = np.random.default_rng(0).random(4096)
    fig = plots.chip_map(grid(64), values, values, "uV")
    draw(fig)
    assert [len(axis.collections) + len(axis.patches) for axis in fig.axes[:2]] == [1, 1]


@pytest.mark.parametrize("side, first, electrode", [(8, 28, 27), (64, 0, 4095), (1, 63, 0)])
def test_a_plate_zooms_to_the_electrode_whose_trace_is_drawn(side, first, electrode):
    places = 42.0 * (first + np.stack(np.divmod(np.arange(side * side), side), axis=1))
    voltage = np.sin(np.arange(100.0))
    fig = plots.mea_plate(places, (64 * 42.0,) * 2, electrode, np.arange(100) / 20_000, voltage, "uV")
    FigureCanvasAgg(fig).draw()
    axes = {axis.get_label(): axis for axis in fig.axes}
    (coloured,) = axes["patch"].patches
    assert np.allclose(np.add(coloured.get_xy(), coloured.get_width() / 2), places[electrode])
    assert len(axes["patch"].collections[0].get_paths()) == min(side, 8) ** 2
    (left, right), (bottom, top) = axes["patch"].get_xlim(), axes["patch"].get_ylim()
    assert left < places[electrode][0] < right and top < places[electrode][1] < bottom
    assert np.array_equal(axes["trace"].lines[0].get_ydata(), voltage)


@pytest.mark.parametrize("positions", [grid(8, 28), grid(64), grid(1), None])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("chip_um", [None, CHIP_UM])
def test_a_frame_of_activity_marks_its_instant(positions, sign, chip_um):
    activity = sign * (np.arange(9 if positions is None else len(positions)) % 4)
    fig = plots.activity_frame(positions, activity, TIME_S, RATE_HZ, 3.0, "spikes in 10 ms", chip_um)
    draw(fig)
    assert "3.000 s" in texts(fig) and "spikes in 10 ms" in texts(fig) and "spikes / s" in texts(fig)
    part = chip_um is not None and positions is not None and len(positions) < 4096
    assert ("part of the chip" in texts(fig)) == part


def test_silence_can_be_shown():
    draw(plots.activity_frame(grid(2), np.zeros(4), TIME_S, np.zeros(800), 0.0, "spikes in 10 ms"))


def test_an_animation_has_its_frames_is_small_and_always_the_same():
    activity = np.random.default_rng(0).poisson(1.0, (40, 64))

    def make(frames: int) -> bytes:
        shared = {"time_s": TIME_S, "rate_hz": RATE_HZ, "label": "spikes in 10 ms", "chip_um": CHIP_UM}
        return plots.activity_animation(grid(8, 28), activity[:frames], TIME_S[280 : 280 + frames], **shared)

    gif = make(40)
    assert make(3) == make(3) and len(gif) < 1_500_000
    picture = Image.open(io.BytesIO(gif))
    assert picture.n_frames == 40 and picture.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    first = np.asarray(picture.convert("RGB"))
    picture.seek(20)
    assert (np.asarray(picture.convert("RGB")) != first).any()


@pytest.mark.parametrize("counts", [{"kept": 80, "next too close": 20, "edge of split": 0}, {"kept": 0}])
@pytest.mark.parametrize("intervals_ms", [[1.0, 5.0], [3.0], []])
def test_reasons_have_counts_and_shares(counts, intervals_ms):
    fig = plots.intervals_isolation(np.array(intervals_ms), 2.0, counts)
    draw(fig)
    assert "detected peaks" in texts(fig) and ("80  (80.0 %)" if counts["kept"] else "0  (0.0 %)") in texts(fig)


def test_the_default_is_marked_on_its_curve():
    share = np.array([0.1, 0.08, 0.07])
    curve = dict(
        guard_ms=np.array([1.0, 2.0, 3.0]),
        kept=np.array([0.95, 0.9, 0.85]),
        contaminated=share,
        low=share - 0.01,
        high=share + 0.01,
    )
    fig = plots.contamination({"both": curve, "next": curve | {"contaminated": share + 0.02}}, ("both", 2.0))
    draw(fig)
    (ring,) = [line for line in fig.axes[0].lines if line.get_label() == "default"]
    np.testing.assert_allclose(ring.get_xydata(), [[90, 8]])
    for default in (None, ("both", 2.5)):
        unmarked = plots.contamination({"both": curve}, default)
        draw(unmarked)
        assert "both" in texts(unmarked) and "default" not in texts(unmarked)
    assert "(%)" in fig.axes[0].get_xlabel() and "(%)" in fig.axes[0].get_ylabel()


@pytest.mark.parametrize("sizes", [[200], [30, 0], [1, 5, 9, 20, 40], [0], [2] * 8])
@pytest.mark.parametrize(
    "plot", [plots.window_density, lambda time_ms, own, unit: plots.mean_sd(time_ms, {"real": own}, unit)]
)
def test_panels_name_their_group_and_its_size(plot, sizes):
    groups = {f"unit {i}": windows(n, i) for i, n in enumerate(sizes)}
    fig = plot(TIME_MS, groups, "uV")
    draw(fig)
    for i, n in enumerate(sizes):
        assert f"unit {i}  (n = {n})" in texts(fig)
    assert "time from trough (ms)" in texts(fig) and "voltage (µV)" in texts(fig)
    assert len({axis.get_xlim() for axis in fig.axes[: len(sizes)]}) == 1


@pytest.mark.parametrize("n", [3, 8, 60])
def test_samples_show_what_there_is(n):
    fig = plots.samples(TIME_MS, windows(n), windows(60), "vae_gan", "uV")
    draw(fig)
    alone = [len(axis.lines) for axis in fig.axes[2:]]
    assert sum(alone) == min(n, 8) + 8 and max(alone) == 1 and [len(axis.lines) for axis in fig.axes[:2]] == [n, 60]


@pytest.mark.parametrize("tokens, width", [(11, 64), (1, 4), (40, 16)])
def test_an_encoding_is_shown_whole(tokens, width):
    encoding = np.cos(np.outer(np.arange(tokens), np.arange(width)))
    fig = plots.positional_encoding(encoding)
    draw(fig)
    np.testing.assert_array_equal(fig.axes[0].images[0].get_array(), encoding)
    np.testing.assert_allclose(np.diag(fig.axes[1].images[0].get_array()), 1)
    assert "dimension of a token" in texts(fig) and "cosine" in texts(fig)


@pytest.mark.parametrize("blocks, heads, tokens", [(3, 4, 11), (1, 1, 1), (1, 2, 5)])
def test_attention_lies_at_the_times_of_its_patches(blocks, heads, tokens):
    maps = np.random.default_rng(0).dirichlet(np.ones(tokens), (blocks, heads, tokens))
    time_ms = 0.4 * (np.arange(tokens) - tokens // 2)
    fig = plots.attention(maps, time_ms, windows(9).mean(axis=0), TIME_MS)
    draw(fig)
    pictures = [axis.images[0] for axis in fig.axes if axis.images]
    assert len(pictures) == blocks * heads
    step = 0.4 if tokens > 1 else np.ptp(TIME_MS)
    left, right, bottom, top = pictures[-1].get_extent()
    assert (left, right) == pytest.approx((time_ms[0] - step / 2, time_ms[-1] + step / 2))
    assert (top, bottom) == pytest.approx((left, right))  # the first patch is the top row
    np.testing.assert_array_equal(pictures[-1].get_array(), maps[-1, -1])
    assert f"head {heads}" in texts(fig) and f"block {blocks}" in texts(fig)
    assert texts(fig).count("time from trough (ms)") == 2 and f"even: {1 / tokens:.2g}" in texts(fig)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_an_interpolation_goes_from_light_to_dark(steps):
    fig = plots.interpolation(TIME_MS, windows(steps), "uV", "transformer_gan")
    draw(fig)
    assert len(fig.axes) == steps and "0 %" in texts(fig) and ("100 %" in texts(fig)) == (steps > 1)
    light = [sum(axis.lines[-1].get_color()) for axis in fig.axes]
    assert light == sorted(light, reverse=True) and len(set(light)) == steps
    assert "time from trough (ms)" in texts(fig) and "voltage (µV)" in texts(fig)


def test_snapshots_show_the_first_and_the_last_frame_and_the_animation_all_of_them():
    shown = windows(20 * 2).reshape(20, 2, 64)
    fig = plots.snapshots(TIME_MS, np.arange(20), shown, "uV", "vae_gan")
    titles = [axis.get_title(loc="left") for axis in fig.axes]
    assert len(titles) == 8 and titles[0] == "step 0" and titles[-1] == "step 19"
    moving = Image.open(io.BytesIO(plots.snapshots_animation(TIME_MS, np.arange(3), shown[:3], "uV", "vae_gan")))
    assert moving.n_frames == 3


def test_generated_windows_are_drawn_over_the_real_ones_of_their_class():
    groups = {"unit 1": windows(5), "unit 2": windows(4)}
    fig = plots.mean_sd(TIME_MS, {"real": groups, "transformer_gan": {k: w + 1 for k, w in groups.items()}}, "uV")
    draw(fig)
    assert plots.LABELS["transformer_gan"] in [t.get_text() for t in fig.legends[0].get_texts()]
    for axis, own in zip(fig.axes, groups.values()):
        np.testing.assert_allclose(axis.lines[2].get_ydata(), own.mean(axis=0) + 1, rtol=1e-6)


def test_the_curve_of_distances_is_their_distribution():
    fig = plots.distance_to_train({"real": np.array([3.0, 1.0]), "transformer_gan": np.array([2.0])})
    np.testing.assert_array_equal(fig.axes[0].lines[0].get_xydata(), [[1, 0.25], [3, 0.75]])


@pytest.mark.parametrize("k, n_z", [(1, 1), (4, 3), (6, 5)])
def test_in_snapshots_each_z_keeps_its_shade(k, n_z):
    shown = windows(k * n_z).reshape(k, n_z, 64)
    fig = plots.snapshots(TIME_MS, 100 * np.arange(k), shown, "ADU", "vae_gan")
    draw(fig)
    for i, axis in enumerate(fig.axes[:k]):
        assert axis.get_title(loc="left") == f"step {100 * i}"
        assert [line.get_color() for line in axis.lines] == [line.get_color() for line in fig.axes[0].lines]
        np.testing.assert_array_equal([line.get_ydata() for line in axis.lines], shown[i])
    assert "voltage (ADC steps)" in texts(fig)


def test_boxes_of_a_network_have_their_shapes_and_words_stay_inside():
    shapes = {
        "generator": [("$z$", "64"), ("linear map,\n+ positions", "11 × 64"), ("sum", "48")],
        "discriminator": [("window $x$", "48"), ("logit", "1")],
    }
    fig = plots.architecture(shapes, {"generator": ("Gaussian", "48", 2)})
    draw(fig)
    assert [len(axis.patches) for axis in fig.axes] == [4, 2]
    for words in ("generator", "Gaussian", "11 × 64", "logit"):
        assert words in texts(fig)
    for axis in fig.axes:
        for text in axis.texts:
            box = text.get_window_extent()
            assert fig.bbox.x0 <= box.x0 and box.x1 <= fig.bbox.x1 and fig.bbox.y0 <= box.y0 and box.y1 <= fig.bbox.y1
    draw(plots.architecture({"alone": shapes["generator"]}, {}))


LAYERS = [
    ("window $x$", "64", 64),
    ("strided\nconvolutions", "512", 512),
    ("dense", "128", 128),
    ("$\\mu$, $\\log \\sigma^2$", "2 × 64", 128),
    ("$z = \\mu + \\sigma \\odot \\varepsilon$", "64", 64),
    ("linear map,\n+ positions", "11 × 64", 704),
    ("3 blocks:\nattention, MLP", "11 × 64", 704),
    ("patches,\nlow-pass", "64", 64),
    ("sum with\nGaussian: $\\tilde{x}$", "64", 64),
]


@pytest.mark.parametrize(
    "layers, waist, discriminator",
    [
        (LAYERS, 4, [("discriminator", "logit 1")]),
        (LAYERS[2:], 2, []),
        (LAYERS[:5] + 2 * LAYERS[5:], 4, [("D", "1")] * 2),
        ([("$x$", "9", 9), ("$z$", "1", 1), ("$x$", "9", 9)], 1, []),
        (LAYERS[:1], 0, [("D", "1")]),
    ],
)
def test_words_of_a_butterfly_stay_apart_and_inside(layers, waist, discriminator):
    fig = plots.butterfly(layers, waist, discriminator)
    draw(fig)
    boxes = [t.get_window_extent() for t in fig.axes[0].texts if t.get_text()]
    for i, box in enumerate(boxes):
        assert fig.bbox.x0 <= box.x0 and box.x1 <= fig.bbox.x1 and fig.bbox.y0 <= box.y0 and box.y1 <= fig.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_bars_of_a_butterfly_grow_with_the_root_of_their_values_and_z_stands_out():
    axis = plots.butterfly([("x", "64", 64), ("z", "16", 16), ("x", "64", 64)], 1, []).axes[0]
    bars = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    assert [bar.get_height() / bars[0].get_height() for bar in bars] == pytest.approx([1, 0.5, 1])
    assert bars[1].get_facecolor() == to_rgba(plots.COLOURS["vae_gan"]) != bars[2].get_facecolor()


@pytest.mark.parametrize("rows", [9, 1, 0])
def test_the_elbo_is_that_of_stage_1_alone(rows):
    step, stage = np.arange(1, 13), np.arange(12) < rows
    nll, kl, noise = (np.where(stage, value, np.nan) for value in (60 - step, step / 2, 1 / step))
    fig = plots.elbo({"step": step, "nll": nll, "kl": np.where(stage, kl, 5.0), "noise": noise}, 4.0)
    draw(fig)
    for axis, values in zip(fig.axes, (nll, kl, nll + kl, noise), strict=True):
        np.testing.assert_array_equal(axis.lines[0].get_xydata(), np.stack([step / 4, values], axis=1)[:rows])
    assert texts(fig).count("epoch") == 4 and texts(fig).count("nats") == 3 and "z-scores" in texts(fig)


@pytest.mark.parametrize("latent", [1, 5, 64])
def test_latent_numbers_are_sorted_by_their_kl_and_end_at_the_floor(latent):
    kl = np.random.default_rng(0).gamma(0.2, 2, latent)
    fig = plots.latent_usage({"after stage 1": kl, "after stage 2": 0 * kl}, {"after stage 1": 1, "after stage 2": 0})
    draw(fig)
    first, second = (line.get_ydata() for line in fig.axes[0].lines)
    np.testing.assert_array_equal(first, np.sort(kl.clip(1e-3))[::-1])
    assert (second == 1e-3).all() and fig.axes[0].get_ylim()[0] == 1e-3
    assert f"after stage 1: 1 of {latent} active" in texts(fig) and "(nats)" in fig.axes[0].get_ylabel()


@pytest.mark.parametrize("n, units", [(600, 12), (600, 1), (5, 0), (1, 1), (0, 0)])
def test_a_latent_space_colours_its_largest_units_and_greys_the_rest(n, units):
    mu = np.random.default_rng(0).standard_normal((n, 2))
    label = np.where((np.arange(n) + 1) % 3, np.sort(np.arange(n) % max(units, 1)), -1) if units else np.full(n, -1)
    fig = plots.latent_space(mu, 2 * mu, np.arange(float(n)), label, "uV")
    draw(fig)
    names = [t.get_text() for t in fig.axes[5].get_legend().get_texts()]
    assert len(names) == min(units, 8) + (label < 0).any()
    assert sum(int(name.split("(")[1][:-1]) for name in names) == n
    assert "amplitude (µV)" in texts(fig) and ("others, unknown" in texts(fig)) == (units > 8)
    dots = [c for axis in fig.axes[:4] for c in axis.collections]
    assert all(c.get_rasterized() for c in dots) and sum(len(c.get_offsets()) for c in dots) == 4 * n


def test_without_units_a_latent_space_has_one_column():
    fig = plots.latent_space(np.zeros((3, 2)), np.zeros((3, 2)), np.ones(3), None, "ADU")
    draw(fig)
    assert len(fig.axes) == 3 and "unit" not in texts(fig) and "amplitude (ADC steps)" in texts(fig)


@pytest.mark.parametrize("k, steps", [(1, 1), (6, 7), (4, 30)])
def test_a_traversal_goes_from_light_to_dark_and_has_a_key(k, steps):
    shown, values = windows(k * steps).reshape(k, steps, 64), np.linspace(-3, 3, steps)
    fig = plots.traversals(TIME_MS, shown, values, [f"latent {i}: peak to peak −38 %" for i in range(k)], "uV")
    draw(fig)
    for i, axis in enumerate(fig.axes[:k]):
        np.testing.assert_array_equal([line.get_ydata() for line in axis.lines], shown[i])
        light = [sum(line.get_color()) for line in axis.lines]
        assert light == sorted(light, reverse=True) and f"latent {i}:" in axis.get_title(loc="left")
    ticks = [t.get_text() for t in fig.axes[-1].get_yticklabels()]
    assert ticks[0] == "−3" and len(ticks) == min(steps, 9) and "voltage (µV)" in texts(fig)


@pytest.mark.parametrize("n, noise, unit", [(1, None, "normalised"), (3, 9.0, "uV"), (9, 0.5, "ADU")])
def test_residuals_lie_below_their_windows(n, noise, unit):
    real, made = windows(n), windows(n, 1)
    fig = plots.reconstructions(TIME_MS, real, made, noise, unit)
    draw(fig)
    shown = min(n, 4)
    assert len(fig.axes) == 2 * shown and ("± noise" in texts(fig)) == (noise is not None)
    for above, below, x, y in zip(fig.axes[:shown], fig.axes[shown:], real, made):
        np.testing.assert_array_equal([line.get_ydata() for line in above.lines], [x, y])
        np.testing.assert_array_equal(below.lines[-1].get_ydata(), x - y)
        assert above.lines[1].get_color() == plots.COLOURS["vae_gan"] and above.get_xlim() == below.get_xlim()
    assert plots.style.voltage_label(unit) in texts(fig) and f"residual ({plots.UNITS[unit]})" in texts(fig)


BASELINES = [source for source in plots.SOURCES if source not in ("real", "reach")]
FAMILIES = {"overall": {"auc": "C2ST AUC"}, "shape": {"l1": "L1", "ks": "KS"}, "diversity": {"recall": "recall †"}}
INTERVAL = (2.0, 1.0, 3.0)


def test_every_source_has_a_colour_a_marker_and_a_name_of_its_own():
    for values in zip(*plots.SOURCES.values()):
        assert len(set(values)) == len(plots.SOURCES)


@pytest.mark.parametrize("n", [1, 4, len(BASELINES)])
def test_a_forest_has_a_row_for_each_score_and_a_mark_for_each_model(n):
    models = ["reach", *BASELINES[:n]]
    excess = {model: {metric: INTERVAL for by in FAMILIES.values() for metric in by} for model in models}
    excess[models[-1]]["ks"] = (1e6, 1.0, 1e7)
    fig = plots.scores(excess, FAMILIES)
    draw(fig)
    rows = [label.get_text() for axis in fig.axes for label in axis.get_yticklabels()]
    assert rows == [label for by in FAMILIES.values() for label in by.values()]
    marks = [line for axis in fig.axes for line in axis.lines if line.get_marker() not in ("None", None, "")]
    assert len(marks) == 4 * len(models)
    hollow = [mark for mark in marks if mark.get_markerfacecolor() == "white"]
    assert len(hollow) == 1 and hollow[0].get_xdata()[0] == plots.evaluation.WORST
    assert all(plots.LABELS[model] in texts(fig) for model in models)
    assert all(family in texts(fig) for family in FAMILIES)


def test_a_flagged_failure_has_a_dark_cell_with_its_excess():
    excess = np.array([[5.04, -0.3, 250.0], [0.2, 1.5, 1.0]])
    flagged = excess > 1
    fig = plots.planted_failures(excess, flagged, ["amplitude × 1.2", "other real windows"], ["a", "b", "c"])
    draw(fig)
    shade = fig.axes[0].images[0].get_array()
    assert shade.shape == (3, 2) and ((shade > 0) == flagged.T).all()
    assert [t.get_text() for t in fig.axes[0].texts] == ["5.0", "0.2", "−0.3", "1.5", "250", "1.0"]
    assert [t.get_fontweight() for t in fig.axes[0].texts] == ["bold" if seen else "normal" for seen in flagged.T.flat]


def test_footprints_stand_where_their_electrodes_do_beside_the_mean_of_the_real_ones():
    places, time_ms = np.array([[0.0, 0.0], [42.0, 0.0], [0.0, -42.0]]), np.linspace(-1, 1, 20)
    real = -np.exp(-((time_ms / 0.1) ** 2)) * np.array([100.0, 40.0, 20.0])[:, None] * np.ones((9, 1, 1))
    fig = plots.footprints_in_place(time_ms, {"real": real, "vae_gan": 0.5 * real}, "uV", places)
    draw(fig)
    left, right = fig.axes
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("real (test)", "VAE-GAN")
    means = [line for line in right.lines if line.get_linewidth() > 1.2]
    dashed = [line for line in right.lines if line.get_linestyle() == "--"]
    for place, mean, typical in zip(places, means, dashed, strict=True):
        assert mean.get_xdata().mean() == pytest.approx(place[0], abs=1e-6)
        assert np.ptp(typical.get_ydata()) == pytest.approx(2 * np.ptp(mean.get_ydata()))
        assert typical.get_ydata().max() == pytest.approx(place[1], abs=1e-3)
    assert all(words in texts(fig) for words in ("1 ms", "20 µV", "y (µm)"))


APART = {"real": 0.97, "transformer_gan": 0.96, "vae_gan": 0.95}


@pytest.mark.parametrize("n", [1, len(BASELINES)])
def test_the_plane_of_density_and_coverage_has_a_box_for_the_floor(n):
    point = {"density": (0.9, 0.8, 1.0), "coverage": (0.95, 0.9, 0.99)}
    fig = plots.density_coverage(dict.fromkeys(("real", "reach", *BASELINES[:n]), point))
    draw(fig)
    (box,) = [patch for patch in fig.axes[0].patches if isinstance(patch, Rectangle)]
    assert box.get_bbox().bounds == pytest.approx((0.8, 0.9, 0.2, 0.09))
    assert "floor: test A, B" in texts(fig) and plots.LABELS[BASELINES[n - 1]] in texts(fig)
    assert "density" in texts(fig) and "coverage" in texts(fig)


@pytest.mark.parametrize(
    "plot",
    [
        lambda sources: plots.memorisation(dict.fromkeys(sources, np.linspace(1, 3, 50))),
        lambda sources: plots.spectra(
            np.arange(9), dict.fromkeys(sources, np.arange(1, 10)), np.ones((2, 9)), np.ones(9), "uV"
        ),
        lambda sources: plots.scores(
            {each: dict.fromkeys(("auc", "l1", "ks", "recall"), INTERVAL) for each in sources[1:]}, FAMILIES
        ),
    ],
)
@pytest.mark.parametrize("n", [4, 12, len(plots.SOURCES)])
def test_legend_and_names_of_axes_end_within_the_figure_with_all_sources_too(plot, n):
    fig = plot(list(plots.SOURCES)[:n])
    figures.put_stamp(fig, "full run")
    draw(fig)
    names = [axis.label for axes in fig.axes for axis in (axes.xaxis, axes.yaxis) if axis.label.get_text()]
    for box in [each.get_window_extent() for each in (*fig.legends, *names)]:
        assert fig.bbox.x0 <= box.x0 and box.x1 <= fig.bbox.x1
        assert fig.bbox.y0 <= box.y0 and box.y1 <= fig.bbox.y1


def test_new_windows_follow_the_diagonal_and_copies_rise_at_once():
    new = np.linspace(1, 3, 200)
    fig = plots.memorisation({"real": new, "reach": new, "bootstrap": 0.1 * new})
    draw(fig)
    reach, copies = fig.axes[1].lines[:2]
    np.testing.assert_allclose(reach.get_xdata(), reach.get_ydata(), atol=0.005)
    assert copies.get_color() == plots.COLOURS["bootstrap"] and (copies.get_ydata()[1:] == 1).all()
    assert "distance to the nearest training window (z-scores)" in texts(fig)


@pytest.mark.parametrize("n", [1, 4, len(BASELINES)])
@pytest.mark.parametrize("plot", [plots.embedding, lambda places: plots.pca(places, np.array([0.5, 0.2]))])
def test_each_model_has_a_panel_over_the_real_windows(n, plot):
    places = {source: np.random.default_rng(0).standard_normal((20, 2)) for source in ("real", *BASELINES[:n])}
    fig = plot(places)
    draw(fig)
    shown = [axis for axis in fig.axes if axis.get_visible()]
    assert [axis.get_title(loc="left") for axis in shown] == [plots.LABELS[model] for model in BASELINES[:n]]
    assert all(len(axis.collections) == 2 for axis in shown) and plots.LABELS["real"] in texts(fig)


@pytest.mark.parametrize("n", [1, len(BASELINES)])
def test_cost_and_quality_stand_where_they_were_measured(n):
    cost = {model: 10.0 ** (5 + i) for i, model in enumerate(BASELINES[:n])}
    fig = plots.cost_quality(cost, dict.fromkeys(cost, (0.6, 0.55, 0.65)), (0.5, 0.48, 0.52), 0.53, "C2ST AUC")
    draw(fig)
    marks = {line.get_label(): line.get_xydata()[0] for line in fig.axes[0].lines if len(line.get_xydata()) == 1}
    places = {label: tuple(place) for label, place in marks.items()}
    assert places == {plots.LABELS[model]: (x, 0.6) for model, x in cost.items()}
    assert "parameters × training windows shown" in texts(fig) and "floor, 95 %" in texts(fig)


def test_an_interval_of_a_collapsed_seed_does_not_press_the_others_into_a_corner():
    """Two models that differ by .01 of coverage are apart beside one whose interval is all that coverage can be."""
    near = {source: {"density": (1.0, 0.97, 1.03), "coverage": (c, c - 0.01, c + 0.01)} for source, c in APART.items()}
    fig = plots.density_coverage(near | {"tts_gan": {"density": (0.5, -4.0, 5.0), "coverage": (0.42, 0.0, 1.0)}})
    draw(fig)
    axis = fig.axes[0]
    assert axis.get_xlim()[0] > 0.3 and axis.get_xlim()[1] < 1.2
    ends = {"coverage": {source: ((c, c - 0.01, c + 0.01),) * 2 for source, c in APART.items() if source != "real"}}
    ends["coverage"]["tts_gan"] = ((0.42, 0.0, 1.0),) * 2
    row = plots.moment_matching(ends, {"coverage": (0.97, 0.96, 0.98)})
    draw(row)
    for along in (axis.yaxis, row.axes[0].xaxis):
        one, other, collapsed = along.get_transform().transform([0.96, 0.95, 0.42])
        assert one - other > 0.05 * (one - collapsed)  # 0.02 on a straight scale


@pytest.mark.parametrize("n", [1, 8])
def test_a_network_stands_where_it_was_without_and_with_moment_matching(n):
    models = BASELINES[-n:]
    ends = {"C2ST AUC": {model: ((0.6 + i, 0.5, 0.7 + i), (0.4 + i, 0.3, 0.5 + i)) for i, model in enumerate(models)}}
    fig = plots.moment_matching(ends, {"C2ST AUC": (0.5, 0.48, 0.52)})
    draw(fig)
    axis = fig.axes[0]
    marks = [
        (line.get_xdata()[0], line.get_markerfacecolor() != "white")
        for line in axis.lines
        if line.get_marker() not in ("", "None", None)
    ]
    assert marks == [(x, face) for i in range(n) for x, face in ((0.6 + i, True), (0.4 + i, False))]
    assert [label.get_text() for label in axis.get_yticklabels()] == [plots.LABELS[model] for model in models]
    assert all(text in texts(fig) for text in ("without moment matching", "with moment matching", "floor, 95 %"))


@pytest.mark.parametrize("n", [1, len(BASELINES)])
def test_spectra_and_features_take_any_number_of_models(n):
    power = {source: np.geomspace(100, 1, 33) for source in ("reach", "real", *BASELINES[:n])}
    middle = np.stack([0.1 * power["real"], 3 * power["real"]])
    fig = plots.spectra(np.linspace(0, 10_000, 33), power, middle, np.full(33, 0.1), "uV")
    draw(fig)
    assert len(fig.axes[0].lines) == n + 2 and len(fig.axes[0].collections) == 1 and "mean power (µV²)" in texts(fig)
    names = ("trough", "peak_to_peak", "trough_to_peak_ms", "half_width_ms", "fall", "rise")
    shapes = {source: {name: np.random.default_rng(0).standard_normal(50) for name in names} for source in power}
    fig = plots.feature_marginals(shapes, "uV")
    draw(fig)
    assert all(plots.LABELS[model] in texts(fig) for model in BASELINES[:n])


def test_no_baseline_hides_a_model_of_the_thesis():
    sources = ["real", "transformer_gan", "vae_gan", "gaussian", "flow_matching"]
    point = {"density": (0.9, 0.8, 1.0), "coverage": (0.95, 0.9, 0.99)}
    plane = plots.density_coverage(dict.fromkeys(sources, point)).axes[0]
    nearness = plots.memorisation({source: np.linspace(1, 3, 9) for source in sources}).axes[0]
    for axis in (plane, nearness):
        marks = [line.get_color() for line in axis.lines if line.get_color() in plots.COLOURS.values()]
        order = list(dict.fromkeys(marks))
        assert order == [plots.COLOURS[s] for s in ("real", "gaussian", "flow_matching", "transformer_gan", "vae_gan")]


ADDED = {"alone": "real windows alone", "gaussian": "Gaussian", "pretrained_vae_gan": "pre-trained VAE-GAN"}
GAINS = {"gaussian": 0.05, "pretrained_vae_gan": -0.03, "alone": 0.0}


def utility(recordings: list[str], sizes: list[int], seeds: int, diverged: int = -1) -> pd.DataFrame:
    """A table in which what is added gains by ``GAINS``; at n = ``diverged`` the Gaussian has no score."""
    rows = []
    for i, data in enumerate(recordings):
        for name, gain in GAINS.items():
            for n in sizes:
                for seed in range(seeds):
                    f1 = np.nan if (name, n) == ("gaussian", diverged) else 0.3 + 0.1 * i + 0.05 * seed + gain
                    about = {"data": data, "generator": name, "n": n, "seed": seed, "units": 4, "f1": f1}
                    rows.append(about | {"tstr": f1 - 0.1, "trts": f1 + 0.1})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("recordings, sizes, seeds", [(["a", "b"], [5, 10, 500], 3), (["a"], [5], 1)])
def test_a_gain_is_above_zero_where_what_is_added_helps(recordings, sizes, seeds):
    verdicts = {("a", "gaussian", 5): "helps", ("a", "pretrained_vae_gan", 5): "not significant"}
    fig = plots.augmentation(utility(recordings, sizes, seeds), verdicts, ADDED)
    draw(fig)
    above, below = fig.axes[0], fig.axes[len(recordings)]
    means = [line.get_ydata() for line in above.lines]
    base = 0.3 + 0.05 * (seeds - 1) / 2
    assert [m[0] for m in means] == pytest.approx([base, base + 0.05, base - 0.03])
    dots = [line for line in below.lines if line.get_marker() != "None"]
    assert [dot.get_ydata()[0] for dot in dots] == pytest.approx(np.repeat([0.05, -0.03], len(sizes)))
    filled = [to_rgba(dot.get_markerfacecolor()) != to_rgba("white") for dot in dots]
    assert filled == [True] + [False] * (len(dots) - 1)
    assert [0, 0] in [list(line.get_ydata()) for line in below.lines]
    assert "macro-F1" in texts(fig) and "helps" in texts(fig) and "hurts" in texts(fig)
    assert all(
        word in texts(fig)
        for word in ("real windows of each unit", "pre-trained VAE-GAN", "filled: significant, q < 0.05")
    )


def test_where_training_diverged_a_curve_has_a_gap():
    fig = plots.augmentation(utility(["a"], [5, 10, 500], 2, diverged=10), {}, ADDED)
    draw(fig)
    curve = next(line for line in fig.axes[1].lines if line.get_color() == plots.COLOURS["gaussian"])
    np.testing.assert_array_equal(np.isnan(curve.get_ydata()), [False, True, False])


@pytest.mark.parametrize("recordings, sizes", [(["a", "b"], [5, 500]), (["a"], [10])])
def test_transfer_is_shown_between_chance_and_what_real_windows_give(recordings, sizes):
    fig = plots.transfer(utility(recordings, [5, 10, 500], 3), sizes, ADDED)
    draw(fig)
    assert len(fig.axes) == len(sizes) * len(recordings)
    axis = fig.axes[0]
    lines = [line.get_xdata()[0] for line in axis.lines[:2]]
    assert lines == pytest.approx([0.35, 0.25])
    of = {line.get_marker(): line.get_xdata() for line in axis.lines[2:4]}
    np.testing.assert_allclose(of["o"], [0.25, 0.3, 0.35])
    np.testing.assert_allclose(of["D"], [0.45, 0.5, 0.55])
    assert [t.get_text() for t in axis.get_yticklabels()] == ["Gaussian", "pre-trained VAE-GAN"]
    assert "TSTR" in texts(fig) and "floor: chance" in texts(fig) and f"a, n = {sizes[0]}" in texts(fig)


def test_an_animation_shows_every_figure_and_rests_on_the_last():
    def at(height: float) -> Figure:
        fig = Figure(figsize=(1, 1))
        fig.subplots().axhline(height, color="#0072B2")
        return fig

    one, two = (plots.animation([at(height) for height in (0, 0.5, 1)], frame_ms=100) for _ in range(2))
    assert one == two
    film = Image.open(io.BytesIO(one))
    shown = [(film.seek(i), film.info["duration"], film.convert("RGB").tobytes())[1:] for i in range(film.n_frames)]
    assert [duration for duration, _ in shown] == [100, 100, 1000] and len({picture for _, picture in shown}) == 3
    assert film.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n, electrodes, bursts", [(300, 40, 3), (0, 2, 0), (1, 1, 1), (20_000, 4096, 2)])
@pytest.mark.parametrize("planted", [0, 2])
def test_a_raster_shows_every_spike_once_and_only_bursts_of_its_time(n, electrodes, bursts, planted):
    time_s, electrode = np.sort(RNG.uniform(10, 30, n)), RNG.integers(0, electrodes, n)
    in_burst = RNG.random(n) < 0.3
    spans = np.stack([np.arange(bursts), np.arange(bursts) + 0.5], axis=1) + 12
    outside = np.array([[1.0, 2.0], [50.0, 51.0]])
    fig = plots.raster(time_s, electrode, in_burst, electrodes, (10, 30), np.r_[spans, outside], spans[:planted])
    draw(fig)
    above, below = fig.axes
    assert sorted(np.concatenate([line.get_xdata() for line in above.lines[:2]])) == sorted(time_s)
    assert len(above.lines[1].get_xdata()) == in_burst.sum()
    assert len([p for p in above.patches if isinstance(p, Rectangle)]) == bursts
    assert above.get_ylim() == (electrodes - 0.5, -0.5) and below.get_xlim() == (10, 30)
    assert ("planted" in texts(fig)) == (planted > 0 and bursts > 0) and "time (s)" in texts(fig)


@pytest.mark.parametrize("n, m", [(40, 500), (1, 0), (3, 1)])
def test_log_intervals_mark_every_threshold(n, m):
    justified, threshold = np.arange(n) % 2 == 0, np.linspace(10, 100, n)
    fig = plots.log_intervals(
        np.geomspace(1, 1e4, 31),
        RNG.dirichlet(np.ones(30), n),
        threshold,
        justified,
        RNG.exponential(100, m),
        RNG.exponential(100, m),
        12,
        40.0 if m else np.nan,
        m > 10,
    )
    draw(fig)
    filled, open_ = fig.axes[0].lines
    np.testing.assert_array_equal(filled.get_xydata(), np.stack([threshold, np.arange(n)], axis=1)[justified])
    assert len(open_.get_xdata()) == n // 2 and "12 spikes in a row" in texts(fig)
    assert "interval between spikes (ms)" in texts(fig) and ("third of the mean" in texts(fig)) == (m <= 10)


@pytest.mark.parametrize("n, community", [(6, [0, 0, 0, 1, 1, -1]), (2, [-1, -1]), (2, [0, 0])])
def test_a_matrix_shows_all_pairs_above_and_connected_ones_below(n, community):
    sttc = RNG.uniform(-0.2, 0.6, (n, n))
    sttc, connected = (sttc + sttc.T) / 2, np.zeros((n, n), bool)
    connected[0, 1] = connected[1, 0] = True
    pairs = np.triu_indices(n, 1)
    fig = plots.connectivity_matrix(sttc, connected, np.array(community), sttc[pairs], sttc[pairs] / 2)
    draw(fig)
    shown = fig.axes[0].images[0].get_array().filled(np.nan)
    np.testing.assert_array_equal(shown[pairs], sttc[pairs])
    assert np.isfinite(shown[pairs[::-1]]).sum() == 1 and np.isnan(np.diag(shown)).all()
    frames = [p for p in fig.axes[0].patches if isinstance(p, Rectangle)]
    assert len(frames) == len(set(community) - {-1}) and "STTC" in texts(fig)


@pytest.mark.parametrize("positions", [grid(5, 20), None])
@pytest.mark.parametrize("edges, hubs, random", [([[0, 1], [1, 2]], [1], 5), ([], [], 0)])
def test_a_graph_draws_each_connection_and_rings_its_hubs(positions, edges, hubs, random):
    ring = np.isin(np.arange(25), hubs)
    measures = {"clustering": (0.4, RNG.random(random)), "path length (steps)": (np.nan, RNG.random(random))}
    fig = plots.network_graph(
        positions, np.array(edges, int).reshape(-1, 2), np.where(ring, 0, -1), ring * 2, ring, measures
    )
    draw(fig)
    lines, dots, rings = fig.axes[0].collections
    assert len(lines.get_segments()) == len(edges) and len(dots.get_offsets()) == 25
    assert len(rings.get_offsets()) == len(hubs) and f"{len(edges)} of 300 pairs are connected" in texts(fig)
    assert ("x (µm)" in texts(fig)) == (positions is not None) and "path length (steps)" in texts(fig)


@pytest.mark.parametrize("n, k", [(30, 2), (10, 6), (700, 3)])
def test_memberships_add_up_and_the_preferred_number_is_ringed(n, k):
    tried = np.arange(2, 7)
    indices = {"one": RNG.random(5), "two": np.array([1.0, 2, 3, 1e7, 1e9])}
    fig = plots.memberships(RNG.dirichlet(np.ones(k), n), tried, indices, {"one": 4, "two": 2})
    draw(fig)
    steps = [patch.get_data() for patch in fig.axes[2].patches]
    assert len(steps) == k and sum((s.values - s.baseline).sum() for s in steps) == pytest.approx(n)
    np.testing.assert_allclose(steps[-1].values, 1)
    assert fig.axes[0].lines[1].get_xdata().tolist() == [4] and f"group {k}" in texts(fig)


def test_groups_of_electrodes_have_a_profile_and_a_null():
    label = np.arange(40) % 3
    fig = plots.channel_groups(
        RNG.standard_normal((40, 2)),
        np.array([0.5, 0.2]),
        label,
        RNG.uniform(0.4, 1, 40),
        RNG.standard_normal((3, 4)),
        ["a", "b", "c", "d"],
        0.9,
        RNG.random(99),
    )
    draw(fig)
    colours = fig.axes[0].collections[0].get_facecolors()[:, :3]
    assert len(np.unique(colours, axis=0)) == 3 and (colours[0] == colours[3]).all()
    assert fig.axes[1].images[0].get_array().shape == (4, 3) and "50 % of variance" in texts(fig)
    assert fig.axes[2].lines[0].get_xdata()[0] == 90


def test_a_treatment_stands_beside_its_null():
    plane = {name: RNG.standard_normal((8, 2)) for name in ("healthy", "pathological", "treated", "in vain")}
    rescues = {
        "treated": (0.5, (0.3, 0.7), RNG.normal(0, 0.1, 99), 0.01),
        "in vain": (0.0, (-0.2, 0.2), np.zeros(9), 1.0),
    }
    fig = plots.treatment(plane, rescues)
    draw(fig)
    assert sum(len(c.get_offsets()) for c in fig.axes[0].collections) == 32
    np.testing.assert_allclose(fig.axes[0].lines[2].get_xydata()[0], plane["treated"].mean(axis=0))
    assert "treated: 0.50, p = 0.010" in texts(fig) and "fraction of the way to healthy" in texts(fig)
    rescues["in vain"] = (np.nan, (-np.inf, np.inf), np.zeros(9), 1.0)
    fig = plots.treatment(plane, rescues)
    draw(fig)
    assert "in vain: not defined, p = 1.000" in texts(fig)


def test_distances_between_conditions_stand_beside_shuffled_blocks_and_drift():
    rows = [("W1", "a – b"), ("W1", "a – c"), ("W2", "a – b")]
    value, drift = np.array([0.3, 0.5, 0.2]), np.array([1.0, 0.4, 0.6])
    fig = plots.treatment_distances(rows, value, RNG.uniform(0.1, 0.5, (3, 99)), drift, np.array([0.2, 0.01, 1]))
    draw(fig)
    marks = {line.get_label(): line.get_xdata().tolist() for line in fig.axes[0].lines}
    assert marks == {"drift within a recording": drift.tolist(), "between the two conditions": value.tolist()}
    assert "W2   a – b" in texts(fig) and "q = 0.010" in texts(fig)


@pytest.mark.parametrize("n_groups, sources", [(2, ["real", "vae_gan"]), (8, ["real", "transformer_gan", "vae_gan"])])
def test_synthetic_spikes_are_drawn_by_group_and_counted(n_groups, sources):
    share = RNG.dirichlet(np.ones(n_groups + 1))
    fig = plots.synthetic_groups(
        {s: RNG.standard_normal((50, 2)) for s in sources},
        {s: RNG.integers(0, n_groups + 1, 50) for s in sources},
        dict.fromkeys(sources, share),
        dict.fromkeys(sources, np.full((2, n_groups + 1), 0.01)),
    )
    draw(fig)
    bars = fig.axes[-1].patches
    assert len(bars) == len(sources) * (n_groups + 1) and bars[0].get_height() == pytest.approx(100 * share[0])
    assert "outside" in texts(fig) and f"group {n_groups}" in texts(fig) and plots.LABELS["vae_gan"] in texts(fig)


@pytest.mark.parametrize("seeds", [0, 1, 4])
def test_each_pair_of_seeds_is_a_dot_in_the_colour_of_the_model_that_is_nearer(seeds):
    first = {"AUC": {i: 0.1 * i for i in range(seeds)}, "coverage": {i: 0.5 + 0.1 * i for i in range(seeds)}}
    second = {"AUC": {i: 1 + 0.12 * i for i in range(seeds)}, "coverage": {i: 0.6 - 0.2 * i for i in range(seeds)}}
    pairs = {name: paired(first[name], second[name]) for name in first}
    means = {name: (pair.difference, *pair.interval) for name, pair in pairs.items()}
    differences = {name: [first[name][i] - second[name][i] for i in first[name]] for name in first}
    notes = {"AUC": "q < 0.001", "coverage": "q = 0.200"}
    fig = plots.seed_by_seed(differences, means, notes, ["AUC"], ("transformer_gan", "vae_gan"))
    draw(fig)
    dots = [line for line in fig.axes[0].lines if line.get_marker() == "o"]
    assert len(dots) == 2 * seeds
    for dot in dots:
        nearer = "transformer_gan" if dot.get_xdata()[0] < 0 else "vae_gan"
        assert to_rgba(dot.get_color()) == to_rgba(plots.COLOURS[nearer])
    bold = [text.get_text() for text in fig.axes[0].texts if text.get_fontweight() == "bold"]
    assert bold == ["q < 0.001"] and "q = 0.200" in texts(fig)


@pytest.mark.parametrize("largest", [5.0, 40.0])
def test_one_large_difference_between_seeds_leaves_the_others_apart_from_nothing(largest):
    differences = {"passes": [-largest, largest], "AUC": [0.8, 1.0]}
    means = {"passes": (0.0, -largest, largest), "AUC": (0.9, 0.8, 1.0)}
    fig = plots.seed_by_seed(differences, means, dict.fromkeys(means, ""), [], ("transformer_gan", "vae_gan"))
    draw(fig)
    nothing, mean = fig.axes[0].transData.transform([(0, 0), (0.9, 0)])[:, 0]
    assert mean - nothing > 0.05 * fig.axes[0].bbox.width


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_drawn_convolution_sees_the_inputs_that_the_gradient_reaches(kernel, stride, depth):
    convolutions = [torch.nn.Conv1d(1, 1, kernel, stride, kernel // 2) for _ in range(depth)]
    for convolution in convolutions:
        torch.nn.init.ones_(convolution.weight)
    x = torch.zeros(1, 1, 28, requires_grad=True)
    output = torch.nn.Sequential(*convolutions)(x)[0, 0]
    (gradient,) = torch.autograd.grad(output[len(output) // 2], x)
    fig = c1_networks.convolution(28, [(kernel, stride, kernel // 2)] * depth)
    assert f"({(gradient > 0).sum()} of 28 seen)" in fig.axes[0].get_xlabel()
    assert fig.axes[0].get_yticklabels()[-1].get_text() == f"layer {depth}: {len(output)}"


def test_units_are_drawn_where_they_are_seen_with_each_of_their_spikes():
    templates = [np.outer(windows(1)[0], [1.0, 0.5, 0.01]), np.outer(windows(1)[0], [0.5, 1.0])]
    spikes = [np.linspace(0, 9, n) for n in (5, 7)]
    fig = plots.known_units(
        grid(3), templates, [np.array([0, 1, 2]), np.array([7, 8])], 3.2, spikes, [-s for s in spikes], ["a", "b"], "uV"
    )
    draw(fig)
    chip, over_time = fig.axes
    assert len(chip.lines) == 1 + 4, "a trace that is no tenth of the largest is left out"
    assert [len(line.get_xdata()) for line in over_time.lines] == [5, 7]
    assert chip.lines[1].get_xdata().mean() == pytest.approx(grid(3)[0, 0])
