"""Which sorter suits this chip: sorters run on a recording whose spikes are known, and are compared with the truth.

The sorters are those of SpikeInterface (Buccino et al. 2020, doi:10.7554/eLife.61834) that run on a CPU, each with the
settings it comes with, in a process and a temporary folder of its own. Run as a module, this file is that process.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import spikeinterface.core as sc

from meagan_lib import ROOT, InputError, choose
from meagan_lib.annotated.hybrid import unit_depths
from meagan_lib.annotated.writing import sorting_of
from meagan_lib.recordings.opening import ground_truth, open_recording
from meagan_lib.recordings.simulation import GroundTruth, truth_path
from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.filtering import noise_levels, signs_and_gains
from meagan_lib.workflow.files import atomic, is_disk_full, sha256, write_json

SAMPLED_S = 0.1
"""Memory is looked at so often."""
COLUMNS = "sorter unit depth spikes accuracy recall precision".split()
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMBA")}


@dataclass(frozen=True)
class Sorter:
    """A sorter of SpikeInterface: packages that it needs besides, and options that fix its seed and its cores."""

    needs: tuple[str, ...] = ()
    options: dict[str, int] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [package for package in self.needs if importlib.util.find_spec(package) is None]

    @property
    def versions(self) -> dict[str, str]:
        """Versions of what is run."""
        return {package: importlib.metadata.version(package) for package in ("spikeinterface", *self.needs)}


SORTERS: dict[str, Sorter] = {
    "lupin": Sorter(options={"seed": 0}),
    "spykingcircus2": Sorter(("hdbscan",), {"seed": 0}),
    "tridesclous2": Sorter(("hdbscan",), {"seed": 0}),
    "simple": Sorter(("hdbscan",), {"seed": 0}),
    "mountainsort5": Sorter(("mountainsort5",), {"whitening_seed": 0}),
    "herdingspikes": Sorter(("herdingspikes",), {"clustering_n_jobs": 1}),
}
"""Sorters by the name that SpikeInterface gives them."""


@dataclass(frozen=True)
class Outcome:
    """What became of a sorter.

    ``why_not`` is empty where it sorted, else a sentence; ``found`` units; ``seconds`` and ``memory_mb`` (largest
    resident set) of its process, from its start with all imports and compilation; ``versions`` of packages;
    ``performance``: a row for each true unit.
    """

    sorter: str
    why_not: str = ""
    found: int = 0
    seconds: float = float("nan")
    memory_mb: float = float("nan")
    versions: dict[str, str] = field(default_factory=dict)
    performance: list[dict] = field(default_factory=list)


@dataclass(frozen=True)
class Known:
    """A recording whose spikes are known: its file, its truth as a sorting, and the depth (units,) of its units."""

    path: Path
    recording: sc.BaseRecording
    truth: sc.BaseSorting
    depth: np.ndarray

    @classmethod
    def open(cls, name: str) -> "Known":
        """Open a recording that has its truth beside it.

        Raises
        ------
        InputError
            No such recording, no truth beside it, a truth that is damaged or has no spikes.
        """
        path, recording, truth = with_truth(name)
        detection, rate = DetectionConfig(), recording.get_sampling_frequency()
        noise = noise_levels(recording, detection.filter(rate), 0) * signs_and_gains(recording)[1]
        depth = unit_depths(truth, detection, rate, noise)
        firing = np.unique(truth.unit)
        return cls(path, recording, sorting_of(truth, recording).select_units(firing), depth[firing])


def with_truth(name: str) -> tuple[Path, sc.BaseRecording, GroundTruth]:
    """Open a recording that has its truth beside it; ``InputError`` as of :meth:`Known.open`."""
    recording = open_recording(name)
    path = Path(recording.get_annotation("files")[0]).absolute()
    truth = ground_truth(recording)
    if truth is None:
        raise InputError(
            f"there is no {truth_path(path).name} beside {path.name}, and its spikes are therefore not known: make a "
            f"hybrid of this recording and name that"
        )
    if not len(truth.frame):
        raise InputError(f"{truth_path(path).name} has no spikes: make a hybrid of more units or a higher rate")
    return path, recording, truth


def compare(
    name: str, sorters: Sequence[str] = (), limit_s: float = 3600.0, say: Callable[[str], None] = lambda words: None
) -> tuple[Path, list[Outcome]]:
    """Run sorters on a recording with known spikes, and return ``NAME.sorters.csv`` and what became of each.

    All sorters are run where none is named. The table, and ``NAME.sorters.json`` with times and versions, are written
    after each: what has been sorted with the same versions is not sorted again.

    Parameters
    ----------
    limit_s
        Seconds after which a sorter is stopped.
    say
        Is told in words what begins.

    Raises
    ------
    InputError
        Bad input, as :meth:`Known.open` says; an unknown sorter; none that is installed or none that succeeded.
    """
    for sorter in sorters:
        choose("sorter", sorter, SORTERS)
    names = list(dict.fromkeys(sorters)) or list(SORTERS)
    if all(SORTERS[sorter].missing for sorter in names):
        raise InputError(f"none of these sorters is installed: {'; '.join(_install(sorter) for sorter in names)}")
    known = Known.open(name)
    table, key = known.path.with_suffix(".sorters.csv"), sha256(truth_path(known.path))
    outcomes = _kept(table, key)
    for sorter in names:
        if SORTERS[sorter].missing:
            outcomes[sorter] = Outcome(sorter, _install(sorter))
        elif sorter not in outcomes:
            say(f"{sorter} sorts {known.path.name}")
            outcomes[sorter] = outcome(known, sorter, limit_s)
            _write(table, key, outcomes)
    asked = [outcomes[sorter] for sorter in names]
    if not any(o.performance for o in asked):
        raise InputError(f"no sorter succeeded: {'; '.join(f'{o.sorter}: {o.why_not}' for o in asked)}")
    _write(table, key, outcomes)
    return table, asked


def _install(sorter: str) -> str:
    missing = " and ".join(SORTERS[sorter].missing)
    return f"{sorter} needs {missing}, which pip install -c constraints.txt -e '.[sorters]' installs"


def _kept(table: Path, key: str) -> dict[str, Outcome]:
    """Return what sorters found earlier in the recording with this truth, as they are installed now."""
    try:
        earlier = json.loads(table.with_suffix(".json").read_text())
        outcomes = [Outcome(**given) for given in earlier["sorters"]] if earlier["truth_sha256"] == key else []
        return {o.sorter: o for o in outcomes if o.performance and o.versions == SORTERS[o.sorter].versions}
    except (OSError, ValueError, KeyError, TypeError, importlib.metadata.PackageNotFoundError):
        return {}


def _write(table: Path, key: str, outcomes: dict[str, Outcome]) -> None:
    """Write table and report; a report without a sorter's seconds has null."""
    known = [asdict(o) for o in outcomes.values()]
    report = {"truth_sha256": key, "sorters": [{k: v for k, v in o.items() if v == v} for o in known]}
    write_json(table.with_suffix(".json"), report)
    with atomic(table) as temporary:
        performance(list(outcomes.values())).to_csv(temporary, index=False)


def performance(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return a row of ``COLUMNS`` for each sorter and true unit; depth is in noise levels."""
    rows = [{"sorter": o.sorter, **row} for o in outcomes for row in o.performance]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"precision": float})


def costs(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return units found, seconds and memory (MB) of each sorter that sorted, all int; the index is the sorter."""
    rows = [
        {"sorter": o.sorter, "units found": o.found, "seconds": o.seconds, "memory (MB)": o.memory_mb}
        for o in outcomes
        if not o.why_not
    ]
    return pd.DataFrame(rows).set_index("sorter").round().astype(int)


def outcome(known: Known, sorter: str, limit_s: float) -> Outcome:
    """Run a sorter on a recording, in a temporary folder beside it, and compare it with the truth."""
    with tempfile.TemporaryDirectory(prefix=f".{sorter}.", dir=known.path.parent) as folder:
        found = Path(folder) / "spikes.npy"
        command = [sys.executable, "-m", "meagan_lib.annotated.sorters", sorter, str(known.path), str(found)]
        code, seconds, memory_mb = watched(command, Path(folder), limit_s)
        if code is None:
            return Outcome(sorter, f"it was not done after {limit_s / 60:g} minutes: raise the limit")
        if code or not found.is_file():
            log = (Path(folder) / "log.txt").read_text(errors="replace")
            if is_disk_full(known.path.parent, OSError(log)):
                raise InputError(f"the disk is full: {sorter} needs room beside {known.path}; free some and run again")
            return Outcome(sorter, failure(log, code))
        spikes = np.load(found, allow_pickle=False)
    units = int(spikes["unit_index"].max()) + 1 if len(spikes) else 0
    sorting = sc.NumpySorting(spikes, known.recording.get_sampling_frequency(), unit_ids=np.arange(units))
    versions, rows = SORTERS[sorter].versions, compared(known, sorting)
    return Outcome(sorter, "", units, round(seconds, 1), round(memory_mb), versions, rows)


def watched(command: list[str], folder: Path, limit_s: float) -> tuple[int | None, float, float]:
    """Run a command in a folder; return its exit code (None: stopped at the limit), its seconds and its memory in MB.

    What it prints goes to ``log.txt``. Whatever ends this function ends the command.
    """
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": paths}
    begun, memory = time.perf_counter(), 0
    with open(folder / "log.txt", "w") as log:
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            while (seconds := time.perf_counter() - begun) < limit_s:
                try:
                    memory = max(memory, process.memory_info().rss)
                    code = process.wait(SAMPLED_S)
                    return code, time.perf_counter() - begun, memory / 2**20
                except psutil.TimeoutExpired:
                    continue
            return None, seconds, memory / 2**20
        finally:
            end(process)


def end(process: psutil.Process) -> None:
    """End a process and all that it started."""
    try:
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for one in family:
        one.kill()
    psutil.wait_procs(family, timeout=10)


def failure(log: str, code: int) -> str:
    """Return the first line of the error that a log ends in: the sorter's own, not that which SpikeInterface makes."""
    own = re.findall(r"^ *Traceback \(most.*\n(?:[ \t]+.*\n|\n)+(\S.*)$", log, re.MULTILINE)
    return " ".join(own[-1].split()) if own else f"it ended with code {code} and no error of its own"


def compared(known: Known, sorting: sc.BaseSorting) -> list[dict]:
    """Compare a sorting with the truth, unit by unit: accuracy TP / (TP + FN + FP), recall and precision.

    Units are paired by the Hungarian method where they agree by half or more, spikes within 0.4 ms, as
    :func:`spikeinterface.comparison.compare_sorter_to_ground_truth` does; a true unit without partner has accuracy and
    recall 0, and no precision. What a sorter finds besides is not judged: the recording has spikes of its own.
    """
    from spikeinterface.comparison import compare_sorter_to_ground_truth

    counts = known.truth.count_num_spikes_per_unit(outputs="array")
    rows = pd.DataFrame(
        {"unit": known.truth.unit_ids.astype(int), "depth": known.depth.round(3).astype(float), "spikes": counts}
    )
    rows[["accuracy", "recall", "precision"]] = 0.0, 0.0, np.nan
    if sorting.get_num_units():
        judged = compare_sorter_to_ground_truth(known.truth, sorting, exhaustive_gt=False).get_performance()
        for column in ("accuracy", "recall", "precision"):
            rows[column] = judged[column].to_numpy(float)
        rows.loc[rows["accuracy"] == 0, "precision"] = np.nan
    return rows.astype(object).where(rows.notna(), None).to_dict("records")


def sort(sorter: str, recording: str, found: str) -> None:
    """Sort a recording in the working directory with the sorter's own settings, and write its spikes as ``.npy``."""
    import spikeinterface.sorters as ss

    fix_seeds()
    give_locations()
    sc.set_global_job_kwargs(n_jobs=1, progress_bar=False)
    opened, folder = open_recording(recording), Path(found).parent / "sorter"
    spikes = ss.run_sorter(sorter, opened, folder=folder, verbose=False, **SORTERS[sorter].options).to_spike_vector()
    np.save(found, np.asarray(spikes))


def fix_seeds(fixed: int = 0) -> None:
    """Let every generator of this process start from a ``fixed`` seed where the caller gives none.

    The option ``seed`` of SpikeInterface's sorters does not reach all that they draw, such as the stretches in which
    they measure noise: without this, two runs differ.
    """
    default_rng = np.random.default_rng
    np.random.default_rng = lambda seed=None: default_rng(fixed if seed is None else seed)
    np.random.seed(fixed)


def give_locations() -> None:
    """Let herdingspikes find the electrodes: 0.4.6 reads a property that SpikeInterface has no more since 0.105."""
    from spikeinterface.sorters import sorter_dict

    class Located(sorter_dict["herdingspikes"]):
        @classmethod
        def load_recording_from_folder(cls, *arguments, **options):
            recording = super().load_recording_from_folder(*arguments, **options)
            recording.set_property("location", recording.get_channel_locations())
            return recording

    sorter_dict["herdingspikes"] = Located


if __name__ == "__main__":
    sort(*sys.argv[1:])
