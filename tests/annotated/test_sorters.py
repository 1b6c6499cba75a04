"""Sorters: each in a process of its own, compared with the truth, and what is said where one cannot."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from typer.testing import CliRunner

from meagan_lib import InputError, cli, plots
from meagan_lib.annotated import sorter_scores, sorters
from meagan_lib.annotated.hybrid import unit_depths
from meagan_lib.annotated.sorters import SORTERS, Known, Outcome, Sorter
from meagan_lib.recordings.simulation import GroundTruth, truth_path
from meagan_lib.windows.detection import DetectionConfig


@pytest.fixture
def hybrid(recording, tmp_path) -> Path:
    """A recording with its truth, in a folder of its own."""
    source = Path(recording.get_annotation("files")[0])
    path = tmp_path / "chip.brw"
    shutil.copy(source, path)
    truth_path(path).write_bytes(truth_path(source).read_bytes())
    return path


@pytest.fixture
def perfect(monkeypatch, truth) -> list[str]:
    """Every sorter finds the truth, in no time; the list is of those that ran."""
    ran, fields = [], [("sample_index", "i8"), ("unit_index", "i8"), ("segment_index", "i8")]

    def watched(command, folder, limit_s):
        ran.append(command[-3])
        spikes = np.zeros(len(truth.frame), fields)
        spikes["sample_index"], spikes["unit_index"] = truth.frame, truth.unit
        np.save(command[-1], spikes)
        return 0, 1.0, 100.0

    monkeypatch.setattr(sorters, "watched", watched)
    monkeypatch.setattr(sorters, "SORTERS", {name: Sorter() for name in SORTERS})
    return ran


def known_with(truth, hybrid, change) -> list[dict]:
    """The comparison with a sorting that differs from the truth by ``change`` of its frames and units."""
    import spikeinterface.core as sc

    known = Known.open(str(hybrid))
    frame, unit = change(truth.frame, truth.unit)
    rate = known.recording.get_sampling_frequency()
    return sorters.compared(known, sc.NumpySorting.from_samples_and_labels([frame], [unit], rate))


def test_accuracy_counts_what_is_missed_and_what_is_wrong(truth, hybrid):
    rows = known_with(truth, hybrid, lambda frame, unit: (frame, unit))
    assert all(row["accuracy"] == row["recall"] == row["precision"] == 1 for row in rows)
    half = known_with(truth, hybrid, lambda frame, unit: (frame[unit != 3], unit[unit != 3]))
    assert half[3]["accuracy"] == half[3]["recall"] == 0 and half[3]["precision"] is None and half[2]["accuracy"] == 1
    first = np.flatnonzero(truth.unit == 0)
    more = known_with(truth, hybrid, lambda f, u: (np.r_[f, 1000 * np.arange(1, 11)], np.r_[u, np.zeros(10, u.dtype)]))
    assert more[0]["recall"] == 1 and more[0]["precision"] == pytest.approx(len(first) / (len(first) + 10), abs=0.02)


def test_a_units_depth_is_that_of_its_detected_troughs(recording, truth, traces, windows):
    rate, noise = recording.get_sampling_frequency(), windows.noise_mad
    depth, troughs = unit_depths(truth, DetectionConfig(), rate, noise), []
    for unit in range(len(depth)):
        frames = truth.frame[truth.unit == unit]
        near = traces[frames[:, None] + np.arange(-20, 21)].mean(axis=0)
        troughs.append((-near / noise).max())
    assert depth == pytest.approx(np.array(troughs), rel=0.25)
    assert np.corrcoef(depth, troughs)[0, 1] > 0.98


def test_a_sorter_that_is_not_installed_is_skipped_in_words_and_the_others_go_on(hybrid, perfect):
    sorters.SORTERS["lupin"] = Sorter(("no_such_package",))
    table, outcomes = sorters.compare(str(hybrid), ["lupin", "simple"])
    assert "no_such_package" in outcomes[0].why_not and "[sorters]" in outcomes[0].why_not
    assert perfect == ["simple"] and set(pd.read_csv(table)["sorter"]) == {"simple"}


def test_a_sorter_that_fails_says_why_in_its_own_words_and_the_others_go_on(hybrid, perfect, monkeypatch):
    own = """Traceback (most recent call last):
  File "basesorter.py", line 302, in run_from_folder
    raise SpikeSortingError(
    ^^^^^^^^^^^^^^^^^^^^^^^^
spikeinterface.SpikeSortingError: Spike sorting error trace:
Traceback (most recent call last):
  File "basesorter.py", line 280, in run_from_folder
    cls._run_from_folder()
  File "simple.py", line 3, in _run_from_folder

ValueError: too few peaks
and more of it

Spike sorting failed. You can inspect the runtime trace.
"""
    working = sorters.watched

    def watched(command, folder, limit_s):
        if command[-3] != "simple":
            return working(command, folder, limit_s)
        (folder / "log.txt").write_text(own)
        return 1, 1.0, 100.0

    monkeypatch.setattr(sorters, "watched", watched)
    _, outcomes = sorters.compare(str(hybrid), ["simple", "lupin"])
    assert outcomes[0].why_not == "ValueError: too few peaks" and outcomes[1].performance
    with pytest.raises(InputError, match="no sorter succeeded: simple: ValueError: too few peaks"):
        sorters.compare(str(hybrid), ["simple"])


def test_the_process_of_a_sorter_ends_with_its_own_error(hybrid, tmp_path):
    command = [sys.executable, "-m", "meagan_lib.annotated.sorters", "lupin", str(tmp_path / "gone.brw"), "found.npy"]
    code, seconds, _ = sorters.watched(command, tmp_path, 120)
    assert code == 1 and seconds > 0
    assert "no recording" in sorters.failure((tmp_path / "log.txt").read_text(), code)


def test_what_a_sorter_draws_without_a_seed_is_always_the_same(monkeypatch):
    monkeypatch.setattr(np.random, "default_rng", np.random.default_rng)  # restored after the test
    given = np.random.default_rng(seed=7).random()
    sorters.fix_seeds()
    assert np.random.default_rng().random() == np.random.default_rng().random()
    assert np.random.default_rng(seed=7).random() == given != np.random.default_rng().random()


def test_a_sorter_is_stopped_at_the_limit_with_all_that_it_started(tmp_path):
    child = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)"
    command = [sys.executable, "-c", f"{child}; sys.stdout.flush(); import time; time.sleep(60)"]
    code, seconds, _ = sorters.watched(command, tmp_path, 1.5)
    assert code is None and seconds < 20
    pid = int((tmp_path / "log.txt").read_text())
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]


def test_the_memory_of_a_sorter_is_its_own(tmp_path):
    small, large = (
        sorters.watched([sys.executable, "-c", f"x = bytearray({n} << 20); import time; time.sleep(0.5)"], tmp_path, 60)
        for n in (0, 200)
    )
    assert small[2] < 50 and 200 <= large[2] < 260


def test_what_was_sorted_before_an_interrupt_is_not_sorted_again(hybrid, perfect, monkeypatch):
    working = sorters.watched

    def watched(command, folder, limit_s):
        if command[-3] == "simple":
            raise KeyboardInterrupt
        return working(command, folder, limit_s)

    monkeypatch.setattr(sorters, "watched", watched)
    with pytest.raises(KeyboardInterrupt):
        sorters.compare(str(hybrid), ["lupin", "simple"])
    assert not [path for path in hybrid.parent.iterdir() if path.name.startswith(".")]
    monkeypatch.setattr(sorters, "watched", working)
    sorters.compare(str(hybrid), ["lupin", "simple"])
    assert perfect == ["lupin", "simple"]


def test_another_truth_or_version_is_sorted_anew(hybrid, perfect, truth):
    sorters.compare(str(hybrid), ["lupin"])
    replace(truth, frame=truth.frame + 1).save(truth_path(hybrid))
    sorters.compare(str(hybrid), ["lupin"])
    sorters.SORTERS["lupin"] = Sorter(("numpy",))
    sorters.compare(str(hybrid), ["lupin"])
    assert perfect == ["lupin"] * 3


def test_bad_input_ends_in_one_sentence_before_anything_is_sorted(hybrid, perfect):
    with pytest.raises(InputError, match="no recording 'gone.brw'"):
        sorters.compare("gone.brw")
    with pytest.raises(InputError, match="did you mean 'lupin'"):
        sorters.compare(str(hybrid), ["lupine"])
    truth = GroundTruth.load(truth_path(hybrid))
    others = [{"frame": truth.frame + 10**9}, {"frame": truth.frame - 10**9}, {"unit": truth.unit + 1000}]
    others += [{"unit": truth.unit - 1}, {"unit": truth.unit[1:]}, {"templates_uv": truth.templates_uv[:, :, 1:]}]
    for other in others:
        replace(truth, **other).save(truth_path(hybrid))
        with pytest.raises(InputError, match="chip.truth.npz is of another recording than chip.brw"):
            sorters.compare(str(hybrid))
    truth_path(hybrid).write_bytes(b"PK no zip")
    with pytest.raises(InputError, match="could not be read"):
        sorters.compare(str(hybrid))
    truth_path(hybrid).unlink()
    with pytest.raises(InputError, match="there is no chip.truth.npz beside chip.brw"):
        sorters.compare(str(hybrid))
    for name in SORTERS:
        sorters.SORTERS[name] = Sorter(("no_such_package",))
    with pytest.raises(InputError, match="none of these sorters is installed"):
        sorters.compare(str(hybrid))
    assert not perfect


def test_the_command_prints_accuracy_cost_and_the_verdict(hybrid, perfect, monkeypatch):
    sorters.SORTERS["mountainsort5"] = Sorter(("no_such_package",))
    monkeypatch.setenv("COLUMNS", "160")
    done = CliRunner().invoke(cli.app, ["sorters", str(hybrid)])
    assert done.exit_code == 0
    for words in ("lupin", "accuracy", "memory (MB)", "mountainsort5 was left out", "no sorter is significantly"):
        assert words in " ".join(done.output.split())
    assert hybrid.with_suffix(".sorters.csv").is_file() and hybrid.with_suffix(".sorters.json").is_file()


def units_of(qualities: dict[str, float], n: int = 30, seed: int = 0, slope: float = 0.0) -> pd.DataFrame:
    """Accuracies of sorters, each as good as said, on units of 4 to 12 noise levels, ``slope`` better for each."""
    rng = np.random.default_rng(seed)
    depth, luck = rng.uniform(4, 12, n), 0.05 * rng.standard_normal((len(qualities), n))
    return pd.DataFrame(
        {"sorter": name, "unit": unit, "depth": depth[unit], "spikes": 100, "recall": 0.5, "precision": 0.5}
        | {"accuracy": float(np.clip(quality + slope * (depth[unit] - 8) + luck[i, unit], 0, 1))}
        for i, (name, quality) in enumerate(qualities.items())
        for unit in range(n)
    )


def test_intervals_shrink_with_units_and_hold_the_mean():
    few, many = (sorter_scores.by_depth(units_of({"a": 0.6}, n, slope=0.05)).iloc[-1] for n in (10, 200))
    assert few["low"] < few["accuracy"] < few["high"] and many["high"] - many["low"] < 0.5 * (few["high"] - few["low"])
    one = sorter_scores.by_depth(units_of({"a": 0.6}, 1)).iloc[-1]
    assert np.isnan(one["low"]) and one["units"] == 1


def test_a_lead_within_chance_is_called_no_lead():
    assert sorter_scores.verdict(units_of({"a": 0.8, "b": 0.5})).startswith("a suits this recording best")
    close = units_of({"a": 0.6, "b": 0.6})
    assert sorter_scores.verdict(close).startswith("no sorter is significantly the best")


def test_a_lead_is_corrected_for_all_pairs_of_sorters(monkeypatch):
    """Of five sorters ten pairs might have been first and second: each interval is one of 99.5 %."""
    asked = []

    def interval(values, seed, alpha=0.05):
        asked.append(alpha)
        return 0.1, 0.2

    monkeypatch.setattr(sorter_scores, "interval", interval)
    sorter_scores.verdict(units_of(dict.fromkeys("abcde", 0.5)))
    assert asked == [pytest.approx(0.05 / 10)]


def test_agreement_is_of_ranks_and_depth_alone_does_not_make_it():
    qualities = {name: 0.3 + 0.1 * i for i, name in enumerate("abcde")}
    hybrid = units_of(qualities, slope=0.02)

    def rho(truth):
        return sorter_scores.rank_agreement(hybrid, truth).set_index("compared")["rho"]

    assert (rho(units_of(qualities, 60, seed=1, slope=0.02)) > 0.9).all()
    assert rho(units_of(dict(zip("abcde", reversed(qualities.values()))), 60, seed=1, slope=0.02))["sorters"] < -0.99
    hybrid = units_of(dict.fromkeys("abcde", 0.5), slope=0.1)
    deep = rho(units_of(dict.fromkeys("abcde", 0.5), 60, seed=1, slope=0.1))
    assert deep["sorters × depths"] > 0.7 > deep["sorters within a depth"]


def test_a_figure_of_sorters_has_a_dot_for_each_unit_and_the_best_first():
    units = units_of({"poor": 0.3, "good": 0.9}, 12)
    outcomes = [Outcome(name, "", 5, 10.0, 300.0, {}, [{}]) for name in ("poor", "good")]
    fig = plots.sorters(units, sorter_scores.by_depth(units), sorters.costs(outcomes))
    FigureCanvasAgg(fig).draw()
    panels = [axis for axis in fig.axes if axis.get_title(loc="left")]
    assert [axis.get_title(loc="left")[:4] for axis in panels] == ["good", "poor"]
    dots = next(line for line in panels[0].lines if line.get_marker() == "o")
    assert sorted(dots.get_ydata()) == sorted(units.loc[units["sorter"] == "good", "accuracy"])
