"""Spike trains hold every spike once, in order, wherever they come from."""

import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from meagan_lib import InputError
from meagan_lib.network import spike_files
from meagan_lib.network.spike_files import read_spikes, treated
from meagan_lib.network.spike_trains import SpikeTrains, from_windows
from meagan_lib.recordings.opening import open_recording
from meagan_lib.windows.spike_windows import Reason

RATE_HZ = 20_000.0


def trains_of(*frames: list[int], n_frames: int = 1_000, **columns) -> SpikeTrains:
    """Trains with the given frames on each electrode."""
    electrode = np.repeat(np.arange(len(frames)), [len(f) for f in frames])
    joined = np.concatenate([np.array(f, np.int64) for f in frames]) if frames else np.zeros(0, np.int64)
    return SpikeTrains(joined, electrode, [str(e) for e in range(len(frames))], n_frames, RATE_HZ, **columns)


def frames_of(trains: SpikeTrains, electrode: int) -> np.ndarray:
    return trains.frame[trains.electrode == electrode]


SPIKES = st.lists(st.tuples(st.integers(0, 999), st.integers(0, 4)), max_size=60, unique=True)


@given(SPIKES, st.randoms())
@settings(max_examples=50, deadline=None)
def test_the_order_in_which_spikes_are_given_does_not_matter(spikes, random):
    def made(pairs):
        frame, electrode = np.array(pairs, np.int64).reshape(-1, 2).T
        return SpikeTrains(frame, electrode, list("abcde"), 1_000, RATE_HZ, amplitude=frame / 7)

    one = made(spikes)
    shuffled = random.sample(spikes, len(spikes))
    two = made(shuffled)
    for name in ("frame", "electrode", "amplitude", "counts", "offsets"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    for e in range(5):
        assert frames_of(one, e).tolist() == sorted(f for f, own in spikes if own == e)


@given(SPIKES, st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_blocks_share_out_every_spike(spikes, n):
    frame, electrode = np.array(spikes, np.int64).reshape(-1, 2).T
    whole = SpikeTrains(frame, electrode, list("abcde"), 1_000, RATE_HZ, stretches=[[0, 400], [400, 1_000]])
    blocks = whole.blocks(n)
    assert sum(b.n_frames for b in blocks) == 1_000 and sum(len(b.frame) for b in blocks) == len(spikes)
    assert all((b.frame >= 0).all() and (b.frame < b.n_frames).all() for b in blocks)
    assert sum(len(b.stretches) - 1 for b in blocks) == (400 not in whole.block_edges(n))
    kept = whole.select(np.array([3, 1]))
    assert kept.names == ["d", "b"] and kept.counts.tolist() == whole.counts[[3, 1]].tolist()


def test_no_interval_crosses_an_electrode_or_a_break():
    trains = trains_of([10, 30, 80], [], [5], [20, 25, 60], stretches=[[0, 50], [50, 1_000]])
    intervals, owner = trains.intervals()
    assert intervals.tolist() == [20, 5] and owner.tolist() == [0, 3]


STRETCHES = np.array([[0, 100], [100, 330], [600, 601], [750, 1_000]])
"""Two that touch, and two behind gaps, one of them a single frame."""


def in_stretches(spikes: list[tuple[int, int]], **columns) -> SpikeTrains:
    """Those of the spikes (frame, electrode) that lie in ``STRETCHES``."""
    frame, electrode = np.array(spikes, np.int64).reshape(-1, 2).T
    kept = ((frame[:, None] >= STRETCHES[:, 0]) & (frame[:, None] < STRETCHES[:, 1])).any(axis=1)
    return SpikeTrains(frame[kept], electrode[kept], list("abcde"), 1_000, RATE_HZ, stretches=STRETCHES, **columns)


@given(SPIKES, st.integers(1, 2_000), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_jitter_keeps_every_spike_in_its_stretch(spikes, reach, seed):
    whole = in_stretches(spikes)
    moved = whole.jittered(reach, np.random.default_rng(seed))
    for e in range(5):
        before, after = (t.stretch[t.electrode == e] for t in (whole, moved))
        np.testing.assert_array_equal(before, after)
    assert (moved.frame >= STRETCHES[moved.stretch, 0]).all() and (moved.frame < STRETCHES[moved.stretch, 1]).all()


@given(SPIKES, st.integers(0, 9), st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_gaps_are_no_time_that_was_recorded(spikes, seed, n):
    whole = in_stretches(spikes)
    assert whole.n_recorded == 581 and whole.duration_s == 581 / RATE_HZ
    recorded = whole.recorded_frames(np.arange(581))
    assert (
        len(np.unique(recorded)) == 581
        and ((recorded[:, None] >= STRETCHES[:, 0]) & (recorded[:, None] < STRETCHES[:, 1])).any(axis=1).all()
    )
    drawn = whole.poisson(np.random.default_rng(seed))
    assert np.isin(drawn.frame, recorded).all() and (drawn.counts == whole.counts).all()
    blocks = whole.blocks(n)
    assert sum(len(b.frame) for b in blocks) == len(whole.frame)
    assert {b.n_recorded for b in blocks} <= {581 // n, 581 // n + 1} and sum(b.n_recorded for b in blocks) == 581
    assert all(np.isin(b.frame, b.recorded_frames(np.arange(b.n_recorded))).all() for b in blocks)


def test_no_echo_is_heard_over_a_break():
    trains = trains_of(
        [98, 205],
        [102, 209],
        positions_um=POSITIONS[:2],
        amplitude=-np.array([9.0, 9, 5, 5]),
        stretches=[[0, 100], [100, 207], [208, 1_000]],
    )
    assert trains.without_echoes(100.0).counts.tolist() == [2, 2]
    assert replace(trains, stretches=None).without_echoes(100.0).counts.tolist() == [2, 0]


@given(SPIKES, st.integers(1, 300), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_jitter_moves_spikes_no_further_than_asked_and_loses_none(spikes, reach, seed):
    frame, electrode = np.array(spikes, np.int64).reshape(-1, 2).T
    whole = SpikeTrains(frame, electrode, list("abcde"), 1_000, RATE_HZ)
    moved = whole.jittered(reach, np.random.default_rng(seed))
    np.testing.assert_array_equal(moved.counts, whole.counts)
    assert ((moved.frame >= 0) & (moved.frame < 1_000)).all()
    for e in range(5):  # sorted trains: the k-th spike is still within reach of the k-th
        assert (np.abs(frames_of(moved, e) - frames_of(whole, e)) <= reach).all()


POSITIONS = np.array([[0.0, 0], [50, 0], [500, 0]])


def test_of_an_echo_only_the_largest_spike_stays():
    trains = trains_of(
        [100, 300, 500],
        [104, 330, 700],
        [102, 302],
        positions_um=POSITIONS,
        amplitude=np.array([-9.0, -9, -9, -20, -8, -8, -5, -5]),
    )
    single = trains.without_echoes(100.0)  # 0.5 ms are 10 frames
    assert [frames_of(single, e).tolist() for e in range(3)] == [[300, 500], [104, 330, 700], [102, 302]]
    np.testing.assert_array_equal(trains.without_echoes(0.0).frame, trains.frame)
    nowhere = replace(trains, positions_um=None)
    np.testing.assert_array_equal(nowhere.without_echoes(100.0).frame, trains.frame)
    turned = trains.select(np.array([2, 0, 1])).without_echoes(100.0)
    assert [frames_of(turned, e).tolist() for e in (1, 2, 0)] == [frames_of(single, e).tolist() for e in range(3)]


def test_of_a_simulation_each_true_spike_is_left_about_once(windows, truth):
    everything = from_windows(windows)
    assert len(everything.frame) == len(windows.ledger.frame) > 1.5 * len(truth.frame)
    single = everything.without_echoes(150.0)
    assert 0.8 * len(truth.frame) < len(single.frame) < 1.1 * len(truth.frame)
    assert single.n_frames == 12 * RATE_HZ and single.positions_um.shape == (16, 2)
    assert len(windows.planted_bursts) == len(truth.bursts) == 3


def test_the_ledger_gives_all_spikes_but_those_of_bad_electrodes_of_one_recording(windows):
    reason = windows.ledger.reason.copy()
    reason[windows.ledger.channel == 3] = Reason.BAD_CHANNEL
    recording = (windows.ledger.frame > 100_000).astype(np.uint16)
    marked = replace(windows, ledger=replace(windows.ledger, reason=reason, recording=recording), recordings=["a", "b"])
    trains = from_windows(marked, 1)
    wanted = (recording == 1) & (windows.ledger.channel != 3)
    assert len(trains.frame) == wanted.sum() and trains.counts[3] == 0 and trains.frame.min() > 100_000
    with pytest.raises(InputError, match="no recording 2 among the 2"):
        from_windows(marked, 2)


def test_imported_windows_give_trains_by_electrode_or_unit_where_times_are_known(windows):
    cut = replace(windows, ledger=None)
    np.testing.assert_array_equal(from_windows(cut).counts, np.bincount(windows.channel, minlength=16))
    unknown = np.full(len(windows), -1, np.int32)
    by_unit = from_windows(replace(cut, channel=unknown))
    fired = {(u, f) for u, f in zip(windows.label, windows.frame) if u >= 0}  # heard by several electrodes at once
    assert by_unit.counts.sum() == len(fired) and by_unit.counts[0] == sum(u == 0 for u, _ in fired)
    for lacking in ({"frame": unknown.astype(np.int64)}, {"channel": unknown, "label": unknown}):
        with pytest.raises(InputError, match="do not say when their spikes were"):
            from_windows(replace(cut, **lacking))


def test_a_table_of_spike_times_is_read_whatever_its_electrodes_are_called(tmp_path):
    path = tmp_path / "spikes.csv"
    path.write_text(
        "x_um,time_s,electrode,y_um,amplitude\n0,0.0000015,A1,7,-3\n42,1.5,B2,7,-4\n0,1.0,A1,7,-5\n0,1.0,A1,7,-5\n"
    )
    trains = read_spikes(path)
    assert trains.names == ["A1", "B2"] and trains.sampling_rate_hz == 1e6 and trains.n_frames == 1_500_001
    assert frames_of(trains, 0).tolist() == [2, 1_000_000]  # what is given twice counts once
    np.testing.assert_array_equal(trains.positions_um, [[0, 7], [42, 7]])
    np.testing.assert_array_equal(trains.amplitude, [-3, -5, -4])
    path.write_text("electrode,time_s\n1,2\n")
    assert read_spikes(path).positions_um is None and np.isnan(read_spikes(path).amplitude).all()


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("a.csv", "electrode,seconds\n1,2\n", "no column time_s, but electrode, seconds: its first line must name"),
        ("a.csv", "Channel;Time\n1;2\n", "no column time_s, but Channel, Time: .* such as Time .ms."),  # of what unit?
        ("a.csv", "1,2\n3,4\n", "no column electrode or time_s, but 1, 2: its first line"),
        ("a.csv", "", "no column electrode or time_s, but none: its first line"),
        ("a.csv", "electrode,time_s\nE1,0,5\n", "more values than headers in line 2: where decimals have commas"),
        ("a.csv", "electrode;time_s\nE1;1.234,5\n", "something else than numbers in line 2"),
        ("a.csv", "Investigator,Electrode,Time (s)\n,A1_11,1\n,B2_11,2\n", "2 wells .A1, B2., which are no one"),
        ("a.csv", "electrode,time_s\n1,2\n3,soon\n", "something else than numbers in line 3"),
        ("a.csv", "electrode,time_s\n1,2\n1,-2\n1,nan\n", "2 spike times that are no number from 0 on"),
        ("a.csv", "electrode,time_s\n", "holds no spike"),
        ("a.csv", "electrode,time_s\n1,1e300\n", "a spike at 1e.300 s, which cannot be"),
        ("a.txt", "1 2", "no format of spike times that is read: .csv, .nwb, .mat"),
        ("a.nwb", "damaged", "is not an HDF5 file"),
        ("a.mat", "damaged", "could not be read as spike times"),
        (None, "", "no spike times at .*: check the path"),
    ],
)
def test_bad_spike_times_are_refused_in_one_sentence(tmp_path, name, content, sentence):
    if name:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_spikes(tmp_path / (name or "missing.csv"))


TABLES = {
    "as Excel writes it in Italy": "electrode;time_s;amplitude\nE1;0,5;-3,5\nE2;1,25;-4\nE1;0,75;-5\n",
    "Axion": "Investigator,,Time (s),Electrode,Amplitude(mV)\n"
    "Name,x,0.5,A1_1,-3.5\n,,1.25,A1_2,-4\n,,0.75,A1_1,-5\n,,,,\nWell Information,A1,A2,A3,A4\nTreatment,,,,\n",
    "milliseconds, tabs and a mark of bytes": "\ufeffChannel ID\tTimestamp [ms]\tAmplitude\n"
    "E1\t500\t-3.5\nE2\t1250\t-4\nE1\t750\t-5\n",
    "microseconds": "Timestamp [µs],Unit,amplitude\n500000,E1,-3.5\n1250000,E2,-4\n750000,E1,-5\n",
    "quoted decimals": 'electrode,time_s,amplitude\nE1,"0,5","-3,5"\nE2,"1,25",-4\nE1,"0,75",-5\n',
}


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_spikes_is_read_as_programs_write_it(tmp_path, kind, encoding):
    (tmp_path / "spikes.csv").write_bytes(TABLES[kind].encode(encoding, errors="ignore"))
    trains = read_spikes(tmp_path / "spikes.csv")
    assert trains.names == (["A1_1", "A1_2"] if kind == "Axion" else ["E1", "E2"])
    assert trains.frame.tolist() == [500_000, 750_000, 1_250_000]
    assert trains.counts.tolist() == [2, 1] and trains.amplitude.tolist() == [-3.5, -5, -4]


def test_units_without_electrodes_stay_apart(tmp_path):
    path = tmp_path / "spikes.nwb"
    with h5py.File(path, "w") as file:
        file["units/spike_times"], file["units/spike_times_index"] = [0.5, 1.0, 0.25, 2.0, 3.0], [1, 2, 3, 5]
        file["units/electrodes"], file["units/electrodes_index"] = [1, 1], [0, 1, 2, 2]  # the first and last have none
        for name, values in (("x", [0.0, 42.0]), ("y", [7.0, 7.0])):
            file[f"general/extracellular_ephys/electrodes/{name}"] = values
    trains = read_spikes(path)
    assert sorted(frames_of(trains, e).tolist() for e in range(3)) == [
        [250_000, 1_000_000],
        [500_000],
        [2_000_000, 3_000_000],
    ]
    assert trains.positions_um is None  # of two of them they are not known
    with h5py.File(path, "a") as file:  # not one of them has an electrode
        del file["units/electrodes"], file["units/electrodes_index"]
        file["units/electrodes"], file["units/electrodes_index"] = np.zeros(0, int), [0, 0, 0, 0]
    assert read_spikes(path).counts.tolist() in ([1, 1, 1, 2], [2, 1, 1, 1])


TRAINS = [np.array([0.5, 0.7512, 2.0]), np.zeros(0), np.array([1.25])]


def a_matlab_file(path: Path, version: int, **variables) -> Path:
    """Variables in a MATLAB file; lists are cell arrays."""
    if version == 5:
        for name, value in variables.items():
            if isinstance(value, list):
                variables[name] = np.empty((1, len(value)), object)
                variables[name][0] = [np.atleast_2d(cell) for cell in value]
        scipy.io.savemat(path, variables)
        return path
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            if not isinstance(value, list):
                file[name] = np.atleast_2d(value).T
                continue
            stored = [file.create_dataset(f"#refs#/{name}{i}", data=np.atleast_2d(c).T) for i, c in enumerate(value)]
            for cell, held in zip(value, stored):
                if np.asarray(cell).dtype.kind == "u":  # as MATLAB stores letters
                    held.attrs["MATLAB_class"] = np.bytes_("char")
                if not np.size(cell):
                    held.attrs["MATLAB_empty"] = np.uint8(1)
            file.create_dataset(name, data=np.array([[d.ref for d in stored]], dtype=h5py.ref_dtype).T)
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("at", "value"), [("type", 128), ("class", 33), ("size", 2**31)])
def test_a_damaged_element_of_a_matlab_file_is_refused_and_crashes_nothing(tmp_path, at, value, compressed):
    variables = {"spikes": np.array([*TRAINS, None], object)[:3]}
    scipy.io.savemat(tmp_path / "whole.mat", variables, do_compression=compressed)
    assert read_spikes(tmp_path / "whole.mat").counts.tolist() == [3, 0, 1]
    scipy.io.savemat(tmp_path / "x.mat", variables)
    content = bytearray((tmp_path / "x.mat").read_bytes())
    cell = 128 + 56  # the first cell, behind the flags, the dimensions and the name of the variable
    assert struct.unpack_from("<I", content, cell) == (14,)
    struct.pack_into("<I", content, {"type": cell + 48, "class": cell + 16, "size": cell + 52}[at], value)
    if compressed:
        deflated = zlib.compress(content[128:])
        content[128:] = struct.pack("<II", 15, len(deflated)) + deflated
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        read_spikes(tmp_path / "x.mat")


@pytest.mark.parametrize("version", [5, 7])
def test_matlab_cells_of_spike_times_are_read_whatever_their_version(tmp_path, version):
    path = tmp_path / "spikes.mat"
    trains = read_spikes(a_matlab_file(path, version, spikeTimes=TRAINS, fs=10_000.0))
    assert trains.counts.tolist() == [3, 0, 1] and trains.sampling_rate_hz == 10_000
    assert trains.frame.tolist() == [5000, 7512, 20_000, 12_500]
    assert read_spikes(a_matlab_file(path, version, anything=TRAINS)).frame.tolist() == [
        500_000,
        751_200,
        2_000_000,
        1_250_000,
    ]
    names = ["E1", "E2"] if version == 5 else [np.array([69, 49], np.uint16)]
    assert read_spikes(a_matlab_file(path, version, names=names, t=TRAINS)).counts.tolist() == [3, 0, 1]
    samples = [np.rint(10_000 * train) for train in TRAINS]
    np.testing.assert_array_equal(
        read_spikes(a_matlab_file(path, version, spikes=samples, Fs=10_000.0)).frame, trains.frame
    )
    events = [np.stack([-np.arange(1.0, 1 + len(t)), t, t], axis=1) if len(t) else t for t in TRAINS]
    result = read_spikes(a_matlab_file(path, version, events=events, rate=10_000.0))
    np.testing.assert_array_equal(result.frame, trains.frame)
    assert result.amplitude.tolist() == [-1, -2, -3, -1]


@pytest.mark.parametrize("version", [5, 7])
@pytest.mark.parametrize(
    "variables, sentence",
    [
        ({"a": 1.0, "voltage": np.ones((3, 5))}, "holds a, voltage: it must hold one cell array"),
        ({"a": TRAINS, "b": TRAINS[::-1]}, "holds a, b: it must hold one cell array"),
        ({"a": [np.ones((3, 3))]}, "holds a: it must hold one cell array"),
        ({"a": [np.arange(9.0)]}, "counts its spikes in whole numbers: give them in s, or add fs in Hz"),
        ({"a": TRAINS, "fs": 0.0}, "states a rate of 0 Hz: it must be above zero"),
        ({"a": [np.array([0.5, -1.0])]}, "1 spike times that are no number from 0 on"),
        ({"a": [np.zeros(0)]}, "holds no spike"),
    ],
)
def test_matlab_files_of_something_else_are_told_by_what_they_hold(tmp_path, version, variables, sentence):
    with pytest.raises(InputError, match=sentence):
        read_spikes(a_matlab_file(tmp_path / "spikes.mat", version, **variables))


def test_an_nwb_file_gives_its_units_by_electrode(tmp_path):
    path = tmp_path / "spikes.nwb"
    with h5py.File(path, "w") as file:
        file["units/spike_times"], file["units/spike_times_index"] = [0.5, 1.0, 0.25, 2.0], [2, 3, 4]
    assert read_spikes(path).counts.tolist() == [2, 1, 1] and read_spikes(path).positions_um is None
    with h5py.File(path, "a") as file:  # the first and the last unit on one electrode
        file["units/electrodes"], file["units/electrodes_index"] = [1, 0, 1], [1, 2, 3]
        for name, values in (("x", [0.0, 42.0]), ("y", [7.0, 7.0])):
            file[f"general/extracellular_ephys/electrodes/{name}"] = values
    trains = read_spikes(path)
    assert frames_of(trains, 1).tolist() == [500_000, 1_000_000, 2_000_000] and trains.counts.tolist() == [1, 3]
    np.testing.assert_array_equal(trains.positions_um, [[0, 7], [42, 7]])
    with h5py.File(path, "w") as file:
        file["acquisition/voltage"] = [0.0]
    with pytest.raises(InputError, match="no table of units"):
        read_spikes(path)


def test_events_of_matlab_keep_their_empty_electrodes_and_the_length_of_the_recording(tmp_path):
    path = tmp_path / "events.mat"
    busy, quiet = np.array([[-9.0, -8.0], [0.0017, 0.5], [18, 5001]]), np.array([[-7.0], [0.3], [3001]])
    cells = [busy, np.zeros(2, np.uint64), quiet]
    with h5py.File(path, "w") as file:
        stored = [file.create_dataset(f"#refs#/{i}", data=cell) for i, cell in enumerate(cells)]
        file.create_dataset("events", data=np.array([[d.ref for d in stored]], dtype=h5py.ref_dtype))
        file["rate"] = [[10_000.0]]
        file.create_group("spikeMatrix").attrs["MATLAB_sparse"] = np.uint64(20_000)
    trains = read_spikes(path)
    assert trains.counts.tolist() == [2, 0, 1] and frames_of(trains, 0).tolist() == [17, 5000]
    assert trains.duration_s == 2.0 and trains.amplitude.tolist() == [-9, -8, -7]


def test_the_culture_under_treatment_has_three_parts_and_conditions():
    if not (Path(os.environ.get("MEAGAN_DATA_MIRROR", "no mirror")) / "axotomy_mea").is_dir():
        pytest.skip("no axotomy_mea in MEAGAN_DATA_MIRROR")
    trains = treated("axotomy_mea")
    assert [len(part) for part in trains.values()] == [3, 3, 3]
    assert [part["GABA"].n_electrodes for part in trains.values()] == [10, 21, 10]
    for condition, seconds in (("baseline", 308), ("GABA", 716), ("NMDA", 423)):
        assert {round(part[condition].duration_s) for part in trains.values()} == {seconds}
    assert all(5 < t.rate_hz.mean() < 15 for part in trains.values() for t in part.values())


def test_spike_times_are_no_recording_and_a_recording_has_no_treatments():
    with pytest.raises(InputError, match="spike times and no voltage.*notebook 05 reads it"):
        open_recording("axotomy_mea")
    with pytest.raises(InputError, match="'locust' is no entry of the catalogue with spike trains under treatment"):
        treated("locust")
    spike_files.require_treated("axotomy_mea")


def test_a_time_must_be_above_zero():
    assert trains_of([1]).frames(0.001) == 1 and trains_of([1]).frames(2.5) == 50
    for ms in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="must be above zero"):
            trains_of([1]).frames(ms)


def test_the_busiest_electrodes_are_taken_in_their_order():
    trains = trains_of([1, 2], [1, 2, 3, 4], [5], [1, 2, 3])
    assert trains.by_activity.tolist() == [1, 3, 0, 2]
    assert trains.busiest(2 / trains.duration_s, 9).names == ["0", "1", "3"]
    assert trains.busiest(0.1, 2).names == ["1", "3"]
    with pytest.raises(InputError, match="fewer than two electrodes fire 80 Hz or more"):
        trains.busiest(80.0, 9)
