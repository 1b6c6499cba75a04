"""Parameters of a run: a preset states what it changes, the command what it changes in that, and bad ones are refused.

A file ``params/<preset>.yaml`` has a section for each notebook that the run executes, and for its merge, benchmark or
sweep. A section holds only what differs from the defaults: those of the notebook's cell of parameters, or the table
``DECLARED`` of the module behind a section.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

import yaml

from meagan_lib import ROOT, InputError, annotated, choose, did_you_mean, network, recordings, windows
from meagan_lib.experiments import benchmark, sweep
from meagan_lib.studies import jobs as study_jobs
from meagan_lib.windows import merging
from meagan_lib.workflow.execution import (
    NOTEBOOKS,
    RESULTS,
    check_names_and_types,
    check_parameters,
    code_cells,
    declared_parameters,
    find_notebook,
    part,
)
from meagan_lib.workflow.files import read_yaml

if TYPE_CHECKING:
    from meagan_lib.studies.design import Study

PARAMS = ROOT / "params"
NETWORK = "05_organoid_network"
ANNOTATED = "06_annotated_synthesis"
OF_RECORDING = ("recording", "well", "stream", "duration_s", "seed", "band_low_hz", "band_high_hz", "threshold_mad")
"""What notebook 06 opens and searches the recording by: as notebook 01 does, unless it is given another."""
CHOICES = {
    "isolation": "meagan_lib.windows.cutting:SIDES",
    "alignment": "meagan_lib.windows.cutting:ALIGNMENTS",
    "normalisation": "meagan_lib.windows.normalisation:NORMALISATIONS",
    "condition": "meagan_lib.windows.spike_windows:CLASSES",
    "discriminator": "meagan_lib.models.discriminators:DISCRIMINATORS",
    "generator": "meagan_lib.models.generators:GENERATORS",
    "loss": "meagan_lib.training.losses:LOSSES",
    "painters": "meagan_lib.annotated.painters:PAINTERS",
}
"""Where the names stand that a parameter of a notebook may have; imported where it has others than its default."""
TABLES = ("ablation_table", "total_loss_table", "utility_table", "transfer_table")
"""Tables without which a notebook does not end; of others its section is left out."""
OF_NO_NOTEBOOK = ("merge", benchmark.SECTION, *sweep.SECTIONS)


def declared(section: str) -> dict[str, object]:
    """Return names and defaults of the parameters of a section: a notebook, the merge, the benchmark or a sweep."""
    if section in sweep.SECTIONS:
        return sweep.module(section).DECLARED
    beside = {"merge": merging, benchmark.SECTION: benchmark}
    return beside[section].DECLARED if section in beside else declared_parameters(find_notebook(section))


def of_preset(preset: str) -> dict[str, dict]:
    """Return all parameters of a run, section by section: the defaults, and what ``params/<preset>.yaml`` changes.

    ``InputError``: no such preset, or a file that is not YAML or has a section that does not exist.
    """
    presets = {path.stem: path for path in sorted(PARAMS.glob("*.yaml"))}
    if preset not in presets:
        raise InputError(f"no run '{preset}'{did_you_mean(preset, presets)}; params/ has {', '.join(presets)}")
    changes = read_yaml(presets[preset].read_bytes(), f"params/{preset}.yaml")
    if not isinstance(changes, dict) or not all(isinstance(given, dict | None) for given in changes.values()):
        raise InputError(
            f"params/{preset}.yaml: write sections and their parameters, such as 02_transformer_gan: {{steps: 500}}"
        )
    known = [*(path.stem for path in sorted(NOTEBOOKS.rglob("*.ipynb"))), *OF_NO_NOTEBOOK]
    for section in changes:
        if section not in known:
            raise InputError(f"params/{preset}.yaml: there is no '{section}'{did_you_mean(section, known)}")
    names = {section: {} if section in OF_NO_NOTEBOOK else {"name": preset} for section in changes}
    return {section: declared(section) | names[section] | (given or {}) for section, given in changes.items()}


def resolve(preset: str, recordings: list[str], overrides: list[str]) -> dict[str, dict]:
    """Return the parameters of a preset with the recordings and the overrides ``section.name=value`` of the command.

    A single recording is a text, several are a list.

    ``InputError``: an unknown preset, section or form of an override.
    """
    parameters = of_preset(preset)
    if recordings:
        if (section := sweep.section_in(parameters)) and sweep.reads(section) == sweep.PHOTOGRAPHS:
            raise InputError(
                f"run {preset} reads photographs and no recording: name them with --set {section}.photographs=[FOLDER]"
            )
        if merging.FIRST not in parameters:
            reader = next((section for section, given in parameters.items() if "windows" in given), "")
            remedy = f": make windows of it with meagan run quick, then name that run with --set {reader}.windows=NAME"
            raise InputError(f"run {preset} reads no recording{remedy if reader else ''}")
        if "" in recordings:
            raise InputError("--recording is empty: give a file, a name of data/catalogue.yaml, or 'simulated'")
        parameters[merging.FIRST]["recording"] = [absolute(recording) for recording in recordings]
    for override in overrides:
        target, equals, value = override.partition("=")
        section, dot, parameter = target.partition(".")
        if not (equals and dot):
            raise InputError(
                f"--set {override}: write it as notebook.parameter=value, such as 02_transformer_gan.steps=500"
            )
        if parameter == "name":
            raise InputError(f"--set {override}: all notebooks of a run share its name, so give it with --name")
        if section not in parameters:
            raise InputError(
                f"--set {override}: run {preset} has no '{section}'{did_you_mean(section, parameters)}; "
                f"it has {', '.join(parameters)}"
            )
        given = read_yaml(value, f"--set {override}") if value else ""
        if parameter == "recording" and isinstance(given, str | list):
            given = absolute(given) if isinstance(given, str) else [absolute(str(one)) for one in given]
        parameters[section][parameter] = given
    if {merging.FIRST, ANNOTATED} <= set(parameters):
        first, own, default = parameters[merging.FIRST], parameters[ANNOTATED], declared(ANNOTATED)
        same = {name: first[name] for name in OF_RECORDING if own[name] == default[name]}
        alone = not isinstance(first["recording"], list) or len(first["recording"]) == 1
        own |= same | ({} if alone else {"recording": ""})
        if isinstance(own["recording"], list) and len(own["recording"]) == 1:
            (own["recording"],) = own["recording"]
    if spikes := parameters.get(NETWORK, {}).get("spikes"):
        parameters[NETWORK]["spikes"] = absolute(str(spikes))
    match parameters.get(merging.FIRST, {}).get("recording"):
        case []:
            raise InputError("parameter 01_preprocessing.recording is an empty list: name at least one recording")
        case [alone]:
            parameters[merging.FIRST]["recording"] = alone
    return parameters


def absolute(path: str) -> str:
    """Return a path of the caller's folder as an absolute one; what is none, such as a name of the catalogue, stays."""
    found = Path(os.path.expanduser(path))  # pathlib's own raises without a home
    return str(found.resolve()) if found.exists() else path


def in_full(preset: str) -> str:
    """Return all parameters of a preset as YAML, with the comments of the notebooks: a file of ``params/`` in full."""
    lines = []
    for section, given in of_preset(preset).items():
        lines.append(f"{section}:")
        meanings = {} if section in OF_NO_NOTEBOOK else comments(section)
        for name, value in given.items():
            text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True)
            text = text.removesuffix("\n").removesuffix("\n...")
            lines.append(f"  {name}: {text}" + (f"  # {meanings[name]}" if name in meanings else ""))
    return "\n".join(lines)


def comments(notebook: str) -> dict[str, str]:
    """Return what the cell of parameters of a notebook says of each of them."""
    (source,) = [source for tags, source in code_cells(find_notebook(notebook)) if "parameters" in tags]
    return dict(re.findall(r"^(\w+) = .*  # (.+)$", source, re.MULTILINE))


def default_name(preset: str, recordings: list[str]) -> str:
    """Name a run after its recording where one is given, after the first of several, or else after its preset."""
    if not recordings:
        return preset
    return merging.labels(recordings)[0] + (f"_and_{len(recordings) - 1}_more" if len(recordings) > 1 else "")


def check(name: str, parameters: dict[str, dict]) -> dict[Path, dict]:
    """Return the files of parameters that the graph of run ``name`` reads, with their contents.

    Of several recordings each has its own file for notebook 01, and the merge finds the list in that of the run. So has
    each baseline of the benchmark.

    ``InputError``: an unknown parameter, a value of another type, or a recording that cannot be used.
    """
    if section := sweep.section_in(parameters):
        checked = _of_sweep(name, section, parameters)
    else:
        checked = _of_notebooks(name, parameters)
    return {RESULTS / run / "params" / f"{file}.yaml": given for (run, file), given in checked.items()}


def of_study(study: "Study", name: str) -> dict[Path, dict]:
    """Return the files of parameters of a study that is the run ``name``, with their contents.

    ``InputError``: a preset that is not known, or does not train models.
    """
    parameters = of_preset(study.preset)
    needed = {merging.FIRST, *benchmark.THESIS.values(), benchmark.SECTION}
    if not needed <= set(parameters):
        raise InputError(f"preset '{study.preset}' trains no models, which a study does: take quick, full or smoke")
    chapter = of_preset("study_smoke" if study.preset == "smoke" else "study")[study_jobs.NOTEBOOK]
    files = study_jobs.parameter_files(study, name, parameters, chapter)
    return {RESULTS / run / "params" / f"{file}.yaml": given for (run, file), given in files.items()}


def _refuse_early(notebook: str, given: Mapping[str, object]) -> None:
    """Refuse what the notebook itself would refuse after those before it have run: names, tables, options, ranges."""
    default = declared(notebook)
    changed = {parameter: value for parameter, value in given.items() if value != default[parameter]}
    for parameter in [parameter for parameter in changed if parameter in CHOICES]:
        known, names = resolve_name(CHOICES[parameter]), given[parameter]
        if names == []:
            raise InputError(f"{notebook}.{parameter} is an empty list: name one of {', '.join(known)}")
        for one in names if isinstance(names, list) else [names]:
            choose(f"{notebook}.{parameter}", one, known)
    for parameter in [parameter for parameter in changed if parameter in TABLES]:
        if given[parameter] and not (ROOT / given[parameter]).is_file():
            raise InputError(
                f"{notebook}.{parameter}: there is no file {given[parameter]}; by default it is a table of data/"
            )
    for model in [model for model, its in benchmark.THESIS.items() if its == notebook and "options" in changed]:
        benchmark.model_class(model).configure(options=given["options"])
    if "split_fractions" in changed:
        windows.require_fractions(given["split_fractions"])
    if notebook == ANNOTATED and {"units", "rate_hz", "depth"} & changed.keys():
        annotated.HybridConfig(given["units"], given["rate_hz"], tuple(given["depth"]))


def _of_sweep(name: str, section: str, parameters: dict[str, dict]) -> dict[tuple[str, str], dict]:
    """Check the parameters of a sweep, and of notebook 01 where it has recordings; (run, file) → contents."""
    of, given = sweep.module(section), parameters[section]
    if sweep.reads(section) == sweep.PHOTOGRAPHS:
        of.cases(given)
        sources = [absolute(source) for source in given[sweep.PHOTOGRAPHS]]
        given = given | {sweep.PHOTOGRAPHS: sources, "labels": merging.labels(sources)}
        of.refuse_early(given)
        return {(name, section): given}
    parts = sweep.prepared(parameters, name)
    given = given | {"labels": list(parts)}
    of.cases(given)
    return _of_parts(name, parts) | {(name, section): given}


def _of_parts(name: str, parts: dict[str, dict]) -> dict[tuple[str, str], dict]:
    """Check the parameters of notebook 01 for each of several recordings; (run, file) → contents."""
    checked = {(part(name, label), merging.FIRST): check_parameters(merging.FIRST, its) for label, its in parts.items()}
    for its in checked.values():
        _refuse_early(merging.FIRST, its)
    return checked


def _of_notebooks(name: str, parameters: dict[str, dict]) -> dict[tuple[str, str], dict]:
    """Check the parameters of a run of notebooks, and open what they name; (run, file) → contents."""
    notebooks = {s: given | {"name": name} for s, given in parameters.items() if s not in OF_NO_NOTEBOOK}
    first = notebooks.get(merging.FIRST)
    parts = merging.parts(first) if first else {}
    if parts:
        notebooks[merging.FIRST] = first | {"recording": "one of several"}
    checked = {(name, notebook): check_parameters(notebook, given) for notebook, given in notebooks.items()}
    for (_, notebook), given in checked.items():
        _refuse_early(notebook, given)
    if not first:
        return checked
    if (least := first["min_train_windows"]) < 1:  # of one of several recordings it is 0
        raise InputError(f"parameter {merging.FIRST}.min_train_windows is {least}: it must be 1 or more")
    windows.require_detector(first["detector"], first["false_positives"])
    merge = merging.DECLARED | check_names_and_types("merge", parameters.get("merge", {}), merging.DECLARED)
    if set(benchmark.THESIS.values()) <= set(notebooks):  # a run may end before they are compared
        checked |= {(name, file): given for file, given in benchmark.prepared(parameters).items()}
    for model, notebook in benchmark.THESIS.items():
        if other := notebooks.get(notebook, {}).get("start_from"):
            if other == name:
                raise InputError(f"{notebook}.start_from is the run itself: give this one another name (--name)")
            benchmark.require_trained(other, model)
    last = notebooks.get(NETWORK, {})  # it would refuse these at the end of the run
    if last.get("spikes"):
        network.read_spikes(last["spikes"], last.get("well") or None)
    elif last.get("well"):
        raise InputError(f"parameter {NETWORK}.well is {last['well']}, and there is no file of spikes: leave it out")
    if last.get("treatment"):
        network.require_treated(last["treatment"])
    if parts:
        checked |= _of_parts(name, parts)
        merging.refuse_early(parts, merge["split_by"])
        checked[name, merging.FIRST] = first | merge
    else:
        voltage = merging.open_early(first) is not None or first["recording"] in recordings.SIMULATED
        windows.require_detector(first["detector"], first["false_positives"], voltage)
    return checked
