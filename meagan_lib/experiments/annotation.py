"""Annotation: does it matter what a detector of spikes is trained on? Painted spikes of several painters, few or many.

A sweep, ``meagan run annotation``: one job for each recording, painter, number of cut spikes and seed trains the
painter, where it is one that is trained, and a detector; one has the threshold alone. Each is tested on held-out time
in which the spikes are known: the true ones of a simulation; elsewhere held-out spikes that were painted in. A score is
the recall of true spikes of a depth at a given rate of false positives.
"""

import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pandas as pd

from meagan_lib import ROOT, InputError, choose
from meagan_lib.annotated.chip import Chip
from meagan_lib.annotated.detector import Detector, DetectorConfig, threshold
from meagan_lib.annotated.held_out import HeldOut
from meagan_lib.annotated.operating import OperatingCurve
from meagan_lib.annotated.painters import PAINTERS, fit_painter
from meagan_lib.experiments import sweep
from meagan_lib.recordings.opening import ground_truth, open_recording
from meagan_lib.recordings.simulation import SimulationConfig
from meagan_lib.training.trainer import Diverged, build_config
from meagan_lib.windows.cutting import Isolation, WindowConfig
from meagan_lib.windows.detection import DetectionConfig

TABLE = ROOT / "data" / "annotation.csv"
"""The table that is kept, of the run that ``params/annotation.yaml`` describes."""
READS = "recording"
"""What a job is given: the parameters of notebook 01, by which the recording is opened again."""
SCORES = ("recall", "low", "high", "f1")
COSTS = ("painter_seconds", "seconds")
COLUMNS = ("painter", "n_cut", "seed", *COSTS, "false_positive_rate", "electrodes", "depth", *SCORES, "n")
THRESHOLD, REFERENCE = "threshold", "template"
"""What needs no training; the painter that all others are compared with."""
DECLARED = {
    "seeds": [0],
    "n_cut": [20],
    "painters": [REFERENCE],
    "false_positive_rates": [1.0],
    "footprint_um": 45.0,
    "options": {},
    "painter_options": {},
}
"""Parameters of the section, with values of their types."""


def cases(section: Mapping) -> list[str]:
    """Return a job for the threshold, and one for each painter, number of cut spikes and seed, of a checked section.

    Raises
    ------
    InputError
        An unknown parameter, painter or option of a detector or painter, or no templates to compare with.
    """
    sweep.check("annotation", section, DECLARED)
    configure(section, 0)
    for painter in section["painters"]:
        choose("the painter in annotation.painters", painter, PAINTERS)
    if REFERENCE not in section["painters"]:
        raise InputError(f"annotation.painters has no '{REFERENCE}': it is what all other painters are compared with")
    for painter, options in section["painter_options"].items():
        choose("the painter in annotation.painter_options", painter, section["painters"])
        check_painter(painter, options)
    each = product(section["painters"], section["n_cut"], section["seeds"])
    return [THRESHOLD, *("-".join(map(str, case)) for case in each)]


def check_painter(name: str, options: object) -> None:
    """Refuse ``options`` that are no mapping, or that the training of a painter does not have."""
    if not isinstance(options, Mapping):
        raise InputError(f"annotation.painter_options.{name} is {options!r}: give names and values, such as steps: 500")
    painter = resolve_name(PAINTERS[name])
    config = getattr(getattr(painter, "Model", painter), "Config", None)
    if options and config is None:
        raise InputError(f"annotation.painter_options.{name}: nothing is trained there, so that it has no options")
    if options:
        build_config(config, **options)


def configure(section: Mapping, seed: int) -> DetectorConfig:
    """Return the config of the detectors of a section."""
    return build_config(DetectorConfig, **dict(section["options"]) | {"seed": seed})


def held_out(first: Mapping, footprint_um: float) -> HeldOut:
    """Open the recording of ``first``, parameters of notebook 01, and know the spikes of its test time."""
    recording = open_recording(
        first["recording"],
        simulation=SimulationConfig(seed=first["seed"], duration_s=first["duration_s"]),
        well=first["well"] or None,
        stream=first["stream"] or None,
    )
    detection = DetectionConfig((first["band_low_hz"], first["band_high_hz"]), threshold_mad=first["threshold_mad"])
    config = WindowConfig(
        window_ms=first["window_ms"],
        isolation=Isolation(first["guard_ms"], first["isolation"], first["guard_mad"], first["neighbours_um"]),
        artefact=first["artefact"],
        split_fractions=tuple(first["split_fractions"]),
        split_cycles=first["split_cycles"],
        footprint_um=footprint_um,
    )
    truth = ground_truth(recording)
    return HeldOut.of(Chip.of(recording, detection, config, first["seed"], truth=truth), truth, first["seed"])


def rows(first: Mapping, case: str, section: Mapping) -> list[dict[str, object]]:
    """Return recall by depth and rate of false positives of one painter with one seed, or of the threshold.

    Where the training of a painter diverges, the scores are NaN.
    """
    test, rates = held_out(first, section["footprint_um"]), tuple(section["false_positive_rates"])
    if case == THRESHOLD:
        about = {"painter": THRESHOLD, "n_cut": 0, "seed": 0} | dict.fromkeys(COSTS, 0.0)
        return _rows(test.search(threshold), rates, about)
    painter, n, seed = case.rsplit("-", 2)
    few, config = test.chip.fewer(int(n), int(seed)), configure(section, int(seed))
    about = {"painter": painter, "n_cut": len(few.footprints), "seed": int(seed)}
    started = time.process_time()
    try:
        fitted = fit_painter(painter, few, int(seed), **section["painter_options"].get(painter, {}))
    except Diverged:
        cost = dict.fromkeys(COSTS, round(time.process_time() - started, 1))
        empty = test.search(threshold, floor=np.inf)
        return [row | dict.fromkeys(SCORES, np.nan) for row in _rows(empty, rates, about | cost)]
    cost = {"painter_seconds": round(time.process_time() - started, 1)}
    detector = Detector.fit(few, fitted, config)
    cost["seconds"] = round(time.process_time() - started, 1)
    return _rows(test.search(detector, config.reach), rates, about | cost)


def _rows(curve: OperatingCurve, rates: tuple[float, ...], about: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the rows of a curve that say something: those with a true spike."""
    return [dict(about) | row for row in curve.table(rates).to_dict("records") if row["n"]]


def costs(table: pd.DataFrame) -> pd.DataFrame:
    """Return what a case of each painter costs, CPU seconds: to train the painter, and painter and detector together.

    Means over recordings, numbers of cut spikes and seeds; a row for each painter.
    """
    cases = table[table["painter"] != THRESHOLD].drop_duplicates(["data", "painter", "n_cut", "seed"])
    return cases.groupby("painter", sort=False)[[cost for cost in COSTS if cost in table]].mean().round(1)


def load(path: Path | str = TABLE) -> pd.DataFrame:
    """Read a table of the sweep: a row for each recording, painter, n, seed, rate, electrodes and depth."""
    return sweep.load(path, "annotation", SCORES)


def effects(table: pd.DataFrame) -> pd.DataFrame:
    """Return what each painter does to recall on all electrodes, as :func:`sweep.comparisons` describes it.

    The templates are compared with the threshold, which needs neither cut spikes nor a seed, every other painter with
    the templates: the same spikes, the same seed.
    """
    table = table[table["electrodes"] == "all"]
    alone, learned = table[table["painter"] == THRESHOLD], table[table["painter"] != THRESHOLD]
    trained = learned[["data", "n_cut", "seed"]].drop_duplicates()
    alone = trained.merge(alone.drop(columns=["n_cut", "seed"]), on="data")
    table = pd.concat([alone, learned], ignore_index=True)
    against = {THRESHOLD: "", REFERENCE: THRESHOLD}
    table["against"] = [against.get(painter, REFERENCE) for painter in table["painter"]]
    by = ["data", "false_positive_rate", "depth", "n_cut", "painter"]
    return sweep.comparisons(table, by, "recall", higher_is_better=True)


def summary(path: Path) -> tuple[str, pd.DataFrame]:
    """Return title and closing table of the command: recall by depth and cost, means over seeds, of all electrodes."""
    table = load(path)
    found = effects(table)
    table = table[table["electrodes"] == "all"]
    means = table.groupby(["data", "painter", "n_cut", "false_positive_rate", "depth"], sort=False)["recall"].mean()
    cells = means.map("{:.3f}".format).unstack(sort=False).reset_index()
    cells["CPU seconds"] = cells["painter"].map(costs(table)["seconds"].map("{:.0f}".format)).fillna("")
    return f"recall of true spikes by depth in noise levels, mean over seeds ({sweep.counted(found)})", cells
