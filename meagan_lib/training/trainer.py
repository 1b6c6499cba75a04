"""The loop of every training: steps, the moving average of the weights (EMA), validation, snapshots, checkpoints.

A trainer knows no model: what a step is, a subclass says, in the module of its model.
"""

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from meagan_lib import InputError, did_you_mean
from meagan_lib.training import checkpoints
from meagan_lib.training.priors import generate, prior
from meagan_lib.values import of_type


@dataclass(frozen=True)
class TrainingConfig:
    """What every training has: its budget, the EMA, the validations, the files."""

    seed: int = 0
    steps: int = 4000
    batch_size: int = 64
    final_rate_fraction: float = 0.05
    """Fraction of its first value to which a cosine takes a rate."""
    clip_gradient: float = 0.0
    """Largest norm of a network's gradient; 0: no limit."""
    patience: int = 0
    """Validations without a gain after which training stops early; 0: never."""
    ema: float = 0.998
    """Decay of the moving average of the generator's weights, which is what samples are drawn from."""
    validate_every: int = 400
    """Steps between two validations, which pick the weights that are kept among those of the second half: a score is
    noisy, and among many validations an early one may win by luck."""
    snapshots: int = 25
    """Steps, from the first to the last, at which windows of the same few z are kept."""
    log_every: int = 20
    checkpoint_every: int = 400
    device: str = "cpu"
    """Of torch, such as ``cuda``; what is drawn and kept is on the CPU, which alone promises the same bits twice."""


class Diverged(InputError):
    """The loss of a training is no longer finite."""


def build_config(kind: type, **fields: object) -> object:
    """Build a config of the ``kind``; InputError: a field that it does not know, another type, out of its range.

    Fields that ``kind.WITHOUT`` names, where there is such, are inherited and change nothing: they are no options.
    """
    known = {f.name: f for f in dataclasses.fields(kind) if f.name not in getattr(kind, "WITHOUT", ())}
    for name, value in fields.items():
        if name not in known:
            raise InputError(
                f"'{name}' is no option of {kind.__name__}{did_you_mean(name, known)}; "
                f"{kind.__module__.replace('.', '/')}.py lists them"
            )
        value, default = (list(its) if isinstance(its, tuple) else its for its in (value, known[name].default))
        given = of_type(value, default, f"options.{name}")
        fields[name] = tuple(given) if isinstance(given, list) else given
    return kind(**fields)


def seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a network whose initial weights depend on ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def usable(device: str) -> torch.device:
    """Return the torch device called ``device``, tried out by a tensor on it, or refuse it."""
    try:
        return torch.zeros((), device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"device '{device}' cannot be used here: choose cpu") from error


class Trainer:
    """Train the network that generates windows: ``generator``, z (batch, latent) → (batch, samples), has ``latent``.

    ``real``, ``validate`` and ``labels`` are those of :class:`~meagan_lib.models.contract.TrainingData`. In ``folder``
    appear ``model.safetensors``, ``config.json``, ``history.csv``, ``cost.json`` and ``checkpoint.pt``. A checkpoint of
    the very same run found there is resumed, and ends in the same bits as an undisturbed run.
    """

    COLUMNS: tuple[str, ...] = ("step",)
    """Of ``history.csv``."""
    STATE = (*"step seconds best best_score best_step best_companions history validation snapshots".split(),)
    """Attributes that a checkpoint keeps, beside networks, optimisers and random numbers."""
    SNAPSHOT_WINDOWS = 5
    """Latent vectors whose windows are kept while training goes on."""
    n_validate = 1000
    """Windows that ``validate`` is given."""
    prior = "gaussian"
    """Where z comes from: a name of ``PRIORS``."""
    first_stage = 0
    """Steps before the ``steps`` of the stage that samples come from."""

    def __init__(
        self,
        generator: nn.Module,
        real: np.ndarray,
        config: TrainingConfig,
        validate: Callable[[np.ndarray], float] | None = None,
        labels: np.ndarray | None = None,
        folder: Path | None = None,
    ):
        self.generator, self.config, self.device = generator, config, usable(config.device)
        for network in self.networks().values():
            network.to(self.device)
        self.real = torch.from_numpy(np.ascontiguousarray(real, dtype=np.float32)).to(self.device)
        self.real_labels = None
        if labels is not None:
            self.real_labels = torch.from_numpy(np.asarray(labels, dtype=np.int64)).to(self.device)
        self.validate, self.folder = validate, folder
        self.ema = copy.deepcopy(generator).requires_grad_(False).eval()
        self.best, self.best_score, self.best_step = copy.deepcopy(generator.state_dict()), math.inf, 0
        self.best_companions: dict[str, dict[str, Tensor]] = {}
        self.start_from: dict[str, str] = {}  # SHA-256 of the weights of another training that this one begins with
        self.rng = torch.Generator().manual_seed(config.seed)
        self.step, self.seconds = 0, 0.0
        self.history: list[dict[str, float]] = []
        self.validation: list[dict[str, float]] = []
        self.snapshots: dict[int, Tensor] = {}
        self.optimisers = self.build_optimisers()

    # What a subclass replaces.

    def train_step(self) -> dict[str, float]:
        """Do one step of training; returns what the history records."""
        raise NotImplementedError

    def build_optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimisers by name; by default one for each network."""
        rate = self.config.learning_rate
        return {name: torch.optim.Adam(n.parameters(), rate, fused=True) for name, n in self.networks().items()}

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.first_stage + self.config.steps

    @property
    def stage_step(self) -> int:
        """Steps done of the stage that samples come from."""
        return max(self.step - self.first_stage, 0)

    def networks(self) -> dict[str, nn.Module]:
        """Return everything that is trained, by name."""
        return {"generator": self.generator}

    def companions(self) -> dict[str, nn.Module]:
        """Return networks that are kept with the generator, as they are at the step that validation chooses."""
        return {}

    def adopted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return weights of another training as the generator of this one begins with them: by default as they are."""
        return weights

    def train(self, *callbacks: Callable[["Trainer"], None]) -> None:
        """Run to the last step, resuming a checkpoint of the same run; write the results to ``folder``.

        Every callback is given the trainer after every step. Diverged: the loss is no longer finite.
        """
        run = checkpoints.fingerprint(self)
        with torch.random.fork_rng(devices=[]):  # dropout draws from torch's own generator
            torch.manual_seed(self.config.seed)
            checkpoints.resume(self, run)
            clock = time.process_time() - self.seconds  # earlier parts of an interrupted run included
            self.keep_snapshot()
            while self.step < self.total_steps and not self.out_of_patience():
                row = self.train_step()
                self.step += 1
                last = self.step == self.total_steps
                self._check_finite(row, run)
                if self.step % self.config.log_every == 0 or last:
                    self.history.append({"step": self.step} | row)
                self.keep_snapshot()
                if self.validate and self.stage_step and (self.step % self.config.validate_every == 0 or last):
                    self._keep_if_better()
                self.seconds = time.process_time() - clock
                if self.folder and (self.step % self.config.checkpoint_every == 0 or last or self.out_of_patience()):
                    checkpoints.save(self, run)
                for callback in callbacks:
                    callback(self)
        if self.validate is None:
            self._keep(copy.deepcopy(self.ema).cpu())
        if self.folder:
            checkpoints.save_results(self, run)

    def _check_finite(self, row: dict[str, float], run: dict) -> None:
        broken = [name for name, value in row.items() if not math.isfinite(value)]
        if not broken:
            return
        kept = ""
        if self.folder and self.best_step:
            checkpoints.save_results(self, run)
            kept = f"; the weights of step {self.best_step} are kept"
        raise Diverged(
            f"training diverged at step {self.step}: {broken[0]} is no longer finite; lower the learning rates or set "
            f"clip_gradient{kept}"
        )

    def _keep_if_better(self) -> None:
        candidate = copy.deepcopy(self.ema).cpu()
        score = float(self.validate(self.draw(candidate, self.n_validate, self.config.seed + 1)))
        self.validation.append({"step": self.step, "score": score})
        late = self.stage_step >= self.config.steps / 2 or self.config.patience
        if late and score < self.best_score:
            self.best_score = score
            self._keep(candidate)

    def _keep(self, generator: nn.Module) -> None:
        self.best, self.best_step = generator.state_dict(), self.step
        self.best_companions = {name: copy.deepcopy(n.state_dict()) for name, n in self.companions().items()}

    def keep_snapshot(self) -> None:
        """Keep windows at steps of the last stage that lie ever further apart: steps · (i / (snapshots − 1))²."""
        frames, step = max(self.config.snapshots, 2), self.stage_step
        steps = {round(self.config.steps * (i / (frames - 1)) ** 2) for i in range(frames)}
        if step in steps - set(self.snapshots):
            self.snapshots[step] = torch.from_numpy(self.draw(self.ema, self.SNAPSHOT_WINDOWS, self.config.seed + 2))

    def out_of_patience(self) -> bool:
        """Say whether ``patience`` validations have brought no gain."""
        scores = [row["score"] for row in self.validation]
        return bool(scores) and 0 < self.config.patience <= len(scores) - 1 - int(np.argmin(scores))

    def latent(self, n: int) -> Tensor:
        """Draw z of the prior, (n, latent), from the generator of random numbers that the checkpoint keeps."""
        return prior(self.prior, n, self.generator.latent, self.rng).to(self.device)

    def real_batch(self) -> tuple[Tensor, ...]:
        """Draw training windows (batch, samples) with replacement, and their labels (batch,) where there are any."""
        drawn = torch.randint(len(self.real), (self.config.batch_size,), generator=self.rng)
        return (self.real[drawn],) if self.real_labels is None else (self.real[drawn], self.real_labels[drawn])

    def assign_gradients(self, name: str, loss: Tensor, retain_graph: bool = False) -> None:
        """Give the parameters of one optimiser, and no others, the gradient of ``loss``."""
        self.optimisers[name].zero_grad(set_to_none=True)
        loss.backward(inputs=self.optimisers[name].param_groups[0]["params"], retain_graph=retain_graph)

    def descend(self, loss: Tensor, name: str) -> float:
        """Step one optimiser down ``loss``; returns what :meth:`update` does."""
        self.assign_gradients(name, loss)
        return self.update(name)

    def update(self, name: str) -> float:
        """Step one optimiser, its gradient clipped where asked; returns the gradient's norm at steps that are kept.

        At the others 0: sixty norms take as long as the optimiser's step.
        """
        norm = 0.0
        if self.config.clip_gradient or self.kept(self.step + 1):
            parameters = [p for p in self.optimisers[name].param_groups[0]["params"] if p.grad is not None]
            total = nn.utils.get_total_norm([p.grad for p in parameters])
            if self.config.clip_gradient:
                nn.utils.clip_grads_with_norm_(parameters, self.config.clip_gradient, total)
            norm = total.item()
        self.optimisers[name].step()
        return norm

    def kept(self, step: int) -> bool:
        """Say whether anything is kept of a step: a row of the history, weights or a checkpoint."""
        c = self.config
        every = (c.log_every, c.validate_every, c.checkpoint_every)
        return step == self.total_steps or any(step % n == 0 for n in every)

    def set_rate(self, name: str, rate: float) -> None:
        """Set the learning rate of one optimiser."""
        self.optimisers[name].param_groups[0]["lr"] = rate

    def cosine(self, step: int, steps: int) -> float:
        """Return the fraction of the first learning rate: from 1 along half a cosine to ``final_rate_fraction``."""
        low = self.config.final_rate_fraction
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))

    def update_ema(self) -> None:
        """Set ema ← m · ema + (1 − m) · generator; m grows to its last value, so that the start is soon forgotten."""
        t = self.stage_step + 1
        decay = min(self.config.ema, (1 + t) / (10 + t))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.generator.parameters()), 1 - decay)
            for own, trained in zip(self.ema.buffers(), self.generator.buffers()):  # of batch normalisation
                own.copy_(trained)

    def best_generator(self) -> nn.Module:
        """Return a generator with the weights that validation chose."""
        model = copy.deepcopy(self.ema).cpu()
        model.load_state_dict(self.best)
        return model

    def sample(self, n: int, seed: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples) from the weights that validation chose, as :meth:`draw`."""
        return self.draw(self.best_generator(), n, seed, labels)

    def draw(self, generator: nn.Module, n: int, seed: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples) of a generator; their labels (n,) are by default :meth:`draw_labels`."""
        if labels is None and self.real_labels is not None:
            labels = self.draw_labels(n, seed)
        return generate(generator, n, torch.Generator().manual_seed(seed), self.prior, labels)

    def draw_labels(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw labels (n,) as often as among the training windows."""
        drawn = torch.randint(len(self.real), (n,), generator=torch.Generator().manual_seed(seed))
        return self.real_labels[drawn].cpu().numpy()

    def snapshot_windows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return steps (frames,) and windows (frames, ``SNAPSHOT_WINDOWS``, samples) of the same z at each."""
        return np.array(list(self.snapshots)), torch.stack(list(self.snapshots.values())).numpy()

    def history_columns(self) -> dict[str, np.ndarray]:
        """Return the history by column, each (rows,), NaN where a stage records none."""
        return {c: np.array([row.get(c, math.nan) for row in self.history]) for c in self.COLUMNS}

    def validation_scores(self) -> np.ndarray:
        """Return step and score of each validation, (validations, 2)."""
        return np.array([(row["step"], row["score"]) for row in self.validation]).reshape(-1, 2)
