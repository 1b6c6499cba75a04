# The graph of a run: which notebook needs what. `meagan run` calls it; every job executes one notebook.
#
# A job's output is its receipt, not its results: results are replaced one by one, each atomically, so that a failing
# job leaves the earlier ones whole. `meagan run` removes the receipt of results that have gone missing.

import sys

from meagan_lib.notebooks import library_inputs

RUN = config["run"]

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
}


def receipt(notebook):
    return f"results/{RUN}/receipts/{notebook}.json"


rule all:
    input:
        [receipt(notebook) for notebook in GRAPH],


for _notebook, (_needs, _products, _threads) in GRAPH.items():

    rule:
        name:
            _notebook
        input:
            source=f"notebooks/{_notebook}.ipynb",
            parameters=f"results/{RUN}/params/{_notebook}.yaml",
            library=library_inputs(_notebook),
            needs=[receipt(n) for n in _needs],
        output:
            receipt(_notebook),
        params:
            notebook=_notebook,
            products=" ".join(_products),
            python=sys.executable,
        threads: _threads
        shell:
            "exec {params.python} -m meagan_lib.notebooks {params.notebook} {RUN} {input.parameters}"
            " --threads {threads} --products {params.products}"
