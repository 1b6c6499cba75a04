"""The benchmark: rivals of the two models of the thesis, and all of them with several seeds.

One job of the graph fits one model with one seed and leaves ``results/<run>/benchmark/<model>/<seed>/``: the model,
``synthetic.h5`` in the layout of ``windows.h5``, and ``cost.json``. The seed of notebooks 02 and 03 is theirs: what they
made is taken, not made again. The graph and the command import this module each time: what computes is imported where
it is used.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

import yaml

from meagan_lib import InputError, did_you_mean
from meagan_lib.workflow.execution import RESULTS, check_names_and_types, job, library_inputs
from meagan_lib.workflow.files import sha256, write_json

if TYPE_CHECKING:
    from meagan_lib.models.contract import Model
    from meagan_lib.windows.spike_windows import SpikeWindows

SECTION = "benchmark"
BASELINES = {
    "gaussian": "meagan_lib.models.gaussian:Gaussian",
    "pca_gaussian": "meagan_lib.models.baselines:PCAGaussian",
    "gmm": "meagan_lib.models.baselines:MixtureOfGaussians",
    "bootstrap": "meagan_lib.models.baselines:Bootstrap",
    "vae": "meagan_lib.models.vae:PlainVAE",
    "dcgan": "meagan_lib.models.dcgan:DCGAN",
    "tts_gan": "meagan_lib.models.tts_gan:TTSGAN",
    "flow_matching": "meagan_lib.models.flow_matching:FlowMatching",
    "plain_transformer_gan": "meagan_lib.models.gan:GAN",
    "plain_vae_gan": "meagan_lib.models.vae_gan:VAEGAN",
}
"""Module and class of each rival. A name, not an import: an edit of one concerns its own jobs alone."""
THESIS = {
    "transformer_gan": ("meagan_lib.models.gan:GAN", "02_transformer_gan"),
    "vae_gan": ("meagan_lib.models.vae_gan:VAEGAN", "03_vae_gan"),
}
"""Module and class of the models of the thesis, and the notebook whose parameters are their recipe."""
PLAIN = {"plain_transformer_gan": "transformer_gan", "plain_vae_gan": "vae_gan"}
"""The models of the thesis without a Gaussian under the generator, as its headings describe them."""
TOKENS_OF = {"vae": "vae_gan", "flow_matching": "transformer_gan"}
"""Rivals with a Transformer whose tokens last as long as those of a model of the thesis."""
DECLARED = {
    "models": ["gaussian"],
    "seeds": [0],
    "baseline_seeds": [0],
    "validations": 8,
    "vae_steps": 8000,
    "dcgan_steps": 2800,
    "tts_gan_steps": 4500,
    "flow_matching_steps": 7600,
}
"""Parameters of the benchmark, with their defaults: the rivals, the seeds of the models of the thesis and those of the
rivals (where none are named, the same), the looks at the validation windows of rivals with a network, their steps."""


def prepared(parameters: Mapping[str, Mapping]) -> dict[str, dict]:
    """Contents of the benchmark's files of parameters by name, from the sections of a run.

    ``benchmark`` has the rivals, the seeds, those of the rivals where they are others, and the notebooks' own;
    ``benchmark/<rival>`` what the jobs of one rival depend on, so that nothing else makes them stale.

    Raises
    ------
    InputError
        A parameter or rival that is not known, with the nearest name; one that is named twice; a budget below 1;
        several seeds without the one that a notebook has.
    """
    own = {model: int(parameters[notebook]["seed"]) for model, (_, notebook) in THESIS.items()}
    default = DECLARED | {"models": [], "seeds": sorted(set(own.values())), "baseline_seeds": []}
    section = default | check_names_and_types(SECTION, parameters.get(SECTION, {}), DECLARED)
    models, seeds, baseline_seeds = section["models"], section["seeds"], section["baseline_seeds"]
    for model in models:
        if model in THESIS:
            raise InputError(f"benchmark.models: {model} takes part in any case; name its baselines")
        if model not in BASELINES:
            near = did_you_mean(model, BASELINES)
            raise InputError(f"benchmark.models has no baseline '{model}'{near}; there are {', '.join(BASELINES)}")
    for what, given in (("models", models), ("seeds", seeds), ("baseline_seeds", baseline_seeds)):
        if twice := [item for item in given if given.count(item) > 1]:
            raise InputError(f"benchmark.{what}: {twice[0]} stands there twice")
    for name, value in section.items():
        if type(value) is int and value < 1:
            raise InputError(f"benchmark.{name} is {value}: it must be 1 or more")
    for model, seed in own.items():
        if seed not in seeds and len(seeds) != 1:  # of one seed each, no two need be the same
            notebook = THESIS[model][1]
            raise InputError(
                f"benchmark.seeds are {seeds}, and the seed of {notebook} is {seed}: both models have the same seeds, so "
                f"add it to benchmark.seeds or take one of them for {notebook}.seed"
            )
    files = {SECTION: {"models": models, "seeds": seeds, "own": own}}
    if baseline_seeds:
        files[SECTION]["baseline_seeds"] = baseline_seeds
    for model in models:
        if model in PLAIN:
            theirs = parameters[THESIS[PLAIN[model]][1]]
            files[f"{SECTION}/{model}"] = {k: v for k, v in theirs.items() if k not in ("name", "seed", "stamp")} | {
                "options": dict(theirs["options"]) | {"on_gaussian": False}
            }
            continue
        steps = section.get(f"{model}_steps")
        files[f"{SECTION}/{model}"] = {"steps": steps, "validations": section["validations"]} if steps else {}
    for model, like in TOKENS_OF.items():
        if model in models:
            files[f"{SECTION}/{model}"]["patch_ms"] = parameters[THESIS[like][1]]["patch_ms"]
    return files


def settings(run: str) -> dict:
    """Models, seeds and own seeds of the benchmark of a run, as :func:`prepared` told them.

    Raises
    ------
    InputError
        The run has none.
    """
    path = RESULTS / run / "params" / f"{SECTION}.yaml"
    if not path.is_file():
        raise InputError(f"run '{run}' has no benchmark yet: make it with meagan run")
    return yaml.safe_load(path.read_text())


def entries(run: str) -> list[tuple[str, int]]:
    """Model and seed of everything that takes part, the models of the thesis first.

    Where there is one seed, a model of the thesis has that of its notebook.
    """
    given = settings(run)
    seeds = {model: [given["own"][model]] if len(given["seeds"]) == 1 else given["seeds"] for model in THESIS}
    seeds |= dict.fromkeys(given["models"], given.get("baseline_seeds", given["seeds"]))
    return [(model, seed) for model in seeds for seed in seeds[model]]


def is_own(run: str, model: str, seed: int) -> bool:
    """Whether a notebook makes it, and no job of the benchmark."""
    return settings(run)["own"].get(model) == seed


def jobs(run: str) -> list[tuple[str, int]]:
    """Model and seed of every job."""
    return [entry for entry in entries(run) if not is_own(run, *entry)]


def place(run: str, model: str, seed: int) -> Path:
    """The folder of a fitted model and its windows."""
    return RESULTS / run / model if is_own(run, model, seed) else RESULTS / run / SECTION / model / str(seed)


def parameters_of(model: str) -> str:
    """Name of the file of parameters that the jobs of a model read."""
    return THESIS[model][1] if model in THESIS else f"{SECTION}/{model}"


def library(model: str) -> list[str]:
    """Modules of the library that the jobs of a model use, as paths from the checkout."""
    module = (THESIS[model][0] if model in THESIS else BASELINES[model]).partition(":")[0]
    return sorted({*library_inputs("meagan_lib.experiments.benchmark"), *library_inputs(module)})


def model_class(model: str) -> type["Model"]:
    """The class of a model."""
    return resolve_name(THESIS[model][0] if model in THESIS else BASELINES[model])


SYNTHETIC, MATCHED = "synthetic.h5", "moment_matched.h5"
"""Windows of a model as it makes them, which are what is quoted, and those of a network after moment matching."""
KEPT = ("model.safetensors", "model.json", "config.json", "history.csv", SYNTHETIC, MATCHED, "cost.json")
"""Files of a job that its receipt lists."""


def execute(run: str, model: str, seed: int, parameters: Mapping[str, object]) -> dict:
    """Fit one model with one seed, draw its windows, and return the receipt."""
    from threadpoolctl import threadpool_limits

    from meagan_lib.experiments.fitting import fit_options, training_data
    from meagan_lib.experiments.generation import draw_synthetic
    from meagan_lib.windows.spike_windows import SpikeWindows

    started, folder, kind = time.monotonic(), place(run, model, seed), model_class(model)
    folder.mkdir(parents=True, exist_ok=True)
    windows = SpikeWindows.load(RESULTS / run / "windows.h5")
    fitted_with = parameters.get("normalisation", "z_score"), parameters.get("condition", "")
    is_network = hasattr(kind, "Config")
    if is_network:
        import torch

        torch.set_num_threads(1)
    with threadpool_limits(1):
        data = training_data(windows, *fitted_with, seed if is_network else None)
        options, clock = fit_options(kind.Config, parameters, windows) if is_network else {}, time.process_time()
        fitted = kind.fit(data, seed, folder, **options)
        seconds = round(time.process_time() - clock, 1)
        fitted.save(folder)
        draw_synthetic(fitted, windows, *fitted_with, seed + 2).save(folder / SYNTHETIC)
        if is_network:
            draw_synthetic(fitted, windows, *fitted_with, seed + 2, matched=True).save(folder / MATCHED)
    cost = {"trained": fitted.n_parameters, "steps": 0, "windows": len(data.train), "seconds": seconds, "threads": 1}
    if is_network:
        cost = json.loads((folder / "cost.json").read_text())  # of the trainer, which counts over interruptions
    write_json(folder / "cost.json", cost | {"parameters": fitted.n_parameters})
    receipt = {
        "notebook": f"{SECTION} {model} {seed}",
        "seconds": round(time.monotonic() - started, 1),
        "figures": [],
        "products": {str(f.relative_to(RESULTS / run)): sha256(f) for f in sorted(folder.iterdir()) if f.name in KEPT},
    }
    write_json(folder / "receipt.json", receipt)
    return receipt


def synthetic(run: str, file: str = SYNTHETIC) -> dict[str, dict[int, "SpikeWindows"]]:
    """Windows of every model of a run, model → seed → windows; of ``MATCHED`` those of the networks."""
    from meagan_lib.windows.spike_windows import SpikeWindows

    found: dict[str, dict[int, SpikeWindows]] = {}
    for model, seed in entries(run):
        path = place(run, model, seed) / file
        if file == SYNTHETIC or path.is_file():
            found.setdefault(model, {})[seed] = SpikeWindows.load(path)
    return found


def costs(run: str) -> dict[str, dict[int, dict[str, float]]]:
    """What every model of a run took, model → seed → cost.

    A cost has ``parameters`` of what makes windows, ``trained`` with those of its opponents and helpers, ``steps``,
    ``windows`` that were shown, repeats counted, ``seconds`` of CPU time and ``threads``.
    """
    found: dict[str, dict[int, dict[str, float]]] = {}
    for model, seed in entries(run):
        path = place(run, model, seed) / "cost.json"
        if not path.is_file():
            raise InputError(f"run '{run}' does not tell what {model} with seed {seed} took: make it with meagan run")
        found.setdefault(model, {})[seed] = json.loads(path.read_text())
    return found


def load(run: str, model: str, seed: int) -> "Model":
    """A fitted rival of a run, or a model of the thesis with a seed that is not the notebook's."""
    return model_class(model).load(place(run, model, seed))


def main() -> int:
    """``python -m meagan_lib.experiments.benchmark RUN PARAMETERS.yaml MODEL SEED``: a job of the graph."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("parameters", type=Path)
    parser.add_argument("model")
    parser.add_argument("seed", type=int)
    a = parser.parse_args()
    parameters = yaml.safe_load(a.parameters.read_text())
    return job(f"{SECTION} {a.model} {a.seed}", a.run, lambda: execute(a.run, a.model, a.seed, parameters))


if __name__ == "__main__":
    sys.exit(main())
