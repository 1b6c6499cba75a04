"""The simulated recording is a true BRW file, the same twice, with the truth beside it."""

from dataclasses import replace

import numpy as np
import spikeinterface.extractors as se
from hypothesis import given
from hypothesis import strategies as st

from meagan_lib.recordings.simulation import (
    MAX_UV,
    UV_PER_STEP,
    GroundTruth,
    SimulationConfig,
    _ground_truth_recording,
    burst_frames,
    network_bursts,
    simulate,
    spikes,
    to_codes,
    truth_path,
)
from meagan_lib.workflow.files import sha256


@given(st.floats(-4000, 4000))
def test_a_voltage_comes_back_from_its_code_within_half_a_step(uv):
    assert abs(to_codes(np.array([uv]))[0] * UV_PER_STEP - MAX_UV - uv) <= UV_PER_STEP / 2 + 1e-9


def test_spikeinterface_reads_the_file_back_within_half_a_step(recording, simulation):
    path = recording.get_annotation("files")[0]
    read = se.read_biocam(path)
    _, signal, background = _ground_truth_recording(simulation)
    frames = dict(start_frame=0, end_frame=20_000)  # the first block, as it was written
    written = signal.get_traces(**frames) + background.get_traces(**frames)
    assert read.get_sampling_frequency() == simulation.sampling_rate_hz
    np.testing.assert_allclose(read.get_traces(**frames, return_in_uV=True), written, atol=UV_PER_STEP / 2 + 1e-3)


def test_electrodes_lie_42_um_apart_in_the_middle_of_the_chip(recording):
    x = np.unique(recording.get_channel_locations()[:, 0])
    np.testing.assert_allclose(np.diff(x), 42)
    np.testing.assert_allclose(x.mean(), 42 * 31.5)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(simulation, tmp_path):
    short = replace(simulation, duration_s=1.0)
    one, two = simulate(short, tmp_path / "one.brw"), simulate(short, tmp_path / "two.brw")
    other = simulate(replace(short, seed=1), tmp_path / "other.brw")
    assert sha256(one) == sha256(two) != sha256(other)
    assert sha256(truth_path(one)) == sha256(truth_path(two))


def test_cells_burst_together(simulation, truth):
    second = truth.frame / simulation.sampling_rate_hz
    bursts = network_bursts(simulation)
    within = ((second[:, None] >= bursts[:, 0]) & (second[:, None] < bursts[:, 1])).any(1).mean()
    share_of_time = np.diff(bursts).sum() / simulation.duration_s
    assert within > 3 * share_of_time


def test_noise_is_not_white(recording):
    traces = recording.get_traces(0, 0, 20_000)[:, 0].astype(float)
    power = np.abs(np.fft.rfft(traces - traces.mean())) ** 2
    assert power[300:1000].mean() > 3 * power[5000:9000].mean()


def test_the_truth_survives_its_file(truth, tmp_path):
    truth.save(tmp_path / "truth.npz")
    again = GroundTruth.load(tmp_path / "truth.npz")
    for name, value in truth.__dict__.items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_spikes_without_a_voltage_are_those_of_the_recording(simulation, truth):
    frame, unit = spikes(simulation)
    np.testing.assert_array_equal(frame, truth.frame)
    np.testing.assert_array_equal(unit, truth.unit)
    np.testing.assert_allclose(truth.bursts / simulation.sampling_rate_hz, network_bursts(simulation), atol=1e-4)


def test_cells_that_take_part_in_fewer_bursts_miss_whole_ones():
    config = SimulationConfig(n_units=30, burst_rate_hz=(40.0, 60.0), rest_fraction=0.0)
    inside = {}
    for participation in (1.0, 0.5, 0.0):
        frame, unit = spikes(replace(config, participation=participation))
        bursts = burst_frames(config)
        burst = np.searchsorted(bursts[:, 0], frame, side="right") - 1
        inside[participation] = np.histogram2d(unit, burst, [np.arange(31), np.arange(len(bursts) + 1)])[0] > 0
    assert inside[1.0].all() and not inside[0.0].any() and 0.4 < inside[0.5].mean() < 0.6
