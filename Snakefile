# The graph of a run: which notebook needs what. `meagan run` calls it; every job executes one notebook.
# Of several recordings each is a run of notebook 01 within the run, and one job merges their windows.
#
# A job's output is its receipt, not its results: results are replaced one by one, each atomically, so that a failing
# job leaves the earlier ones whole. `meagan run` removes the receipt of results that have gone missing.

import sys

import yaml

from pathlib import Path

from meagan_lib import ablation, merging
from meagan_lib.notebooks import library_inputs, part

RUN = config["run"]
_sweep = Path(f"results/{RUN}/params/{ablation.SECTION}.yaml")
SWEEP = yaml.safe_load(_sweep.read_text()) if _sweep.is_file() else {}  # of `meagan run ablation`: see the end
if SWEEP:
    RECORDINGS = SWEEP["labels"]
else:
    with open(f"results/{RUN}/params/{merging.FIRST}.yaml") as _file:
        RECORDINGS = list(merging.parts(yaml.safe_load(_file)))  # labels of several recordings; none for a single one

# notebook: (notebooks it needs, files it writes under results/<run>/, threads)
GRAPH = {
    "01_preprocessing": ([], ["windows.h5"], 1),
    "02_transformer_gan": (
        ["01_preprocessing"],
        [f"transformer_gan/{file}" for file in ("model.safetensors", "config.json", "history.csv", "synthetic.h5")],
        1,
    ),
    "03_vae_gan": (
        ["01_preprocessing"],
        [f"vae_gan/{file}" for file in ("model.safetensors", "config.json", "history.csv", "synthetic.h5")],
        1,
    ),
    "04_results_comparison": (["01_preprocessing", "02_transformer_gan", "03_vae_gan"], ["scores.json"], 2),
    "05_organoid_network": (["01_preprocessing", "02_transformer_gan", "03_vae_gan"], ["network.json"], 2),
}


def receipt(notebook, run=RUN):
    return f"results/{run}/receipts/{notebook}.json"


if SWEEP:
    GRAPH = {merging.FIRST: GRAPH[merging.FIRST]}


rule all:
    input:
        [receipt(name) for name in ([ablation.SECTION] if SWEEP else GRAPH)],


for _notebook, (_needs, _products, _threads) in GRAPH.items():
    _run = part(RUN, "{label}") if RECORDINGS and _notebook == merging.FIRST else RUN

    rule:
        name:
            _notebook
        input:
            source=f"notebooks/{_notebook}.ipynb",
            parameters=f"results/{_run}/params/{_notebook}.yaml",
            library=library_inputs(_notebook),
            needs=[receipt(n) for n in _needs],
        output:
            receipt(_notebook, _run),
        params:
            notebook=_notebook,
            run=_run,
            products=" ".join(_products),
            python=sys.executable,
        threads: _threads
        shell:
            "exec {params.python:q} -m meagan_lib.notebooks {params.notebook} {params.run:q} {input.parameters:q}"
            " --threads {threads} --products {params.products}"


if RECORDINGS and not SWEEP:

    rule merge:
        input:
            parameters=f"results/{RUN}/params/{merging.FIRST}.yaml",
            library=library_inputs("meagan_lib.merging"),
            parts=[receipt(merging.FIRST, part(RUN, label)) for label in RECORDINGS],
        output:
            receipt(merging.FIRST),
        params:
            python=sys.executable,
        shell:
            "exec {params.python:q} -m meagan_lib.merging {RUN:q} {input.parameters:q}"


if SWEEP:
    VARIANTS = ["reach", *(variant.slug for variant in ablation.variants(SWEEP))]

    rule variant:
        input:
            parameters=f"results/{RUN}/params/{ablation.SECTION}.yaml",
            library=library_inputs("meagan_lib.ablation"),
            windows=receipt(merging.FIRST, part(RUN, "{label}")),
        output:
            f"results/{RUN}/{ablation.SECTION}/{{label}}/{{variant}}.json",
        params:
            python=sys.executable,
        shell:
            "exec {params.python:q} -m meagan_lib.ablation {RUN:q} {input.parameters:q}"
            " --recording {wildcards.label:q} --variant {wildcards.variant:q}"

    rule sweep:
        input:
            parameters=f"results/{RUN}/params/{ablation.SECTION}.yaml",
            rows=[f"results/{RUN}/{ablation.SECTION}/{l}/{v}.json" for l in RECORDINGS for v in VARIANTS],
        output:
            receipt(ablation.SECTION),
        params:
            python=sys.executable,
        shell:
            "exec {params.python:q} -m meagan_lib.ablation {RUN:q} {input.parameters:q}"
