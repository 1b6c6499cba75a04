"""Speed of training: ``make bench`` prints the tables and writes them to ``bench/TRAINING.md``.

On one core, and on a GPU where there is one, in one process and in turns: the trainer, and a bare loop that does
nothing but what the networks need (their passes, gradients, penalties, Adam, the EMA of the weights). What the trainer
adds to the bare loop is overhead.
"""

import shutil
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from preprocessing import machine
from torch import nn
from torch._inductor import config as inductor

from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gan import GAN, GANTrainer

BENCH = Path(__file__).parent
STEPS, TURNS = 100, 5


def windows(samples: int) -> np.ndarray:
    """Coloured noise with a trough, float32 (4000, samples)."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((4000, samples + 4)).astype(np.float32)
    smooth = sum(noise[:, i : samples + i] for i in range(5)) / 5
    return smooth - 4 * np.exp(-(((np.arange(samples) - samples / 2) / 3) ** 2)).astype(np.float32)


def trainer(samples: int, kind: str, device: str = "cpu") -> GANTrainer:
    """Build the trainer of the quick run."""
    quick = {"batch_size": 64, "patch": 16 if samples == 64 else 6, "penalty_every": 4, "one_batch": True}
    config = GAN.configure(discriminator=kind, steps=10**6, device=device, options=quick)
    taps = (np.hamming(25) / np.hamming(25).sum()).tolist()
    return GAN.trainer(config, TrainingData(windows(samples), taps))


def bare_steps(t: GANTrainer, n: int) -> None:
    """``n`` steps of the quick run's loss, with R1 and R2 now and then, Adam and the EMA, without anything else."""
    g, d, c, real = t.generator, t.discriminator, t.config, t.real
    ema, weights = list(t.ema.parameters()), list(g.parameters())
    for step in range(n):
        fake, x = (
            g(torch.randn(c.batch_size, c.latent, device=t.device)),
            real[torch.randint(len(real), (c.batch_size,))],
        )
        both = torch.cat([x, fake.detach()]).requires_grad_()
        logits = d(both)
        on_real, on_fake = logits.chunk(2)
        loss = nn.functional.softplus(on_fake - on_real).mean()
        if (step + 1) % c.penalty_every == 0:
            (gradient,) = torch.autograd.grad(logits.sum(), both, create_graph=True)
            loss = loss + c.penalty_every * c.gamma * gradient.square().sum(1).mean()
        t.optimisers["d"].zero_grad()
        loss.backward()
        t.optimisers["d"].step()
        d.requires_grad_(False)
        with torch.no_grad():
            on_real = d(x)
        t.optimisers["g"].zero_grad()
        nn.functional.softplus(on_real - d(fake)).mean().backward()
        t.optimisers["g"].step()
        d.requires_grad_(True)
        with torch.no_grad():
            torch._foreach_lerp_(ema, weights, 0.002)
    loss.item()  # a GPU is waited for


def trainer_steps(t: GANTrainer, n: int) -> None:
    """``n`` steps as :meth:`GANTrainer.train` does them."""
    for _ in range(n):
        row = t.train_step()
        t.step += 1
        assert all(np.isfinite(v) for v in row.values())
        t.keep_snapshot()


def rates(samples: int, kind: str, device: str) -> tuple[float, float]:
    """Return steps per second of the trainer and of the bare loop, the fastest of several turns each."""
    t, best = trainer(samples, kind, device), {trainer_steps: 0.0, bare_steps: 0.0}
    for loop in best:
        loop(t, 10)
    for _ in range(TURNS):
        for loop in best:
            started = time.perf_counter()
            loop(t, STEPS)
            best[loop] = max(best[loop], STEPS / (time.perf_counter() - started))
    return best[trainer_steps], best[bare_steps]


@contextmanager
def timed(spent: dict[str, float], owner: object, name: str, what: str):
    """Within, the time of calls of ``owner.name`` is added to ``spent[what]``."""
    original = getattr(owner, name)

    def call(*args, **kwargs):
        started = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            spent[what] += time.perf_counter() - started

    with patch.object(owner, name, call):
        yield


def fractions(samples: int, kind: str) -> dict[str, float]:
    """Where the trainer's time goes, as fractions."""
    t, spent = trainer(samples, kind), defaultdict(float)
    trainer_steps(t, 10)
    with ExitStack() as stack:
        for owner, name, what in (
            (t.generator, "forward", "generator, forward"),
            (t.discriminator, "forward", "discriminator, forward"),
            (torch.Tensor, "backward", "backward"),
            (torch.autograd, "grad", "gradient penalty, first derivative"),
            (t.optimisers["d"], "step", "Adam"),
            (t.optimisers["g"], "step", "Adam"),
            (t, "update_ema", "EMA"),
        ):
            stack.enter_context(timed(spent, owner, name, what))
        started = time.perf_counter()
        trainer_steps(t, 2 * STEPS)
        total = time.perf_counter() - started
    found = {what: seconds / total for what, seconds in spent.items()}
    return found | {"the loop": 1 - sum(found.values())}


def passes(network: nn.Module, x: torch.Tensor, narrow: bool) -> None:
    """Do one pass forward, in bfloat16 where that is asked, and the gradients of all weights."""
    with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
        y = network(x)
    torch.autograd.grad(y.float().square().sum(), list(network.parameters()))


def arithmetic() -> dict[str, list[float]]:
    """Time :func:`passes` of both players in other ways than the trainer's: way → ms of each, s of the first ones."""
    t = trainer(64, "whitened")
    players = [(t.generator, t.latent(t.config.batch_size)), (t.discriminator, torch.cat(2 * t.real_batch()))]
    found, compilers = {}, [False, True] if shutil.which("c++") else [False]
    inductor.force_disable_caches = True  # of what an earlier bench has compiled
    for compiled, narrow in product(compilers, (False, True)):
        torch.compiler.reset()
        networks = [(torch.compile(network) if compiled else network, x) for network, x in players]
        started = time.perf_counter()
        for network, x in networks:
            passes(network, x, narrow)
        first, best = time.perf_counter() - started, [np.inf] * len(networks)
        for _, (i, (network, x)) in product(range(TURNS), enumerate(networks)):
            started = time.perf_counter()
            for _ in range(STEPS):
                passes(network, x, narrow)
            best[i] = min(best[i], (time.perf_counter() - started) / STEPS)
        way = " and ".join(["compiled"] * compiled + ["bfloat16"] * narrow) or "as the trainer does it"
        found[way] = [1000 * best[0], 1000 * best[1], first]
    return found


def penalised() -> dict[str, tuple[float, float]]:
    """Time the gradients of the discriminator's loss with R1 and R2: way → ms, s of the first.

    As the trainer does it, by a gradient of a gradient, which PyTorch does not compile; by ``torch.func.grad``; and
    that compiled.
    """
    t = trainer(64, "whitened")
    network, weights, x = t.discriminator, dict(t.discriminator.named_parameters()), torch.cat(2 * t.real_batch())

    def loss(logits: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        on_real, on_fake = logits.chunk(2)
        return nn.functional.softplus(on_fake - on_real).mean() + t.config.gamma * slope.square().sum(1).mean()

    def twice() -> None:
        x.requires_grad_(True)
        logits = network(x)
        (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        torch.autograd.grad(loss(logits, slope), list(weights.values()))

    def total(given: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        def judged(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = torch.func.functional_call(network, given, (x,))
            return logits.sum(), logits

        slope, logits = torch.func.grad(judged, has_aux=True)(x)
        return loss(logits, slope)

    ways = {"as the trainer does it": twice, "torch.func.grad": partial(torch.func.grad(total), weights, x)}
    if shutil.which("c++"):
        ways["torch.func.grad, compiled"] = partial(torch.compile(torch.func.grad(total)), weights, x)
    found = {}
    for way, once in ways.items():
        started, best = time.perf_counter(), np.inf
        once()
        first = time.perf_counter() - started
        for _ in range(TURNS):
            started = time.perf_counter()
            for _ in range(STEPS):
                once()
            best = min(best, (time.perf_counter() - started) / STEPS)
        found[way] = 1000 * best, first
    return found


def tables() -> str:
    """Measure, and return all tables as Markdown."""
    torch.set_num_threads(1)
    lines = [
        "# Training, measured",
        "",
        f"{machine()}, torch {torch.__version__}. One thread, the steps of the run quick; the "
        f"fastest of {TURNS} turns of {STEPS} steps.",
        "",
        "| window | discriminator | on | steps per second | bare loop | ratio |",
        "|---|---|---|---|---|---|",
    ]
    devices = {"cpu": "one core"} | ({"cuda": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})
    for device, (samples, kind) in product(
        devices, ((64, "whitened"), (22, "whitened"), (64, "convolutional"), (64, "transformer"))
    ):
        ours, bare = rates(samples, kind, device)
        lines.append(
            f"| {samples} samples | {kind} | {devices[device]} | {ours:.1f} | {bare:.1f} | {ours / bare:.3f} |"
        )
    lines += ["", "Where the time of a step goes (64 samples, whitened):", "", "| | fraction |", "|---|---|"]
    lines += [
        f"| {what} | {fraction:.1%} |"
        for what, fraction in sorted(fractions(64, "whitened").items(), key=lambda x: -x[1])
    ]
    lines += ["", "Passes forward and backward, without penalties, in other ways (64 samples, whitened):", ""]
    lines += ["| | generator, ms | discriminator, ms | the first of both, s |", "|---|---|---|---|"]
    lines += [f"| {way} | {g:.2f} | {d:.2f} | {first:.1f} |" for way, (g, d, first) in arithmetic().items()]
    lines += ["", "The gradients of the discriminator's loss with exact R1 and R2, every fourth step's:", ""]
    lines += ["| | ms | the first, s |", "|---|---|---|"]
    lines += [f"| {way} | {ms:.2f} | {first:.1f} |" for way, (ms, first) in penalised().items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = tables()
    print(text)
    (BENCH / "TRAINING.md").write_text(text)
