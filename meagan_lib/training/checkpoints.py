"""What a training leaves on disk: the fingerprint of its run, its checkpoint and the files of its results."""

import copy
import csv
import json
from collections.abc import Iterable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from meagan_lib import InputError
from meagan_lib.workflow.files import atomic, write_json
from meagan_lib.workflow.imports import sources_hash

if TYPE_CHECKING:
    from meagan_lib.training.trainer import Trainer


def fingerprint(trainer: "Trainer") -> dict:
    """Return everything that the bits of a run depend on."""
    used = {type(trainer).__module__, *(type(network).__module__ for network in trainer.networks().values())}
    if trainer.validate is not None:
        used.add(type(trainer.validate).__module__)
    labels = b"" if trainer.real_labels is None else trainer.real_labels.cpu().numpy().tobytes()
    return ({"start_from": trainer.start_from} if trainer.start_from else {}) | {
        "config": asdict(trainer.config),
        "start": {name: sha256(_bytes(n.state_dict())).hexdigest() for name, n in trainer.networks().items()},
        "data": sha256(trainer.real.cpu().numpy().tobytes() + labels).hexdigest(),
        "validated_by": None if trainer.validate is None else trainer.validate.digest,
        "sources": sources_hash(used),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def _bytes(tensors: dict[str, Tensor]) -> bytes:
    return safetensors.save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()})


def save(trainer: "Trainer", run: dict) -> None:
    """Write ``checkpoint.pt``: the whole state of a training, and the fingerprint of its ``run``."""
    state = {
        "fingerprint": json.dumps(run, sort_keys=True),
        "rng": trainer.rng.get_state(),
        "dropout": torch.get_rng_state(),
        "networks": {name: network.state_dict() for name, network in trainer.networks().items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in trainer.optimisers.items()},
        "ema": trainer.ema.state_dict(),
        "attributes": {name: getattr(trainer, name) for name in trainer.STATE},
    }
    with atomic(trainer.folder / "checkpoint.pt") as temporary:
        torch.save(state, temporary)


def resume(trainer: "Trainer", run: dict) -> None:
    """Bring a trainer to the state of the checkpoint in its folder, where that is one of the same ``run``."""
    if not trainer.folder:
        return
    try:
        state = torch.load(trainer.folder / "checkpoint.pt", map_location="cpu", weights_only=True)
        if state["fingerprint"] != json.dumps(run, sort_keys=True):
            return
    except Exception:  # none, one of another version or a damaged one: start anew
        return
    for kind, parts in (("networks", trainer.networks()), ("optimisers", trainer.optimisers)):
        for name, part in parts.items():
            part.load_state_dict(state[kind][name])
    trainer.ema.load_state_dict(state["ema"])
    trainer.rng.set_state(state["rng"])
    torch.set_rng_state(state["dropout"])
    vars(trainer).update(state["attributes"])


def start(trainer: "Trainer", folder: Path, same: Iterable[str] = ()) -> None:
    """Let a trainer begin with the weights that a finished training left in ``folder``; its optimisers are new.

    They are the generator as it is :meth:`~Trainer.adopted`, and the companions, by the names of :func:`save_results`;
    ``start_from`` of the trainer becomes the SHA-256 of the files. ``InputError``: no weights there, or those of
    networks that differ from the trainer's own, in a field of the config that must be the ``same`` or in their shapes.
    """
    parts = {"model": trainer.generator, **trainer.companions()}
    try:
        config = json.loads((folder / "config.json").read_text())["config"]
        found = {name: (folder / f"{name}.safetensors").read_bytes() for name in parts}
    except FileNotFoundError as error:
        lacks = Path(error.filename).name
        raise InputError(f"there is no finished training in {folder} to start from (no {lacks}): train it") from error
    own = asdict(trainer.config)
    for field in same:
        if config.get(field) != own[field]:
            raise InputError(
                f"training cannot start from the weights in {folder}, of networks with {field} = {config.get(field)}; "
                f"here it is {own[field]}: give both the same, or train without start_from"
            )
    for name, network in parts.items():
        try:
            weights = safetensors.load(found[name])
            network.load_state_dict(trainer.adopted(weights) if network is trainer.generator else weights)
        except (RuntimeError, ValueError, KeyError, SafetensorError) as error:
            raise InputError(
                f"training cannot start from {name}.safetensors in {folder}: the file is damaged, or its windows had "
                f"another number of samples, of electrodes or of classes; train it again, or without start_from"
            ) from error
    trainer.ema.load_state_dict(trainer.generator.state_dict())
    trainer.best = copy.deepcopy(trainer.generator.state_dict())
    trainer.start_from = {name: sha256(weights).hexdigest() for name, weights in found.items()}


def save_results(trainer: "Trainer", run: dict) -> None:
    """Write the weights that were chosen, ``config.json``, ``cost.json`` and ``history.csv``."""
    for name, weights in {"model": trainer.best, **trainer.best_companions}.items():
        with atomic(trainer.folder / f"{name}.safetensors") as temporary:
            temporary.write_bytes(_bytes(weights))
    chosen = {"best_step": trainer.best_step, "validation": trainer.validation}
    write_json(trainer.folder / "config.json", run | chosen)
    write_json(trainer.folder / "cost.json", cost(trainer))
    with atomic(trainer.folder / "history.csv") as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, trainer.COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(trainer.history)


def cost(trainer: "Trainer") -> dict[str, float]:
    """Return what a training took: fitted ``parameters`` of the generator, and ``trained`` those of all networks.

    Of ``windows`` repeats count; ``seconds`` are of CPU time, validations included.
    """
    return {
        "parameters": n_parameters(trainer.generator),
        "trained": n_parameters(*trainer.networks().values()),
        "steps": trainer.step,
        "windows": trainer.step * trainer.config.batch_size,
        "seconds": round(trainer.seconds, 1),
        "threads": torch.get_num_threads(),
    }


def n_parameters(*networks: nn.Module) -> int:
    """Count the numbers that were fitted in ``networks``, each once.

    They are the weights, the running means and variances of batch normalisation, and the Gaussian that a network is
    built on: its buffers ``mean`` and ``colouring`` W (samples, k) count as mean and covariance of rank k, samples +
    samples · k − k (k − 1)/2.
    """
    every = nn.ModuleList(networks)
    count = sum(p.numel() for p in every.parameters())
    for module in every.modules():
        own = dict(module.named_buffers(recurse=False))
        count += sum(own[name].numel() for name in ("mean", "running_mean", "running_var") if own.get(name) is not None)
        if "colouring" in own:
            samples, k = own["colouring"].shape
            k = min(samples, k)
            count += samples * k - k * (k - 1) // 2
    return count
