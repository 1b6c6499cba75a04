"""The design of a study, from ``study.yaml`` or a table: recordings with culture, day, condition and replicate.

.. code-block:: yaml

    recordings:
    - {recording: a_day14.brw, culture: A, day: 14, condition: control}
    - {recording: b_day14.brw, culture: B, day: 14, condition: lesioned, replicate: 1, well: A1}
    control: control          # what the other conditions are compared with; by default so called, or the first
    pathological: lesioned    # optional: how far do the other conditions go back from it to the control?
    models: [gaussian, transformer_gan, vae_gan]
    seeds: [0, 1]
    preset: quick             # of params/: what notebooks 01 to 05 are given

A CSV has a line for each recording and these names as headers. Further columns are parameters of notebook 01.
"""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import pandas as pd

from meagan_lib import InputError, choose, did_you_mean
from meagan_lib.experiments import benchmark
from meagan_lib.recordings.catalogue import catalogue
from meagan_lib.recordings.opening import SIMULATED
from meagan_lib.windows.merging import FIRST
from meagan_lib.workflow.execution import check_names_and_types, declared_parameters, find_notebook
from meagan_lib.workflow.files import read_yaml

REQUIRED = ("recording", "culture", "day", "condition")
DECLARED = {
    "models": ["gaussian", "transformer_gan", "vae_gan"],
    "seeds": [0],
    "preset": "quick",
    "control": "",
    "pathological": "",
}
"""Options of a study beside its recordings, with their defaults."""
CONTROL = "control"
SPIKES = (".csv", ".mat")
"""Files that hold spike times and nothing else; an ``.nwb`` may hold a voltage as well, which is then taken."""


@dataclass(frozen=True)
class Entry:
    """A recording of a study."""

    recording: str
    culture: str
    day: float
    condition: str
    replicate: int
    options: tuple[tuple[str, object], ...] = ()
    """Further parameters of notebook 01, name and value."""

    @property
    def label(self) -> str:
        """Name its folder: like no other of the study, whatever recordings are added."""
        words = f"{self.culture}_{self.condition}_day{self.day:g}" + f"_{self.replicate}" * (self.replicate != 1)
        return re.sub(r"[^\w-]+", "_", words).lstrip("-")

    @property
    def holds_spikes(self) -> bool:
        """Return whether it is a file of spike times, which has a network and no windows."""
        path = Path(self.recording)
        if path.suffix.lower() != ".nwb":
            return path.suffix.lower() in SPIKES
        try:
            with h5py.File(path, "r") as file:
                return "units/spike_times" in file and not len(file.get("acquisition", ()))
        except OSError:  # opening it says what is wrong
            return False


@dataclass(frozen=True)
class Study:
    """Recordings of a study, and what is done with each."""

    entries: tuple[Entry, ...]
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    preset: str
    control: str
    pathological: str = ""

    @property
    def table(self) -> pd.DataFrame:
        """Tabulate the factors: a row for each recording."""
        columns = ("label", "recording", "culture", "day", "condition", "replicate")
        return pd.DataFrame([[getattr(entry, name) for name in columns] for entry in self.entries], columns=columns)

    def settings(self) -> dict[str, object]:
        """Return what is written down of it, as plain values."""
        chosen = {"models": list(self.models), "seeds": list(self.seeds)}
        return chosen | {
            "control": self.control,
            "pathological": self.pathological,
            "recordings": self.table.to_dict("records"),
            "spikes": [entry.label for entry in self.entries if entry.holds_spikes],
        }


def read_study(path: Path | str, **given: object) -> Study:
    """Read a study from a YAML file, or from a CSV; ``given`` are options of the command, which count more.

    Relative paths of recordings are relative to the file.

    ``InputError``: no such file, an empty one, a missing column, an unknown option or parameter, a day that is no
    number, two recordings that are the same, cultures that have some of the conditions, an unknown control or model.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise InputError(f"there is no study {path}: give a YAML file with recordings, or a CSV")
    rows, options = _rows_of_csv(path) if path.suffix.lower() in (".csv", ".tsv") else _rows_of_yaml(path)
    options = DECLARED | check_names_and_types(path.name, options, DECLARED)
    options |= check_names_and_types("the command", _of_command(given), DECLARED)
    entries = tuple(_entry(path, place, row) for place, row in enumerate(rows, 1))
    if not entries:
        raise InputError(f"{path.name} names no recording: write a line for each, with {', '.join(REQUIRED)}")
    _refuse_twice(path, entries)
    _refuse_some_of_the_conditions(path, entries)
    conditions = list(dict.fromkeys(entry.condition for entry in entries))
    control = options["control"] or (CONTROL if CONTROL in conditions else conditions[0])
    for what, name in (("control", control), ("pathological condition", options["pathological"])):
        if name:
            choose(f"{path.name}: the {what}", name, conditions)
    if options["pathological"] == control:
        raise InputError(f"{path.name}: '{control}' is both control and pathological: name two conditions")
    for model in options["models"]:
        choose(f"{path.name}: the model", model, benchmark.MODELS)
    for name in ("models", "seeds"):
        if len(set(options[name])) < len(options[name]):
            raise InputError(f"{path.name}: {max(options[name], key=options[name].count)} stands twice in {name}")
    if not options["seeds"]:
        raise InputError(f"{path.name} has no seeds: name one at least, such as seeds: [0]")
    chosen = tuple(options["models"]), tuple(options["seeds"])
    return Study(entries, *chosen, options["preset"], control, options["pathological"])


def _of_command(given: Mapping[str, object]) -> dict[str, object]:
    """Return options of the command: lists are texts with commas between, and ``none`` is an empty one."""
    options = {name: value for name, value in given.items() if value}
    for name in {"models", "seeds"} & set(options):
        words = [word.strip() for word in str(options[name]).split(",") if word.strip() not in ("", "none")]
        try:
            options[name] = [int(word) for word in words] if name == "seeds" else words
        except ValueError as error:
            raise InputError(f"--seeds {options[name]}: give whole numbers with commas between, such as 0,1") from error
    return options


def _rows_of_yaml(path: Path) -> tuple[list[Mapping], dict]:
    content = read_yaml(path.read_bytes(), path.name)
    if not content:
        raise InputError(f"{path.name} is empty: it names the recordings of a study, see the page on studies")
    rows = content.get("recordings") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        words = "recordings: [{recording: FILE, culture: A, day: 14, condition: control}, …]"
        raise InputError(f"{path.name} has no list of recordings: write {words}")
    return rows, {name: value for name, value in content.items() if name != "recordings"}


def _rows_of_csv(path: Path) -> tuple[list[Mapping], dict]:
    try:
        first, *_ = lines = path.read_text("utf-8-sig").splitlines()
    except ValueError as error:  # none, or other bytes
        raise InputError(f"{path.name} is empty or not in UTF-8: save it as CSV (UTF-8)") from error
    reader = csv.DictReader(lines, delimiter=next((mark for mark in ";\t" if mark in first), ","))
    text, rows = ("recording", "culture", "condition"), []
    for row in reader:
        if any(row.pop(None, ())):
            raise InputError(f"{path.name} has more values than headers in line {reader.line_num}: correct that line")
        rows.append({name: value.strip() for name, value in row.items() if value and value.strip()})
    # What is empty was not given; numbers of notebook 01 are read as YAML reads them.
    read = [{k: v if k in text else read_yaml(v, f"{path.name}: {k}") for k, v in row.items()} for row in rows if row]
    return read, {}


def _entry(path: Path, place: int, row: Mapping) -> Entry:
    where, known = f"{path.name}, recording {place}", declared_parameters(find_notebook(FIRST))
    names = [*REQUIRED, "replicate", *(name for name in known if name not in ("name", "recording"))]
    if missing := [name for name in REQUIRED if row.get(name) in (None, "")]:
        raise InputError(f"{where}: {' and '.join(missing)} is missing; each has {', '.join(REQUIRED)}")
    for name in row:
        if name not in names:
            raise InputError(
                f"{where}: there is no '{name}'{did_you_mean(str(name), names)}; beside {', '.join(names[:5])} it may "
                f"have parameters of notebook 01"
            )
    for name in ("recording", "culture", "condition"):
        words, most = str(row[name]), 1000 if name == "recording" else 60  # it names folders
        if not isinstance(row[name], str | int | float) or not words.isprintable() or len(words) > most:
            raise InputError(f"{where}: the {name} is no name: write a text of at most {most} letters")
    day, replicate = row["day"], row.get("replicate", 1)
    try:
        day = float(day) if not isinstance(day, bool) else float("nan")
    except (TypeError, ValueError):
        day = float("nan")
    if not abs(day) < float("inf"):
        raise InputError(f"{where}: the day '{row['day']}' is no number: give the age of the culture in days")
    if type(replicate) is not int:
        raise InputError(f"{where}: the replicate '{replicate}' is no whole number: count from 1")
    further = {name: value for name, value in row.items() if name not in (*REQUIRED, "replicate")}
    options = check_names_and_types(f"{where}, notebook {FIRST}", further, known)
    place_of = _located(str(row["recording"]), path.absolute().parent)
    return Entry(place_of, str(row["culture"]), day, str(row["condition"]), replicate, tuple(options.items()))


def _located(recording: str, folder: Path) -> str:
    """Return a name of the catalogue or of a simulation as it is, and a path from ``folder``."""
    if recording in SIMULATED or recording in catalogue():
        return recording
    return str((folder / os.path.expanduser(recording)).resolve())  # pathlib's own raises for a user who is none


def _refuse_twice(path: Path, entries: Iterable[Entry]) -> None:
    """Refuse two recordings with the same factors, or the same recording twice."""
    for entry, n in Counter(entry.label for entry in entries).items():
        if n > 1:
            raise InputError(
                f"{path.name}: {n} recordings are {entry.replace('_', ' ')}: the same culture, condition, day and "
                f"replicate; number them with replicate"
            )
    for (recording, _), n in Counter((entry.recording, str(entry.options)) for entry in entries).items():
        if n > 1:
            remedy = "give each another seed" if recording in SIMULATED else "leave one of them out"
            raise InputError(f"{path.name}: the recording {recording} stands there {n} times: {remedy}")


def _refuse_some_of_the_conditions(path: Path, entries: Iterable[Entry]) -> None:
    """Refuse cultures of which some have one condition and others several: mostly a culture is named wrongly."""
    of: dict[str, set[str]] = {}
    for entry in entries:
        of.setdefault(entry.culture, set()).add(entry.condition)
    everything = set().union(*of.values())
    several = [culture for culture, own in of.items() if len(own) > 1]
    lacking = [culture for culture, own in of.items() if own != everything]
    if several and lacking:
        own, its = ", ".join(sorted(of[several[0]])), ", ".join(sorted(of[lacking[0]]))
        if several[0] == lacking[0]:
            its = f"not {', '.join(sorted(everything - of[several[0]]))}"
            raise InputError(
                f"{path.name}: culture {several[0]} is in the conditions {own}, and {its}: each culture has one "
                f"condition, or every culture all of them"
            )
        raise InputError(
            f"{path.name}: culture {several[0]} is in the conditions {own}, and culture {lacking[0]} in {its} alone: "
            f"each culture has one condition, or every culture all of them"
        )
