"""A sweep: one job for each recording and case, and one that gathers their rows in a table.

A sweep is a module of the library with a section of its name in the parameters, ``meagan run <section>``. It has

- ``COLUMNS``, those of its table after ``data``, the recording;
- ``cases(section)``, names of the jobs of a recording, as files have them, of a section that is checked; where not
  every recording has all of them, ``cases_of(label, section)``;
- ``rows(windows, case, section)``, what such a job finds: rows of the table; where it has ``READS = "recording"``,
  the first is not the windows of the recording but the parameters of notebook 01, by which it is opened; where it has
  ``READS = "all windows"``, it is the windows of every recording, label → windows, those of the job's own first; where
  ``READS = "photographs"``, there is no recording: the first is one of ``section["photographs"]``, and notebook 01 has
  no part in the run;
- ``load(path)``, the table, and ``summary(path)``, title and closing table of the command.
"""

import argparse
import csv
import importlib
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from meagan_lib import ROOT, InputError
from meagan_lib.experiments import benchmark
from meagan_lib.windows import merging
from meagan_lib.workflow.execution import (
    RESULTS,
    check_names_and_types,
    declared_parameters,
    find_notebook,
    job,
    library_inputs,
    part,
)
from meagan_lib.workflow.files import atomic, read_parameters, sha256, write_json

if TYPE_CHECKING:
    import pandas as pd

SECTIONS = ("ablation", "utility", "annotation", "segmentation", "transfer")
PHOTOGRAPHS = "photographs"
"""What a sweep reads that has no recordings: the parameter that names them, in place of notebook 01."""


def module(section: str) -> ModuleType:
    """Return the module behind a section."""
    return importlib.import_module(f"meagan_lib.experiments.{section}")


def reads(section: str) -> str:
    """Return what the jobs of a section are given: ``windows``, ``all windows``, ``recording`` or ``photographs``."""
    return getattr(module(section), "READS", "windows")


def jobs(name: str, section: Mapping) -> list[tuple[str, str]]:
    """Return recording and case of every job of a section."""
    of = module(name)
    cases_of = getattr(of, "cases_of", lambda label, section: of.cases(section))
    return [(label, case) for label in section["labels"] for case in cases_of(label, section)]


def recordings_of(name: str, label: str, section: Mapping) -> list[str]:
    """Return the recordings, by label, whose windows a job of the recording ``label`` needs, its own first."""
    return sorted(section["labels"], key=lambda other: other != label) if reads(name) == "all windows" else [label]


def library(name: str, section: Mapping) -> list[str]:
    """Return the modules that a case depends on, as paths: those of the sweep, and of models that variants name."""
    models = {variant.get("model", "transformer_gan") for variant in section.get("variants", [])}
    own = library_inputs(f"meagan_lib.experiments.{name}")
    return sorted({*own, *(path for model in models for path in benchmark.library(model))})


def section_in(names: Iterable[str]) -> str:
    """Return which of ``names`` is the section of a sweep; nothing where none is."""
    return next(iter(set(SECTIONS) & set(names)), "")


def asked(run: str) -> tuple[str, dict]:
    """Return section and parameters of the sweep that a run was last asked for; empty where it is none."""
    folder = RESULTS / run / "params"
    section = section_in(path.stem for path in folder.glob("*.yaml"))
    return section, read_parameters(folder / f"{section}.yaml") if section else {}


def prepared(parameters: Mapping[str, Mapping], name: str) -> dict[str, dict]:
    """Return parameters of notebook 01 for each recording, by label; each is a run within the run ``name``."""
    first = dict(parameters[merging.FIRST]) | {"name": name}
    if not isinstance(first["recording"], list):
        first["recording"] = [first["recording"]]
    least = {"min_train_windows": first["min_train_windows"]}
    return {label: section | least for label, section in merging.parts(first).items()}


def check(name: str, section: Mapping, declared: Mapping[str, object]) -> None:
    """Refuse what is not ``declared``, of another type or out of range, and an empty list."""
    given = {key: value for key, value in section.items() if key != "labels"}
    for key, value in check_names_and_types(name, given, declared).items():
        if value == []:
            raise InputError(f"{name}.{key} is empty: name at least one")


def execute(run: str, name: str, label: str, case: str, section: Mapping) -> dict:
    """Do one case on one recording; rows and receipt go to ``results/<run>/<section>/<recording>``."""
    import torch
    from threadpoolctl import threadpool_limits

    from meagan_lib.windows.spike_windows import SpikeWindows

    torch.set_num_threads(1)
    started = time.monotonic()
    folder, of = RESULTS / part(run, label), module(name)
    if (what := reads(name)) == PHOTOGRAPHS:
        given = dict(zip(section["labels"], section[PHOTOGRAPHS]))[label]
    elif what == "recording":
        given = declared_parameters(find_notebook(merging.FIRST))
        given |= read_parameters(folder / "params" / f"{merging.FIRST}.yaml")
    else:
        needed = recordings_of(name, label, section)
        found = {other: SpikeWindows.load(RESULTS / part(run, other) / "windows.h5") for other in needed}
        given = found if what == "all windows" else found[label]
    with threadpool_limits(1):  # jobs stand side by side
        rows = [{"data": label} | row for row in of.rows(given, case, section)]
    receipt = {"notebook": f"{name} {label} {case}", "seconds": round(time.monotonic() - started, 1)}
    receipt |= {"figures": [], "products": {}, "rows": rows}
    write_json(RESULTS / run / name / label / f"{case}.json", receipt)
    return receipt


def gather(run: str, name: str, receipts: Iterable[Mapping]) -> dict:
    """Write ``results/<run>/<section>.csv`` from the receipts of all cases; returns the receipt of the sweep."""
    target = RESULTS / run / f"{name}.csv"
    with atomic(target) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, ("data", *module(name).COLUMNS), lineterminator="\n")
        writer.writeheader()
        for row in (row for receipt in receipts for row in receipt["rows"]):
            writer.writerow({k: f"{v:.4f}" if isinstance(v, float) and k != "seconds" else v for k, v in row.items()})
    receipt = {"notebook": name, "seconds": 0.0, "figures": [], "products": {target.name: sha256(target)}}
    write_json(RESULTS / run / "receipts" / f"{name}.json", receipt)
    return receipt


def load(path: Path | str, name: str, scores: Iterable[str]) -> "pd.DataFrame":
    """Read the table of the sweep ``name``, at a path of the checkout; ``scores`` are NaN where training diverged."""
    import pandas as pd

    path = ROOT / path
    if not path.is_file():
        raise InputError(f"there is no table {path} of the {name}: check the path, or make it with meagan run {name}")
    return pd.read_csv(path, keep_default_na=False, na_values={score: ["", "nan"] for score in scores})


def comparisons(table: "pd.DataFrame", by: Sequence[str], score: str, higher_is_better: bool) -> "pd.DataFrame":
    """Compare each case of a table with the one that its column ``against`` names, by paired t-tests over the seeds.

    The table has a row for each case and seed; ``by`` are the columns of a case, its name the last. Returned is a row
    for each case that is compared, in the same order: ``mean`` of the score over the seeds, ``difference`` from the
    other, ``p`` of the t-test (one seed gives both the same first weights and windows), ``q`` corrected for all rows,
    ``diverged``, the seeds without a score, and ``verdict``: ``helps``, ``hurts``, ``not significant`` (q ≥ 0.05, or
    not defined) or ``diverges``.
    """
    from meagan_lib.evaluation.statistics import SIGNIFICANT, paired, q_values

    by = list(by)
    of = {case: rows.set_index("seed")[score].to_dict() for case, rows in table.groupby(by, sort=False)}
    found = table[table["against"] != ""].drop_duplicates(by).reset_index(drop=True)
    cases = list(found[[*by, "against"]].itertuples(index=False, name=None))
    pairs = [paired(of[case[:-1]], of[*case[:-2], case[-1]]) for case in cases]
    for column in ("mean", "difference", "p"):
        found[column] = [getattr(pair, column) for pair in pairs]
    found["diverged"] = [int(np.isnan(list(of[case[:-1]].values())).sum()) for case in cases]
    found["q"] = q_values(found["p"])
    helps = (found["difference"] > 0) == higher_is_better
    conditions = [found["diverged"] > 0, ~(found["q"] < SIGNIFICANT), helps]
    found["verdict"] = np.select(conditions, ["diverges", "not significant", "helps"], "hurts")
    return found


def counted(found: "pd.DataFrame") -> str:
    """Say how many comparisons were tested, and how many are significant: alone, and corrected for their number."""
    from meagan_lib.evaluation.statistics import SIGNIFICANT

    alone, both = ((found[column] < SIGNIFICANT).sum() for column in ("p", "q"))
    tested, level = found["p"].count(), f"{SIGNIFICANT:g}"
    return f"{tested} paired t-tests over seeds: {alone} with p < {level}, {both} with q < {level}"


def main() -> int:
    """Do a job of the graph: ``SECTION RUN PARAMETERS.yaml [--recording LABEL --case CASE]``, or gather all cases."""
    parser = argparse.ArgumentParser()
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("run")
    parser.add_argument("parameters", type=Path)
    parser.add_argument("--recording")
    parser.add_argument("--case")
    a = parser.parse_args()
    section = read_parameters(a.parameters)
    if a.case:
        name = f"{a.section} {a.recording} {a.case}"
        return job(name, a.run, lambda: execute(a.run, a.section, a.recording, a.case, section))
    folder = RESULTS / a.run / a.section
    paths = [folder / label / f"{case}.json" for label, case in jobs(a.section, section)]
    return job(a.section, a.run, lambda: gather(a.run, a.section, [json.loads(path.read_text()) for path in paths]))


if __name__ == "__main__":
    sys.exit(main())
