"""The benchmark: baselines of the two models of the thesis, and all of them with several seeds.

One job of the graph fits one model with one seed and leaves ``results/<run>/benchmark/<model>/<seed>/``: the model,
``synthetic.h5`` in the layout of ``windows.h5``, and ``cost.json``. Windows of notebooks 02 and 03 are taken, not drawn
again. The graph and the command import this module each time: what computes is imported where it is used.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from meagan_lib import ROOT, InputError, choose
from meagan_lib.values import is_number
from meagan_lib.workflow.execution import RESULTS, check_names_and_types, job, library_inputs
from meagan_lib.workflow.files import read_json, read_parameters, sha256, write_json

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
    "reflow_1": "meagan_lib.models.flow_matching:Reflow",
    "reflow_2": "meagan_lib.models.flow_matching:Reflow",
    "plain_transformer_gan": "meagan_lib.models.gan:GAN",
    "plain_vae_gan": "meagan_lib.models.vae_gan:VAEGAN",
}
"""Names, not imports: an edit of one concerns its own jobs alone."""
THESIS = {"transformer_gan": "02_transformer_gan", "vae_gan": "03_vae_gan"}
"""The models of the thesis, and the notebook whose parameters are their options."""
MODELS = BASELINES | {"transformer_gan": "meagan_lib.models.gan:GAN", "vae_gan": "meagan_lib.models.vae_gan:VAEGAN"}
PLAIN = {"plain_transformer_gan": "transformer_gan", "plain_vae_gan": "vae_gan"}
"""The models of the thesis as its headings describe them, with ``PLAINLY`` as options."""
PLAINLY = {"on_gaussian": False, "discriminator": "convolutional"}
"""No Gaussian of the training windows: neither under the generator, nor in what the discriminator sees."""
EULER_STEPS = {"reflow_1": 1, "reflow_2": 2}
"""In how many steps a reflowed flow draws windows."""
TOKENS_OF = {"vae": "vae_gan"} | dict.fromkeys(("flow_matching", *EULER_STEPS), "transformer_gan")
"""Baselines with a Transformer whose tokens last as long as those of a model of the thesis."""
ONE_ELECTRODE = ("tts_gan",)
"""Published configs of one channel: a token for each sample of several electrodes would fill the memory."""
UNTRAINED = ("gaussian", "pca_gaussian", "gmm", "bootstrap")
"""Baselines that take no training: one job fits them all, for starting Python takes longer than their fits."""
AT_ONCE = "untrained_baselines"
"""That job."""
CONDITIONAL = ("gaussian", "vae", "dcgan", "flow_matching", *EULER_STEPS)
"""Baselines that can be given a label."""
DECLARED = {
    "models": ["gaussian"],
    "seeds": [0],
    "baseline_seeds": [0],
    "condition": "",
    "validations": 8,
    "vae_steps": 6800,
    "dcgan_steps": 1700,
    "tts_gan_steps": 2500,
    "flow_matching_steps": 6800,
    "reflow_1_steps": 6000,
    "reflow_2_steps": 6000,
}
"""Parameters, with values of their types: the baselines; the seeds of the models of the thesis and of their plain
forms; those of the other baselines (where none are named, the same); unit, channel or depth for the baselines that take
a condition; validations and steps of baselines with a network."""


def prepared(parameters: Mapping[str, Mapping]) -> dict[str, dict]:
    """Return contents of the benchmark's files of parameters by name, from the sections of a run, checked.

    ``benchmark`` has the baselines, the seeds, those of the baselines where they are others, and the notebooks' own;
    ``benchmark/<baseline>`` what the jobs of one baseline depend on, so that nothing else makes them stale. InputError:
    what is not known or stands there twice, a budget below 1, several seeds without the one that a notebook has, or a
    model of one electrode in a run of several.
    """
    own = {model: int(parameters[notebook]["seed"]) for model, notebook in THESIS.items()}
    default = DECLARED | {"models": [], "seeds": sorted(set(own.values())), "baseline_seeds": []}
    section = default | check_names_and_types(SECTION, parameters.get(SECTION, {}), DECLARED)
    for model in section["models"]:
        if model in THESIS:
            raise InputError(f"benchmark.models: {model} takes part in any case; name its baselines")
        choose("the baseline in benchmark.models", model, BASELINES)
        if model in ONE_ELECTRODE and parameters.get("01_preprocessing", {}).get("neighbours"):
            left = ", ".join(other for other in section["models"] if other not in ONE_ELECTRODE)
            raise InputError(
                f"{model} is a published model of one electrode: leave it out (--set 'benchmark.models=[{left}]'), or "
                f"set neighbours of notebook 1 to 0"
            )
    for name, value in section.items():
        if isinstance(value, list) and len(set(value)) < len(value):
            raise InputError(f"benchmark.{name}: {max(value, key=value.count)} stands there twice")
    if section["condition"]:
        from meagan_lib.windows.spike_windows import CLASSES

        choose("benchmark.condition", section["condition"], CLASSES)
    seeds = section["seeds"]
    for model, seed in own.items():
        if seed not in seeds and len(seeds) != 1:  # of one seed each, no two need be the same
            raise InputError(
                f"benchmark.seeds are {seeds}, and the seed of {THESIS[model]} is {seed}: both models have the same "
                f"seeds, so add it to benchmark.seeds or take one of them for {THESIS[model]}.seed"
            )
    whole = {"models": section["models"], "seeds": seeds, "own": own}
    if section["baseline_seeds"]:
        whole["baseline_seeds"] = section["baseline_seeds"]
    return {SECTION: whole} | {f"{SECTION}/{model}": _budget(model, section, parameters) for model in section["models"]}


def _budget(model: str, section: Mapping, parameters: Mapping[str, Mapping]) -> dict[str, object]:
    """Return what the jobs of one baseline depend on."""
    if model in PLAIN:
        of_notebook = parameters[THESIS[PLAIN[model]]]
        left_out = ("name", "seed", "stamp", "start_from")
        given = {name: value for name, value in of_notebook.items() if name not in left_out}
        return given | {"options": dict(of_notebook["options"]) | PLAINLY}
    steps = section.get(f"{model}_steps")
    given = {"steps": steps, "validations": section["validations"]} if steps else {}
    if model in EULER_STEPS:
        given["ode_steps"] = EULER_STEPS[model]
    if section["condition"] and model in CONDITIONAL:
        given["condition"] = section["condition"]
    like = TOKENS_OF.get(model)
    return given | ({"patch_ms": parameters[THESIS[like]]["patch_ms"]} if like else {})


def settings(run: str) -> dict:
    """Return models, seeds and own seeds of the benchmark of a run that has one, as :func:`prepared` wrote them."""
    path = RESULTS / run / "params" / f"{SECTION}.yaml"
    if not path.is_file():
        raise InputError(f"run '{run}' has no benchmark yet: make it with meagan run")
    return read_parameters(path)


def entries(run: str) -> list[tuple[str, int]]:
    """Return model and seed of all that takes part, the models of the thesis first; a single seed is the notebook's."""
    given = settings(run)
    seeds = {model: [given["own"][model]] if len(given["seeds"]) == 1 else given["seeds"] for model in THESIS}
    of_baselines = given.get("baseline_seeds", given["seeds"])
    seeds |= {model: given["seeds"] if model in PLAIN else of_baselines for model in given["models"]}
    return [(model, seed) for model in seeds for seed in seeds[model]]


def is_own(run: str, model: str, seed: int) -> bool:
    """Say whether a notebook trains it, and no job of the benchmark."""
    return settings(run)["own"].get(model) == seed


def jobs(run: str) -> list[tuple[str, int]]:
    """Return model and seed of every job."""
    return [entry for entry in entries(run) if not is_own(run, *entry)]


def place(run: str, model: str, seed: int) -> Path:
    """Return the folder of a fitted model and its windows."""
    return RESULTS / run / model if is_own(run, model, seed) else RESULTS / run / SECTION / model / str(seed)


def parameters_of(model: str) -> str:
    """Return the name of the file of parameters that the jobs of a model read."""
    return THESIS.get(model, f"{SECTION}/{model}")


def parameters_path(run: str, model: str) -> Path:
    """Return that file of a run."""
    return RESULTS / run / "params" / f"{parameters_of(model)}.yaml"


def starting(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters that a training shares with the one whose weights it starts from."""
    return {name: parameters[name] for name in ("normalisation", "condition") if name in parameters}


def require_trained(run: str, model: str) -> Path:
    """Return the folder of a ``model`` that a run has trained. ``InputError``: there is none."""
    folder = RESULTS / run / model
    if not ((folder / "model.safetensors").is_file() and (RESULTS / run / "windows.h5").is_file()):
        raise InputError(
            f"run '{run}' has no trained {model} to start from: make it with meagan run, or leave start_from empty"
        )
    return folder


def trained_by_another(run: str, model: str) -> list[str]:
    """Return the weights of another run from which a run trains a model of the thesis; none where it starts anew."""
    path = parameters_path(run, model)
    other = read_parameters(path).get("start_from") if model in THESIS and path.is_file() else None
    return [str((RESULTS / other / model / "model.safetensors").relative_to(ROOT))] if other else []


def library(model: str) -> list[str]:
    """Return the modules of the library that the jobs of a model use, as paths from the checkout."""
    module, _, _ = MODELS[model].partition(":")
    return sorted({*library_inputs("meagan_lib.experiments.benchmark"), *library_inputs(module)})


def model_class(model: str) -> type["Model"]:
    """Return the class of a model."""
    return resolve_name(MODELS[model])


SYNTHETIC, MATCHED = "synthetic.h5", "moment_matched.h5"
"""Windows of a model as it draws them, which are what is quoted, and those of a network after moment matching."""
SCORES, MATCHED_SCORES = "scores.json", "moment_matching.json"
"""Scores of either, in the folder of the run."""
KEPT = ("model.safetensors", "model.json", "config.json", "history.csv", SYNTHETIC, MATCHED, "cost.json")
"""Files of a job that its receipt lists."""


def execute(run: str, model: str, seed: int, parameters: Mapping[str, object]) -> dict:
    """Fit one model with one seed, draw its windows, and return the receipt."""
    from threadpoolctl import threadpool_limits

    from meagan_lib.experiments.fitting import fit_options, training_data, weights_of
    from meagan_lib.experiments.generation import draw_synthetic
    from meagan_lib.experiments.portable import keep_generator
    from meagan_lib.windows.spike_windows import SpikeWindows

    started, folder, kind = time.monotonic(), place(run, model, seed), model_class(model)
    folder.mkdir(parents=True, exist_ok=True)
    windows, is_network = SpikeWindows.load(RESULTS / run / "windows.h5"), hasattr(kind, "Config")
    fitted_with = parameters.get("normalisation", "z_score"), parameters.get("condition", "")
    data, options = training_data(windows, *fitted_with, seed if is_network else None), {}
    if is_network:
        import torch

        torch.set_num_threads(1)
        options = fit_options(kind.Config, parameters, windows)
        if other := parameters.get("start_from"):
            options["start_from"] = weights_of(other, model, windows, **starting(parameters))
    with threadpool_limits(1):
        clock = time.process_time()
        fitted = kind.fit(data, seed, folder, **options)
        seconds = round(time.process_time() - clock, 1)
        keep_generator(fitted, model, folder, windows, *fitted_with)
        draw_synthetic(fitted, windows, *fitted_with, seed + 2).save(folder / SYNTHETIC)
        if is_network:
            draw_synthetic(fitted, windows, *fitted_with, seed + 2, matched=True).save(folder / MATCHED)
    cost = {"trained": fitted.n_parameters, "steps": 0, "windows": len(data.train), "seconds": seconds, "threads": 1}
    if is_network:
        cost = read_json(folder / "cost.json")  # of the trainer, which counts over interruptions
    write_json(folder / "cost.json", cost | {"parameters": fitted.n_parameters})
    products = {str(f.relative_to(RESULTS / run)): sha256(f) for f in sorted(folder.iterdir()) if f.name in KEPT}
    receipt = {"notebook": f"{SECTION} {model} {seed}", "seconds": round(time.monotonic() - started, 1)}
    receipt |= {"figures": [], "products": products}
    write_json(folder / "receipt.json", receipt)
    return receipt


def synthetic(run: str, file: str = SYNTHETIC) -> dict[str, dict[int, "SpikeWindows"]]:
    """Load the windows of every model of a run, model → seed → windows; of ``MATCHED`` those of the networks."""
    from meagan_lib.windows.spike_windows import SpikeWindows

    found: dict[str, dict[int, SpikeWindows]] = {}
    for model, seed in entries(run):
        path = place(run, model, seed) / file
        if file == SYNTHETIC or path.is_file():
            found.setdefault(model, {})[seed] = SpikeWindows.load(path)
    return found


def are_scores(content: Mapping) -> bool:
    """Say whether a mapping is such as ``evaluation.score_models`` returns, with lists in the place of tuples."""

    def numbers(found: object, n: int | None = None) -> bool:
        listed = isinstance(found, list) and (n is None or len(found) == n)
        return listed and all(map(is_number, found))

    def is_score(found: object) -> bool:
        if not isinstance(found, dict):
            return False
        values = [found.get(name) for name in ("value", "floor", "reach")] + [found.get("ratio") or 0]
        intervals = (found.get(name) for name in ("interval", "floor_interval", "reach_interval"))
        return numbers(values) and all(numbers(ends, 2) for ends in intervals) and numbers(found.get("seeds"))

    models = list(content.values())
    known = all(isinstance(its, dict) and its.keys() == models[0].keys() for its in models)
    return known and all(is_score(score) for its in models for score in its.values())


def read_scores(path: Path) -> dict[str, dict]:
    """Read ``SCORES`` or ``MATCHED_SCORES`` of a run, model → metric → fields; empty where there is no such file.

    ``InputError``: what are no scores.
    """
    return read_json(path, lambda found: are_scores(found) and (path.name != SCORES or "reach" in found))


def costs(run: str) -> dict[str, dict[int, dict[str, float]]]:
    """Return what every model of a run took, model → seed → :func:`meagan_lib.training.checkpoints.cost`."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for model, seed in entries(run):
        path = place(run, model, seed) / "cost.json"
        if not path.is_file():
            raise InputError(f"run '{run}' does not say what {model} with seed {seed} took: make it with meagan run")
        found.setdefault(model, {})[seed] = read_json(
            path, lambda cost: all(is_number(cost.get(name)) for name in ("parameters", "windows", "seconds"))
        )
    return found


def main() -> int:
    """Do a job of the graph: ``python -m meagan_lib.experiments.benchmark RUN MODEL/SEED``; several, if untrained."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("fits", nargs="+")
    a = parser.parse_args()
    fits = [(model, int(seed)) for model, _, seed in (fit.partition("/") for fit in a.fits)]

    def work() -> None:
        for model, seed in fits:
            execute(a.run, model, seed, read_parameters(parameters_path(a.run, model)))

    (model, seed), *_ = fits
    return job(AT_ONCE if model in UNTRAINED else f"{SECTION} {model} {seed}", a.run, work)


if __name__ == "__main__":
    sys.exit(main())
