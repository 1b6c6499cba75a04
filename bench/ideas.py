"""Ideas for the game, at equal time: ``python bench/ideas.py`` trains, prints a table and writes ``bench/IDEAS.md``.

The Transformer-GAN as it is, and with one thing changed, on the two recordings of ``equal_time.py``, judged as there.
Steps are chosen so that each takes as long on one core. Rows are kept in ``results/ideas`` as they come, so that it
goes on where it was stopped. It takes hours of a core, and is not part of ``make bench``.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from equal_time import BENCH, WHITE, judged, text, windows_of
from torch import Tensor, nn

from meagan_lib.experiments.fitting import training_data
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.discriminators import WIDTH, ConvolutionalDiscriminator, WhitenedDiscriminator
from meagan_lib.models.gan import GAN, GANTrainer
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.training import losses
from meagan_lib.training.trainer import seeded
from meagan_lib.windows.spike_windows import SpikeWindows
from meagan_lib.workflow.execution import RESULTS

KEPT = RESULTS / "ideas"
ENDS = {32: 4 / 7, 64: 6 / 7, 128: 1.0}
"""Part of the steps at which a batch of so many windows ends, where each has a third of all windows."""


class Several(nn.Module):
    """Discriminators side by side."""

    def __init__(self, *parts: nn.Module):
        super().__init__()
        self.parts = nn.ModuleList(parts)


class AgainstSeveral(GANTrainer):
    """Each discriminator plays its own game, and the generator descends the mean of its losses."""

    def discriminator_step(self, real: Tensor, fake: Tensor, *label: Tensor) -> dict[str, float]:
        """Descend the sum of the discriminators' losses, each with its penalties."""
        c, total = self.config, torch.zeros(())
        gamma = c.gamma * c.penalty_every * ((self.stage_step + 1) % c.penalty_every == 0)
        for part in self.discriminator.parts:
            both = torch.cat([real, fake]).requires_grad_(gamma > 0)
            logits = part(both)
            total = total + self.loss.discriminator(*logits.split([len(real), len(fake)]))
            if gamma > 0:
                total = total + gamma * losses.squared_gradient_norm(logits, both)
        return {"d_loss": total.item(), "d_gradient": self.descend(total, "d")}

    def generator_step(self, real: Tensor, generated: tuple[Tensor, ...], *label: Tensor) -> dict[str, float]:
        """Descend the mean of the generator's losses."""
        parts = self.discriminator.parts
        loss = sum(self.loss.generator(*self.seen(part, real, generated[0])) for part in parts) / len(parts)
        norm = self.descend(loss, "g")
        self.update_ema()
        return {"g_loss": loss.item(), "g_gradient": norm}


class SpectralBranch(WhitenedDiscriminator):
    """A third branch beside the two of the whitened one: dense, on the log power of the tapered window."""

    def __init__(self, samples: int, gaussian: Gaussian):
        super().__init__(samples, gaussian)
        self.register_buffer("taper", torch.hann_window(samples, periodic=False), persistent=False)
        self.spectral = nn.Sequential(nn.Linear(samples // 2 + 1, WIDTH), nn.LeakyReLU(0.2))
        self.both[0] = nn.Linear(3 * WIDTH, 2 * WIDTH)

    def features(self, x: Tensor) -> Tensor:
        """(batch, samples) → the last layer before the logit, (batch, 2 · width)."""
        both = torch.cat([x, (x - self.centre) @ self.whiten], dim=1)
        power = torch.view_as_real(torch.fft.rfft(x * self.taper)).square().sum(-1)
        branches = ConvolutionalDiscriminator.features(self, both), self.spectral(torch.log(power + 1e-3))
        return self.both(torch.cat(branches, dim=1))


class Growing(GANTrainer):
    """Batches of 32, 64 and 128 windows, a third of all windows each; rates grow with the root of the batch.

    ``falling``: a cosine over the windows shown as well; else rates fall in the last third alone, for the batch grows
    in their place (Smith et al. 2018, arXiv:1711.00489).
    """

    falling = True

    def size(self) -> int:
        """Return the windows of a batch at this step."""
        return next(size for size, end in ENDS.items() if self.stage_step / self.config.steps < end)

    def real_batch(self) -> tuple[Tensor, ...]:
        """Draw as many training windows as the batch has grown to."""
        return (self.real[torch.randint(len(self.real), (self.size(),), generator=self.rng)],)

    def set_rates(self, step: int) -> None:
        """Set both rates to those of a step."""
        part, size = step / self.config.steps, self.size()
        if self.falling:
            third, begun = list(ENDS).index(size), {32: 0.0, 64: 4 / 7, 128: 6 / 7}[size]
            shown = (third + (part - begun) / (ENDS[size] - begun)) / 3
            fraction = (size / 64) ** 0.5 * self.cosine(shown, 1)
        else:
            fraction = 0.7 * (self.cosine(7 * part - 6, 1) if size == 128 else 1.0)
        for name, rate in (("d", self.config.d_learning_rate), ("g", self.config.g_learning_rate)):
            self.set_rate(name, rate * fraction)


class InPlaceOfRates(Growing):
    """Batches grow in the place of rates that fall."""

    falling = False


class HalfPrecision(GANTrainer):
    """The discriminator in bfloat16 wherever no penalty asks for a second derivative."""

    def discriminator_step(self, real: Tensor, fake: Tensor, *label: Tensor) -> dict[str, float]:
        """Do the step in bfloat16, or in float32 where a penalty is due."""
        due = (self.stage_step + 1) % self.config.penalty_every == 0
        with torch.autocast("cpu", torch.bfloat16, enabled=not due):
            return super().discriminator_step(real, fake)

    def generator_step(self, real: Tensor, generated: tuple[Tensor, ...], *label: Tensor) -> dict[str, float]:
        """Judge in bfloat16, and descend in float32."""
        with torch.autocast("cpu", torch.bfloat16):
            judged = self.seen(self.discriminator, real, generated[0])
        loss = self.loss.generator(*(logits.float() for logits in judged))
        norm = self.descend(loss, "g")
        self.update_ema()
        return {"g_loss": loss.item(), "g_gradient": norm}


def whitened(data: TrainingData, seed: int, kind: type = WhitenedDiscriminator) -> nn.Module:
    """Build a discriminator that sees windows whitened, too."""
    return seeded(lambda: kind(data.samples, Gaussian(data.train)), seed)


@dataclass(frozen=True)
class Idea:
    """What is changed, and the steps on the simulation and on the retina."""

    steps: tuple[int, int]
    trainer: type[GANTrainer] = GANTrainer
    discriminator: Callable[[TrainingData, int], nn.Module] = whitened
    options: dict = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)


CASES = {
    "as it is": Idea((10_000, 10_000), seeds=(0, 1, 2)),
    "two discriminators, both whitened": Idea(
        (6660, 6490), AgainstSeveral, lambda data, s: Several(whitened(data, s), whitened(data, s + 100))
    ),
    "two discriminators, one whitened": Idea(
        (7460, 7480),
        AgainstSeveral,
        lambda data, s: Several(whitened(data, s), seeded(lambda: ConvolutionalDiscriminator(data.samples), s + 100)),
    ),
    "a spectral branch": Idea(
        (9560, 8650), discriminator=lambda data, s: whitened(data, s, SpectralBranch), seeds=(0, 1, 2)
    ),
    "batches and rates grow": Idea((11_280, 10_330), Growing),
    "batches grow in the place of falling rates": Idea((11_580, 10_480), InPlaceOfRates),
    "discriminator in bfloat16": Idea((10_810, 9540), HalfPrecision, seeds=(0, 1, 2)),
    "generator of 2 blocks of width 48": Idea((12_820, 13_050), options={"width": 48, "depth": 2}, seeds=(0, 1, 2)),
    "generator of 1 block of width 48": Idea((15_270, 14_360), options={"width": 48, "depth": 1}, seeds=(0, 1, 2)),
    "generator of 1 block of width 64": Idea((14_650, 13_940), options={"width": 64, "depth": 1}, seeds=(0, 1, 2)),
}


def trained(windows: SpikeWindows, idea: Idea, steps: int, seed: int) -> dict[str, object]:
    """Train the Transformer-GAN with an idea, and judge it."""
    data = training_data(windows, seed=seed)
    own = {"steps": steps, "ema": round(1 - 9 / steps, 5), "validate_every": steps // 8}
    config = GAN.configure(seed, patch=windows.samples_of(0.8), options=WHITE | idea.options | own)
    players = GAN.build(config, data), idea.discriminator(data, seed + 1)
    return judged(windows, idea.trainer(*players, data.train, config, validate=data.validate), seed)


def rows(recordings: tuple[str, ...] = ("simulated", "retina_hdmea")) -> pd.DataFrame:
    """Train what has not been trained, and return all rows."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for (i, recording), seed, (name, idea) in product(enumerate(recordings), (0, 1, 2), CASES.items()):
        path = KEPT / f"{recording}-{list(CASES).index(name)}-{seed}.json"
        if seed in idea.seeds and not path.is_file():
            row = {"recording": recording, "case": name, "seed": seed}
            path.write_text(json.dumps(row | trained(windows_of(recording), idea, idea.steps[i], seed)))
    return pd.DataFrame([json.loads(path.read_text()) for path in sorted(KEPT.glob("*.json"))])


CHOSEN = """
Which ideas have three seeds was decided after the first, by these test windows. Nothing was adopted.
"""


if __name__ == "__main__":
    torch.set_num_threads(1)
    page = text(rows(), list(CASES), "Ideas for the game, at equal time") + CHOSEN
    print(page)
    Path(BENCH / "IDEAS.md").write_text(page)
