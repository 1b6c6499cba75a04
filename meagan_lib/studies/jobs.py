"""Jobs of a study: measures and scores of each recording, and their table.

A study is a run, ``results/<run>/``, whose recordings are parts of it (``results/<run>/recordings/<label>/``): notebook
01 cuts the windows of each, then one job measures its network and one trains and scores each model with each seed. A
job that fails leaves the sentence in its receipt, and what depends on it passes it on: the others go on, the table has
what there is, and the next run tries those again (``remove_stale`` removes their receipts). The graph imports this
module each time: what computes is imported where it is used.
"""

import argparse
import re
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from meagan_lib.experiments import benchmark
from meagan_lib.windows.merging import FIRST
from meagan_lib.workflow.execution import RESULTS, check_parameters, job, library_inputs, part
from meagan_lib.workflow.files import atomic, read_json, read_parameters, sha256, write_json

if TYPE_CHECKING:
    import pandas as pd

    from meagan_lib.studies.design import Study

NAME = "study"
"""Of the receipt of the table, of its file of parameters and of its two files: ``study.csv``, ``study_scores.csv``."""
NOTEBOOK = "08_study"
NETWORK = "05_organoid_network"
SCORED = "04_results_comparison"


def default_name(file: str) -> str:
    """Name the run of a study after its file; after the folder where that is just ``study``, which a preset is."""
    path = Path(file).expanduser().absolute()
    return re.sub(r"[^\w.-]+", "_", path.stem if path.stem != NAME else f"{path.parent.name}_{NAME}").lstrip("._-")


def asked(run: str) -> dict:
    """Return what a study was last asked for (``Study.settings``); empty where the run is none."""
    path = RESULTS / run / "params" / f"{NAME}.yaml"
    return _settings(path, path.stat().st_mtime_ns) if path.is_file() else {}


@cache
def _settings(path: Path, changed: int) -> dict:
    return read_parameters(path)  # of a thousand recordings it takes a second


def parameter_files(
    study: "Study", run: str, parameters: Mapping[str, Mapping], chapter: Mapping[str, object]
) -> dict[tuple[str, str], dict]:
    """Return the files of parameters of a study, (run, file) → contents: each job reads those that concern it alone.

    ``parameters`` are the sections of its preset, ``chapter`` those of its notebook. InputError: what a notebook or
    the benchmark refuses.
    """
    from meagan_lib.studies.measures import DECLARED

    first = dict(parameters[FIRST]) | {"min_train_windows": 0}  # a network can be measured without
    of_network = {name: parameters.get(NETWORK, DECLARED)[name] for name in DECLARED}
    baselines = {"models": [m for m in study.models if m not in benchmark.THESIS], "seeds": [0], "baseline_seeds": []}
    fits = benchmark.prepared(dict(parameters) | {benchmark.SECTION: dict(parameters[benchmark.SECTION]) | baselines})
    files: dict[tuple[str, str], dict] = {(run, NAME): study.settings()}
    for entry in study.entries:
        own = part(run, entry.label)
        spikes = entry.recording if entry.holds_spikes else ""
        files[own, "measures"] = of_network | {"spikes": spikes}
        if not spikes:
            given = first | dict(entry.options) | {"recording": entry.recording, "name": own}
            files[own, FIRST] = check_parameters(FIRST, given)
            files[own, benchmark.SECTION] = {"models": [], "seeds": [], "own": {}}
    for model in study.models:
        notebook = benchmark.THESIS.get(model)
        options = dict(parameters[notebook]) if notebook else fits[f"{benchmark.SECTION}/{model}"]
        least = {"min_train_windows": parameters[FIRST]["min_train_windows"]}
        files[run, f"models/{model}"] = {
            "fit": options,
            "score": least | {"n_windows": parameters.get(SCORED, {"n_windows": 2000})["n_windows"]},
        }
    files[run, NOTEBOOK] = check_parameters(NOTEBOOK, dict(chapter) | {"name": run})
    return files


def receipt_of(run: str, label: str, model: str = "", seed: int = 0, windows: bool = False) -> Path:
    """Return the receipt of a job: the measures of a recording, its ``windows``, or the scores of a model and seed."""
    own = RESULTS / part(run, label)
    if model:
        return own / benchmark.SECTION / model / str(seed) / "receipt.json"
    return own / "receipts" / (f"{FIRST}.json" if windows else "measures.json")


def library(model: str = "") -> list[str]:
    """Return the modules of the library that measures, or the scores of a model, depend on, as paths."""
    if not model:
        return library_inputs("meagan_lib.studies.measures")
    return sorted({*benchmark.library(model), *library_inputs("meagan_lib.evaluation.scores")})


def seconds() -> float:
    """Return the seconds since this process began: what a job takes until it is at work counts as well."""
    return round(time.time() - psutil.Process().create_time(), 1)


def take_measures(run: str, label: str) -> dict:
    """Measure the network of a recording and return the receipt, with its ``row``."""
    from meagan_lib.network.spike_files import read_spikes
    from meagan_lib.network.spike_trains import from_windows
    from meagan_lib.studies.measures import measure
    from meagan_lib.windows.spike_windows import SpikeWindows

    own = RESULTS / part(run, label)
    options = read_parameters(own / "params" / "measures.yaml")
    spikes = options.pop("spikes")
    trains = read_spikes(spikes) if spikes else from_windows(SpikeWindows.load(own / "windows.h5"))
    receipt = {"notebook": "network", "row": measure(trains, options), "figures": [], "products": {}}
    receipt["seconds"] = seconds()
    write_json(receipt_of(run, label), receipt)
    return receipt


def take_scores(run: str, label: str, model: str, seed: int) -> dict:
    """Train a model on a recording, score what it generates, and return the receipt, with its ``scores``."""
    from threadpoolctl import threadpool_limits

    from meagan_lib.evaluation.context import Context
    from meagan_lib.evaluation.scores import score_models
    from meagan_lib.studies.measures import SCORES
    from meagan_lib.windows.gate import Gate
    from meagan_lib.windows.normalisation import Standardiser
    from meagan_lib.windows.spike_windows import SpikeWindows, Split
    from meagan_lib.windows.splits import require_enough

    own = part(run, label)
    given = read_parameters(RESULTS / run / "params" / "models" / f"{model}.yaml")
    windows = SpikeWindows.load(RESULTS / own / "windows.h5")
    require_enough(windows, given["score"]["min_train_windows"])
    receipt = benchmark.execute(own, model, seed, given["fit"])
    synthetic = SpikeWindows.load(benchmark.place(own, model, seed) / benchmark.SYNTHETIC)
    scale = Standardiser.fit(windows.vectors_of(Split.TRAIN))
    train, test = (scale.transform(windows.vectors_of(split)) for split in (Split.TRAIN, Split.TEST))
    events = {name: windows.events[windows.split == s] for name, s in (("train", Split.TRAIN), ("test", Split.TEST))}
    gate = Gate.of(windows).on(scale)
    context = Context.fit(train, windows.sampling_rate_hz, seed=0, gate=gate, electrodes=windows.electrodes)
    with threadpool_limits(1):
        generated = {model: scale.transform(synthetic.vectors)}
        found = score_models(test, context, generated, given["score"]["n_windows"], 2, SCORES, events)[model]
    receipt["scores"] = {name: {k: score[k] for k in ("value", "floor", "reach")} for name, score in found.items()}
    receipt["seconds"] = seconds()
    write_json(receipt_of(run, label, model, seed), receipt)
    return receipt


def places(run: str) -> dict[tuple[str, str], Path]:
    """Return where the receipts of all jobs of a study are, (label, job) → path.

    A job is ``windows`` (none of a file of spike times), ``network``, or a model and its seed.
    """
    study, found = asked(run), {}
    for label in (row["label"] for row in study["recordings"]):
        voltage = label not in study["spikes"]
        if voltage:
            found[label, "windows"] = receipt_of(run, label, windows=True)
        found[label, "network"] = receipt_of(run, label)
        for model in study["models"] if voltage else ():
            for seed in study["seeds"]:
                found[label, f"{model} {seed}"] = receipt_of(run, label, model, seed)
    return found


def receipts_of(run: str) -> dict[tuple[str, str], dict]:
    """Return the receipts of all jobs of a study, (label, job) → receipt, empty where it is not done."""
    return {job: read_json(path) for job, path in places(run).items()}


def failures(run: str) -> dict[str, str]:
    """Return what went wrong, label → sentence, of each recording the first that failed."""
    found: dict[str, str] = {}
    for (label, _), receipt in receipts_of(run).items():
        if "failed" in receipt:
            found.setdefault(label, receipt["failed"])
    return found


def tables(run: str) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Return the table of recordings and that of scores, of what there is: ``COLUMNS`` and ``OF_SCORES``."""
    import pandas as pd

    from meagan_lib.studies.measures import DESCRIBED, KEYS, MEASURES, OF_SCORES, SCORES

    study, done, failed = asked(run), receipts_of(run), failures(run)
    rows, scores = [], []
    for factors in study["recordings"]:
        label, of = factors["label"], {}
        numbers = done[label, "network"].get("row", {})
        for model in study["models"]:
            of[model] = []
            for seed in study["seeds"]:
                receipt = done.get((label, f"{model} {seed}"), {})
                found = receipt.get("scores", {})
                of[model].append(found)
                known = factors | {"failed": receipt.get("failed", ""), "model": model, "seed": seed}
                scores += [known | {"score": name} | own for name, own in found.items()]
        means = {
            f"{model} {name}": pd.Series([own[name]["value"] for own in each if name in own], dtype=float).mean()
            for model, each in of.items()
            for name in SCORES
        }
        rows.append(factors | numbers | means | {"failed": failed.get(label, "")})
    extra = [f"{model} {name}" for model in study["models"] for name in SCORES]
    table = pd.DataFrame(rows, columns=[*KEYS, *DESCRIBED, *MEASURES, *extra, "failed"])
    return table, pd.DataFrame(scores, columns=[name for name in OF_SCORES if name != "failed"])


def gather(run: str) -> dict:
    """Write ``study.csv`` and ``study_scores.csv`` of what there is, and return the receipt."""
    products = {}
    for file, table in zip((f"{NAME}.csv", f"{NAME}_scores.csv"), tables(run)):
        target = RESULTS / run / file
        with atomic(target) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
        products[file] = sha256(target)
    receipt = {"notebook": "table", "figures": [], "products": products}
    receipt["seconds"] = seconds()
    write_json(RESULTS / run / "receipts" / f"{NAME}.json", receipt)
    return receipt


def remove_table(run: str) -> None:
    """Remove the receipt of the table where a job is to do: the graph makes anew what a missing receipt needs."""
    if not all(path.is_file() for path in places(run).values()):
        (RESULTS / run / "receipts" / f"{NAME}.json").unlink(missing_ok=True)


def complete_table(run: str) -> None:
    """Write the table where the graph did not come to it: it was interrupted, or a job was killed."""
    if not (RESULTS / run / "receipts" / f"{NAME}.json").is_file():
        gather(run)


def main() -> int:
    """Do a job of the graph: ``RUN [--recording LABEL [--model MODEL --seed SEED]]``; without either the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--recording", default="")
    parser.add_argument("--model", default="")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    if not a.recording:
        return job(NAME, a.run, lambda: gather(a.run))
    target = receipt_of(a.run, a.recording, a.model, a.seed)
    if failed := read_json(receipt_of(a.run, a.recording, windows=True)).get("failed"):
        write_json(target, {"failed": failed})
        return 0
    if a.model:
        name, work = f"scores {a.model} {a.seed}", lambda: take_scores(a.run, a.recording, a.model, a.seed)
    else:
        name, work = "measures", lambda: take_measures(a.run, a.recording)
    return job(name, part(a.run, a.recording), work, target)


if __name__ == "__main__":
    sys.exit(main())
