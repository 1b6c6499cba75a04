# The graph of a run: which notebook needs what. `meagan run` calls it; every job executes one notebook.
# A run consists of the notebooks whose parameters it has: the numbered ones, or the concepts, which need no other.
# Of several recordings each is a run of notebook 01 within the run, and one job merges their windows.
#
# A job's output is its receipt, not its results: results are replaced one by one, each atomically, so that a failing
# job leaves the earlier ones whole. `meagan run` removes the receipt of results that have gone missing.

import os
import sys

import yaml

from functools import cache
from pathlib import Path

from meagan_lib.experiments import benchmark, sweep
from meagan_lib.studies import jobs as study_jobs
from meagan_lib.windows import merging
from meagan_lib.workflow.execution import find_notebook, library_inputs, part
from meagan_lib.workflow.machine import REMOTE

if workflow.remote_exec:  # on a node of a cluster
    os.environ[REMOTE] = "1"

RUN = config["run"]
SECTION, SWEEP = sweep.asked(RUN)  # of `meagan run ablation`, `utility`, `annotation` or `images`: see the end
OF_PHOTOGRAPHS = sweep.PHOTOGRAPHS in SWEEP  # a sweep without recordings
STUDY = study_jobs.asked(RUN)  # of `meagan study`: recordings × models × seeds, see the end
if SWEEP:
    RECORDINGS = SWEEP["labels"]
elif STUDY:
    RECORDINGS = [row["label"] for row in STUDY["recordings"]]
else:
    _first = Path(f"results/{RUN}/params/{merging.FIRST}.yaml")
    # labels of several recordings; none for a single one
    RECORDINGS = list(merging.parts(yaml.safe_load(_first.read_text()))) if _first.is_file() else []

# model and seed of each fit that notebook 04 compares; a sweep and the concepts have none
BENCHMARK = benchmark.jobs(RUN) if Path(f"results/{RUN}/params/{benchmark.SECTION}.yaml").is_file() else []

MODEL = benchmark.KEPT

# notebook: (notebooks it needs, files it writes under results/<run>/, threads)
GRAPH = {
    "01_preprocessing": ([], ["windows.h5"], 1),
    "02_transformer_gan": (
        ["01_preprocessing"],
        [f"transformer_gan/{file}" for file in MODEL],
        1,
    ),
    "03_vae_gan": (
        ["01_preprocessing"],
        [f"vae_gan/{file}" for file in MODEL],
        1,
    ),
    "04_results_comparison": (["01_preprocessing", "02_transformer_gan", "03_vae_gan"], ["scores.json", "moment_matching.json"], 1),
    "05_organoid_network": (["01_preprocessing", "02_transformer_gan", "03_vae_gan"], ["network.json"], 1),
    "06_annotated_synthesis": (["01_preprocessing"], ["annotated.json"], 1),
    "07_images_and_masks": ([], ["images.json", "painters.json"], 1),
    "08_study": ([study_jobs.NAME] if STUDY else [], ["findings.json"], 1),
}
FIRST = {need for needs, _, _ in GRAPH.values() for need in needs}  # others wait for them: they go before the rest
LONGEST = "04_results_comparison"  # of the rest: it goes next, and what it waits for
GRAPH |= {path.stem: ([], [], 1) for path in sorted(Path("notebooks/concepts").glob("*.ipynb"))}


# notebook or rule: (memory in MB, minutes) that a scheduler is asked for, about twice the most that was measured in a full
# run (bench/CLUSTER.md); for notebook 1, of a whole chip. A retry asks for more. On one machine nobody asks.
LIMITS = {
    "01_preprocessing": (4000, 60),
    "02_transformer_gan": (2000, 120),
    "03_vae_gan": (2000, 120),
    "04_results_comparison": (3000, 60),
    "06_annotated_synthesis": (4000, 60),
    "07_images_and_masks": (4000, 60),
    "fit": (3000, 120),
    benchmark.AT_ONCE: (3000, 60),
    "merge": (4000, 60),
}
OTHERS = (2000, 60)


def at_most(name, of=0):
    """Memory (``of`` 0) or minutes (1) of a job, grown at each attempt."""
    limit = LIMITS.get(name, OTHERS)[of]
    return lambda wildcards, attempt: attempt * limit


def receipt(notebook, run=RUN):
    return f"results/{run}/receipts/{notebook}.json"


def given(notebook):
    """Parameters of a notebook; those that several recordings share lie with the run, or with each part of a sweep."""
    labels = [part(RUN, label) for label in RECORDINGS] if SWEEP or STUDY else []
    paths = [Path(f"results/{run}/params/{notebook}.yaml") for run in [RUN, *labels]]
    return next((yaml.safe_load(path.read_text()) for path in paths if path.is_file()), {})


@cache
def newest(paths):
    """The newest of the modules that a job depends on: if it is older than the results, so are the others.

    Fifty inputs for each of thousands of jobs would cost Snakemake more than all else.
    """
    return max(paths, key=os.path.getmtime)


@cache
def library_of(notebook):
    return newest(tuple(library_inputs(notebook, given(notebook))))


def rows_of_all_cases(wildcards):
    """Asked for by the job that gathers them alone: a case, whose node reads this file again, need not import them."""
    return [f"results/{RUN}/{SECTION}/{label}/{case}.json" for label, case in sweep.jobs(SECTION, SWEEP)]


def fitted(fits):
    return [f"results/{RUN}/{benchmark.SECTION}/{model}/{seed}/receipt.json" for model, seed in fits]


def given_to(model):
    return f"results/{RUN}/params/{benchmark.parameters_of(model)}.yaml"


def benchmark_inputs():
    return [f"results/{RUN}/params/{benchmark.SECTION}.yaml", *fitted(BENCHMARK)]


def windows_of_another(run, notebook):
    """The windows that a concept looks at, where it names a run that has them."""
    given = Path(f"results/{run}/params/{notebook}.yaml")
    other = yaml.safe_load(given.read_text()).get("windows") if given.is_file() else None
    return [path for path in [f"results/{other}/windows.h5"] if other and Path(path).is_file()]


if SWEEP:
    GRAPH = {} if OF_PHOTOGRAPHS else {merging.FIRST: GRAPH[merging.FIRST]}
elif STUDY:
    GRAPH = {name: GRAPH[name] for name in (merging.FIRST, study_jobs.NOTEBOOK)}
else:
    GRAPH = {name: job for name, job in GRAPH.items() if Path(f"results/{RUN}/params/{name}.yaml").is_file()}


rule all:
    input:
        [receipt(name) for name in ([SECTION] if SWEEP else [study_jobs.NAME, study_jobs.NOTEBOOK] if STUDY else GRAPH)],


for _notebook, (_needs, _products, _threads) in GRAPH.items():
    _run = part(RUN, "{label}") if RECORDINGS and _notebook == merging.FIRST else RUN

    rule:
        name:
            _notebook
        input:
            source=find_notebook(_notebook),
            parameters=f"results/{_run}/params/{_notebook}.yaml",
            library=lambda wildcards, name=_notebook: library_of(name),
            needs=[receipt(n) for n in _needs],
            benchmark=benchmark_inputs() if _notebook == "04_results_comparison" else [],
            windows=windows_of_another(_run, _notebook),
            weights=benchmark.trained_by_another(RUN, _notebook.partition("_")[2]),
        output:
            receipt(_notebook, _run),
        params:
            notebook=_notebook,
            run=_run,
            products=" ".join(_products),
            python=sys.executable,
            go_on="--go-on" if STUDY and _notebook == merging.FIRST else "",
        threads: _threads
        priority: 2 * (_notebook in FIRST) + (_notebook == LONGEST)
        resources:
            mem_mb=at_most(_notebook),
            runtime=at_most(_notebook, 1),
        shell:
            "exec {params.python:q} -m meagan_lib.workflow.execution {params.notebook} {params.run:q} {input.parameters:q}"
            " --threads {threads} --products {params.products} {params.go_on}"


if BENCHMARK:

    rule fit:
        wildcard_constraints:
            model="|".join(sorted(benchmark.MODELS.keys() - set(benchmark.UNTRAINED))),
            seed=r"\d+",
        input:
            parameters=lambda wildcards: given_to(wildcards.model),
            library=lambda wildcards: newest(tuple(benchmark.library(wildcards.model))),
            windows=receipt(merging.FIRST),
            weights=lambda wildcards: benchmark.trained_by_another(RUN, wildcards.model),
        output:
            fitted([("{model}", "{seed}")]),
        params:
            python=sys.executable,
        priority: 1
        resources:
            mem_mb=at_most("fit"),
            runtime=at_most("fit", 1),
        shell:
            "exec {params.python:q} -m meagan_lib.experiments.benchmark {RUN:q} {wildcards.model}/{wildcards.seed}"


UNTRAINED = [(model, seed) for model, seed in BENCHMARK if model in benchmark.UNTRAINED]

if UNTRAINED:

    rule:
        name:
            benchmark.AT_ONCE
        input:
            parameters=sorted({given_to(model) for model, _ in UNTRAINED}),
            library=newest(tuple(sorted({path for model, _ in UNTRAINED for path in benchmark.library(model)}))),
            windows=receipt(merging.FIRST),
        output:
            fitted(UNTRAINED),
        params:
            python=sys.executable,
            fits=" ".join(f"{model}/{seed}" for model, seed in UNTRAINED),
        priority: 1
        resources:
            mem_mb=at_most(benchmark.AT_ONCE),
            runtime=at_most(benchmark.AT_ONCE, 1),
        shell:
            "exec {params.python:q} -m meagan_lib.experiments.benchmark {RUN:q} {params.fits}"


if RECORDINGS and not (SWEEP or STUDY):

    rule merge:
        input:
            parameters=f"results/{RUN}/params/{merging.FIRST}.yaml",
            library=newest(tuple(library_inputs("meagan_lib.windows.merging"))),
            parts=[receipt(merging.FIRST, part(RUN, label)) for label in RECORDINGS],
        output:
            receipt(merging.FIRST),
        params:
            python=sys.executable,
        resources:
            mem_mb=at_most("merge"),
            runtime=at_most("merge", 1),
        shell:
            "exec {params.python:q} -m meagan_lib.windows.merging {RUN:q} {input.parameters:q}"


if SWEEP:

    localrules:
        sweep,  # it joins rows, which takes no job of a cluster

    rule case:
        input:
            parameters=f"results/{RUN}/params/{SECTION}.yaml",
            library=newest(tuple(sweep.library(SECTION, SWEEP))),
            windows=lambda wildcards: [] if OF_PHOTOGRAPHS else [
                receipt(merging.FIRST, part(RUN, label))
                for label in sweep.recordings_of(SECTION, wildcards.label, SWEEP)
            ],
        output:
            f"results/{RUN}/{SECTION}/{{label}}/{{case}}.json",
        params:
            python=sys.executable,
        resources:
            mem_mb=at_most("case"),
            runtime=at_most("case", 1),
        shell:
            "exec {params.python:q} -m meagan_lib.experiments.sweep {SECTION} {RUN:q} {input.parameters:q}"
            " --recording {wildcards.label:q} --case {wildcards.case:q}"

    rule sweep:
        input:
            parameters=f"results/{RUN}/params/{SECTION}.yaml",
            rows=rows_of_all_cases,
        output:
            receipt(SECTION),
        params:
            python=sys.executable,
        shell:
            "exec {params.python:q} -m meagan_lib.experiments.sweep {SECTION} {RUN:q} {input.parameters:q}"


if STUDY:

    localrules:
        study,  # it joins rows, as above

    def windows_of(label):
        return [] if label in STUDY["spikes"] else receipt(merging.FIRST, part(RUN, label))

    rule measures:
        input:
            parameters=f"results/{RUN}/recordings/{{label}}/params/measures.yaml",
            library=newest(tuple(study_jobs.library())),
            windows=lambda wildcards: windows_of(wildcards.label),
        output:
            f"results/{RUN}/recordings/{{label}}/receipts/measures.json",
        params:
            python=sys.executable,
        resources:
            mem_mb=at_most("measures"),
            runtime=at_most("measures", 1),
        shell:
            "exec {params.python:q} -m meagan_lib.studies.jobs {RUN:q} --recording {wildcards.label:q}"

    rule scores:
        wildcard_constraints:
            model=r"\w+",
            seed=r"\d+",
        input:
            parameters=f"results/{RUN}/params/models/{{model}}.yaml",
            library=lambda wildcards: newest(tuple(study_jobs.library(wildcards.model))),
            windows=lambda wildcards: windows_of(wildcards.label),
        output:
            f"results/{RUN}/recordings/{{label}}/{benchmark.SECTION}/{{model}}/{{seed}}/receipt.json",
        params:
            python=sys.executable,
        resources:
            mem_mb=at_most("fit"),
            runtime=at_most("fit", 1),
        shell:
            "exec {params.python:q} -m meagan_lib.studies.jobs {RUN:q} --recording {wildcards.label:q}"
            " --model {wildcards.model} --seed {wildcards.seed}"

    rule study:
        input:
            parameters=f"results/{RUN}/params/{study_jobs.NAME}.yaml",
            library="meagan_lib/studies/jobs.py",
            rows=[str(path.relative_to(Path.cwd())) for path in study_jobs.places(RUN).values()],
        output:
            receipt(study_jobs.NAME),
        params:
            python=sys.executable,
        shell:
            "exec {params.python:q} -m meagan_lib.studies.jobs {RUN:q}"
