"""Painted spikes: what painters change, what detection accepts, and hybrid recordings as files."""

import errno
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import spikeinterface.core as sc
from typer.testing import CliRunner

from meagan_lib import InputError, cli
from meagan_lib.annotated import painters
from meagan_lib.annotated.chip import Chip, footprint_windows
from meagan_lib.annotated.hybrid import (
    HybridConfig,
    HybridRecording,
    Painted,
    choose_units,
    describe,
    make_hybrid,
    threshold_misses,
)
from meagan_lib.annotated.judging import REAL, judge
from meagan_lib.annotated.kinds import Kinds
from meagan_lib.annotated.painters import PAINTERS, fit_painter
from meagan_lib.annotated.painting import taper
from meagan_lib.annotated.sorters import Known
from meagan_lib.annotated.writing import require_writable, write_hybrid
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.flow_matching import FlowMatching
from meagan_lib.models.gan import GAN
from meagan_lib.models.vae_gan import VAEGAN
from meagan_lib.recordings.opening import ground_truth, open_recording, rails
from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.spike_windows import Split
from meagan_lib.workflow.files import sha256

BRIEF = {
    "painting_gan": {"steps": 2, "batch_size": 8},
    "transformer_gan": {"steps": 2, "batch_size": 8, "width": 16, "depth": 1},
    "vae_gan": {"steps": 1, "vae_steps": 1, "batch_size": 8, "width": 16, "depth": 1},
    "flow_matching": {"steps": 2, "batch_size": 8, "width": 16, "depth": 1, "ode_steps": 2},
}


@pytest.fixture(scope="module")
def chip(recording):
    return Chip.of(recording, DetectionConfig(threshold_mad=4.5), footprint_windows(0.001, 3.2), n_backgrounds=400)


@pytest.fixture(scope="module", autouse=True)
def alone():
    """Footprints of one electrode and its neighbours: a small patch has few electrodes with all of these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("meagan_lib.annotated.chip.LEAST", 20)
        patch.setattr("meagan_lib.windows.cutting.electrodes_around", pairs)
        yield


def pairs(positions, n, _):
    return np.stack([np.arange(n), (np.arange(n) + 1) % n], axis=1).astype(np.int32)


@pytest.fixture(scope="module")
def hybrid(chip):
    return make_hybrid(chip, fit_painter("gaussian_spikes", chip), HybridConfig(units=3, rate_hz=4.0))


@pytest.mark.parametrize("name", PAINTERS)
def test_a_painter_changes_its_span_alone_and_is_the_same_twice(chip, name):
    painter, places = fit_painter(name, chip, 0, **BRIEF.get(name, {})), chip.places(Split.TEST, 12, 1)
    slack = chip.observation.slack
    painted, again = (painter.paint(places.pieces, slack, places.kind, seed=3) for _ in range(2))
    np.testing.assert_array_equal(painted, again)
    for outside in (slice(0, slack + 1), slice(-slack - 1, None)):
        np.testing.assert_allclose(painted[:, :, outside], places.pieces[:, :, outside], rtol=1e-6)
    assert np.abs(painted - places.pieces).max() > chip.noise.mean()


def test_template_times_amplitude_is_that_of_spikeinterface_and_as_large_as_asked(chip, monkeypatch):
    called, own = [], painters.generate_hybrid_recording
    monkeypatch.setattr(painters, "generate_hybrid_recording", lambda *a, **k: called.append(1) or own(*a, **k))
    painter, places, slack = fit_painter("template", chip), chip.places(Split.TEST, 400, 1), chip.observation.slack
    asked = np.random.default_rng(0).uniform(0.5, 2, 400)
    means = painter.kinds.means * taper(2 * chip.observation.half_window)
    for gain, spread in ((asked, 0.0), (None, painters.AMPLITUDE_CV)):
        added = (painter.paint(places.pieces, slack, places.kind, gain, 3) - places.pieces)[:, :, slack:-slack]
        found = np.einsum("nes,nes->n", added, means[places.kind]) / np.square(means).sum(axis=(1, 2))[places.kind]
        factor = found / (1 if gain is None else gain)
        assert factor.std() == pytest.approx(spread, rel=0.12, abs=1e-4) and factor.mean() == pytest.approx(1, abs=0.02)
        np.testing.assert_allclose(added, found[:, None, None] * means[places.kind], atol=1e-3)
    assert len(called) == 2


@pytest.mark.parametrize("cv", [0.0, 0.1])
def test_the_amplitudes_of_a_units_templates_vary_as_asked_and_no_more(chip, cv):
    _, truth, _ = make_hybrid(chip, fit_painter("template", chip), HybridConfig(units=3, rate_hz=8.0, amplitude_cv=cv))
    assert truth.amplitude_factor.std() == pytest.approx(cv, rel=0.12, abs=1e-4)


@pytest.mark.parametrize("model", [GAN, VAEGAN, FlowMatching])
def test_every_model_makes_footprints_of_several_electrodes_and_is_loaded_again(model, tmp_path):
    train = np.random.default_rng(0).standard_normal((40, 3 * 32)).astype(np.float32)
    data = TrainingData(train, [0.25, 0.5, 0.25], labels=np.arange(40) % 2, electrodes=3)
    brief = {"steps": 1, "batch_size": 8, "width": 16, "depth": 1} | ({"vae_steps": 1} if model is VAEGAN else {})
    fitted = model.fit(data, 0, **brief)
    fitted.save(tmp_path)
    drawn = fitted.sample(5, 1, np.zeros(5, int))
    assert drawn.shape == (5, 96)
    np.testing.assert_array_equal(model.load(tmp_path).sample(5, 1, np.zeros(5, int)), drawn)


def test_kinds_are_the_spikes_without_the_noise():
    rng = np.random.default_rng(0)
    shapes = np.stack([np.exp(-((np.arange(32) - 16) ** 2) / w) for w in (4, 30)])[:, None] * np.array([[8.0], [4.0]])
    own = rng.integers(2, size=600)
    kinds = Kinds.fit(shapes[own] + rng.standard_normal((600, 2, 32)), rng.standard_normal((900, 2, 32)))
    for kind in range(len(kinds.means)):
        true = shapes[np.bincount(own[kinds.label == kind]).argmax()]
        assert np.abs(kinds.means[kind] - true).max() < 0.6
    drawn = kinds.spikes(kinds.draw(2000, rng), rng)
    np.testing.assert_allclose(drawn.std(axis=0), shapes[own].std(axis=0), atol=0.5)  # that of the noise is 1


def test_backgrounds_hold_no_peak_and_stay_in_their_part_of_the_time(chip):
    places = chip.places(Split.TEST, 50, 0)
    around, reach = chip.windows.around[places.channel], chip.observation.reach
    assert chip.quiet.around(places.frame, around, reach).all()
    assert places.frame.min() > chip.windows.frame[chip.windows.split == Split.TRAIN].max()


def test_a_hybrid_is_bit_identical_where_nothing_was_painted(chip, hybrid, recording):
    made, truth, units = hybrid
    before, after = (r.get_traces(0, 0, recording.get_num_samples()) for r in (recording, made))
    painted = np.zeros(before.shape, bool)
    for frame, unit in zip(truth.frame, truth.unit):
        span = slice(frame - chip.observation.half_window, frame + chip.observation.half_window)
        painted[span, chip.windows.around[units.channel[unit]]] = True
    np.testing.assert_array_equal(before[~painted], after[~painted])
    assert (before[painted] != after[painted]).mean() > 0.3
    np.testing.assert_array_equal(made.get_traces(0, 5000, 9000), after[5000:9000])


def test_a_spike_beyond_what_the_converter_can_say_is_cut_off_there_and_does_not_wrap_around(recording):
    low, high = rails(recording)
    delta = np.stack([np.full((1, 4), sign * 1e5, np.float32) for sign in (-1, 1)])
    spikes = Painted(np.array([500, 600]), np.zeros(2, np.int32), np.array([[0], [1]], np.int32), delta, 2)
    made = HybridRecording(recording, spikes).get_traces(0, 0, 1000)
    assert (made[498:502, 0] == low).all() and (made[598:602, 1] == high).all()
    assert made.dtype == recording.get_dtype()


def test_units_keep_their_refractory_period_and_are_found_by_their_depth(chip, hybrid):
    made, truth, _ = hybrid
    rate = made.get_sampling_frequency()
    for unit in range(3):
        own = truth.frame[truth.unit == unit]
        assert np.diff(own).min() >= 2.5 * rate / 1000 and len(own) > 20
    table = threshold_misses(made, truth, chip)
    assert table["spikes"].sum() <= len(truth.frame) and table["recall"].iloc[-1] > 0.8


@pytest.mark.parametrize("name", ["hybrid.brw", "hybrid.zarr", "hybrid"])
def test_a_hybrid_is_read_again_with_its_truth(chip, hybrid, tmp_path, name):
    made, truth, units = hybrid
    report = describe(chip, units, truth, HybridConfig(units=3))
    files = write_hybrid(made, truth, report, tmp_path / name)
    assert all(file.exists() for file in files) and not list(tmp_path.glob(".*"))
    again = open_recording(tmp_path / name)
    np.testing.assert_array_equal(again.get_traces(0, 0, 20_000), made.get_traces(0, 0, 20_000))
    np.testing.assert_allclose(again.get_channel_gains(), made.get_channel_gains())
    np.testing.assert_allclose(again.get_channel_locations(), made.get_channel_locations())
    np.testing.assert_array_equal(ground_truth(again).frame, truth.frame)
    known = Known.open(str(tmp_path / name))
    assert known.path == tmp_path / name and len(known.truth.unit_ids) == 3
    sorting = sc.load(tmp_path / "hybrid.sorting")
    assert sorting.count_num_spikes_per_unit(outputs="array").sum() == len(truth.frame)


@pytest.mark.parametrize("drift_um", [84.0, -42.0])
def test_a_drifting_unit_moves_evenly_as_far_as_asked(chip, recording, drift_um):
    config = HybridConfig(units=1, rate_hz=6.0, depth=(9.0, 12.0), drift_um=drift_um)
    made, truth, units = make_hybrid(chip, fit_painter("template", chip), config)
    added = made.get_traces(0).astype(float) - recording.get_traces(0)
    depth = -added[truth.frame[:, None] + np.arange(-3, 4)].min(axis=1).clip(max=0)  # (spikes, channels)
    x, n_frames = recording.get_channel_locations()[:, 0], recording.get_num_samples()
    moved = (depth * x).sum(axis=1) / depth.sum(axis=1)  # centre of mass of each spike
    slope, start = np.polyfit(truth.frame / n_frames, moved, 1)
    assert slope == pytest.approx(drift_um, rel=0.05) and start == pytest.approx(x[units.channel[0]], abs=12)
    np.testing.assert_allclose(moved, start + slope * truth.frame / n_frames, atol=3)
    assert len(np.unique(truth.frame)) == len(truth.frame)


def test_units_are_as_deep_as_was_asked_and_the_report_says_what_the_filtered_hybrid_has(chip):
    units = choose_units(chip, HybridConfig(units=10, depth=(6.0, 9.0)))
    assert units.depth.min() >= 6 and units.depth.max() <= 9 and np.ptp(units.depth) > 1.5
    config = HybridConfig(units=4, rate_hz=6.0, depth=(8.0, 10.0))
    _, truth, units = make_hybrid(chip, fit_painter("template", chip), config)
    told = [unit["depth_noise_levels"] for unit in describe(chip, units, truth, config)["units"]]
    np.testing.assert_allclose(told, units.depth, rtol=0.12)


def test_nothing_is_painted_on_an_electrode_that_cannot_be_trusted(chip):
    broken = replace(chip, usable=np.arange(len(chip.noise)) % 2 == 0)
    assert (choose_units(broken, HybridConfig(units=6)).channel % 2 == 0).all()


@pytest.mark.parametrize("name", ["hybrid.brw", "hybrid.zarr", "hybrid"])
def test_a_disk_that_fills_half_way_leaves_what_stood_there_and_no_half(hybrid, tmp_path, monkeypatch, name):
    made, truth, _ = hybrid
    write_hybrid(made, truth, {}, tmp_path / name)
    before, read = sha256(tmp_path), type(made.segments[0]).get_traces

    def full(self, start_frame, end_frame, channel_indices):
        if end_frame > 140_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return read(self, start_frame, end_frame, channel_indices)

    monkeypatch.setattr(type(made.segments[0]), "get_traces", full)
    with pytest.raises(InputError, match=f"the disk is full: {name} was not written, what stood there"):
        write_hybrid(made, replace(truth, unit=truth.unit[::-1]), {"other": 1}, tmp_path / name)
    assert sha256(tmp_path) == before


def test_a_hybrid_for_which_there_is_no_room_is_refused_at_once_and_while_it_is_written(hybrid, tmp_path, monkeypatch):
    made, size = hybrid[0], hybrid[0].get_total_memory_size()
    free = iter([size - 1, 2 * size, size // 2])
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(total=2**30, free=next(free, 2**30)))
    with pytest.raises(InputError, match=r"the disk is full: \d+ MB are needed, and .* has \d+ MB free"):
        require_writable(made, tmp_path / "hybrid.brw")
    with pytest.raises(InputError, match=r"the disk is full: \d+ MB are needed"):
        write_hybrid(*hybrid[:2], {}, tmp_path / "hybrid.brw")
    assert not list(tmp_path.iterdir())


def test_the_command_names_every_painter():
    told = CliRunner().invoke(cli.app, ["hybrid", "--help"], env={"COLUMNS": "300"}).output
    assert all(name in told for name in PAINTERS)


def test_drift_over_electrodes_of_unknown_places_is_refused(chip, monkeypatch):
    monkeypatch.setattr("meagan_lib.annotated.hybrid.electrode_positions_um", lambda _: None)
    with pytest.raises(InputError, match="does not say where its electrodes stand"):
        choose_units(chip, HybridConfig(units=1, drift_um=42.0))


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"depth": (90.0, 99.0)}, "ask for a depth nearer"),
        ({"units": 99}, "the chip is too small for 99 units"),
        ({"units": 0}, "are no spikes"),
        ({"depth": (5.0, 4.0)}, "is empty"),
        ({"rate_hz": 900.0}, "a lower rate"),
    ],
)
def test_units_that_cannot_be_are_refused_in_a_sentence(chip, wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        choose_units(chip, HybridConfig(**wrong))


def test_no_quiet_stretch_and_too_few_spikes_are_refused(chip):
    everywhere = replace(chip.quiet, peaks=[np.arange(0, 240_000, 20)] * len(chip.noise))
    with pytest.raises(InputError, match="hardly a stretch without spikes"):
        replace(chip, quiet=everywhere).places(Split.TEST, 5, 0)
    with pytest.raises(InputError, match="spikes to learn from"):
        Chip.of(chip.recording, DetectionConfig(threshold_mad=60.0), footprint_windows(0.001, 3.2))


def test_a_path_that_cannot_hold_the_recording_is_refused_before_anything_is_made(chip, tmp_path):
    with pytest.raises(InputError, match="not .mat"):
        require_writable(chip.recording, tmp_path / "x.mat")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    with pytest.raises(InputError, match="is there, and not as meagan hybrid wrote it"):
        require_writable(chip.recording, tmp_path / "thesis")
    source = Path(chip.recording.get_annotation("files")[0])
    for name in (source, source.with_suffix(".zarr")):  # a truth beside the recording would be taken for its own
        with pytest.raises(InputError, match="the name of the recording itself"):
            require_writable(chip.recording, name)
    (tmp_path / "real.brw").write_text("somebody's")
    with pytest.raises(InputError, match="real.brw is there, and not as meagan hybrid wrote it"):
        require_writable(chip.recording, tmp_path / "real.brw")
    (tmp_path / "chip.zarr").mkdir()
    (tmp_path / "chip.zarr" / ".zgroup").touch()
    with pytest.raises(InputError, match="chip.zarr is a recording, and x.brw would lie in it"):
        require_writable(chip.recording, tmp_path / "chip.zarr" / "x.brw")
    (tmp_path / "other.truth.npz").touch()
    with pytest.raises(InputError, match="other.truth.npz is there, and not as meagan hybrid wrote it"):
        require_writable(chip.recording, tmp_path / "other.zarr")


def test_a_painter_that_shifts_spikes_is_told_from_real_ones_and_copies_hardly(chip):
    wrong = fit_painter("template", chip)
    wrong.kinds = replace(chip.kinds, means=np.ascontiguousarray(chip.kinds.means[:, :, ::-1]))
    found = judge(chip, {"template": wrong, "copy_paste": fit_painter("copy_paste", chip)}, 120, n_bootstrap=5)
    auc = found.scores.groupby("painter")["auc"].max()
    assert auc["template"] > 0.75 and auc["template"] > auc["copy_paste"] and REAL in auc
    by = found.scores.set_index(["painter", "classifier"])
    for classifier in found.scores["classifier"].unique():
        one = by.loc["copy_paste", classifier]
        assert one["below"] == pytest.approx(by["auc"]["template", classifier] - one["auc"])
    assert found.verdict().endswith("(q < 0.05): copy_paste.")
