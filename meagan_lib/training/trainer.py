"""The loop of every training, and the adversarial step in it (thesis 1.3.3, Algorithm 1).

A trainer knows no model: it is given networks, real windows and a function that judges samples on validation data.
"""

import copy
import csv
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from meagan_lib import InputError, choose, did_you_mean
from meagan_lib.training import losses
from meagan_lib.workflow.files import atomic, write_json
from meagan_lib.workflow.imports import sources_hash

Module = TypeVar("Module", bound=nn.Module)


def seeded(build: Callable[[], Module], seed: int) -> Module:
    """Build a network whose initial weights depend on ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


SCHEDULES = ("constant", "step", "cosine", "plateau")
OPTIMISERS = ("adam", "sgd")
LABELLED = ("minimax", "non_saturating")
"""Losses that compare with labels, which can be soft or flipped."""


@dataclass(frozen=True)
class TrainingConfig:
    """What every training run has: its budget, the average of weights, the looks, the files."""

    seed: int = 0
    steps: int = 4000
    batch_size: int = 64
    final_rate_fraction: float = 0.05
    """Share of its first value to which a cosine takes a rate."""
    clip_gradient: float = 0.0
    """Largest norm of a network's gradient; 0: no limit."""
    patience: int = 0
    """Looks at the validation score without a gain after which training stops early; 0: never."""
    ema: float = 0.998
    """Decay of the moving average of the generator's weights, which is what samples are drawn from."""
    validate_every: int = 400
    """Steps between two looks at the validation score, which picks the weights that are kept, among the looks of the
    second half: a score is noisy, and among many looks an early one may win by luck."""
    snapshots: int = 25
    """Steps, from the first to the last, at which windows of the same few z are kept."""
    log_every: int = 20
    checkpoint_every: int = 400
    device: str = "cpu"
    """Where the networks are trained: a name of torch, such as ``cuda``. What is drawn and what is kept is on the CPU,
    which alone promises the same bits twice."""


@dataclass(frozen=True)
class GeneratorConfig(TrainingConfig):
    """A training with a network out of ``models.transformer_gan``, the generator of a GAN or the decoder of a VAE."""

    generator: str = "transformer"
    """``transformer`` or ``convolutional``."""
    latent: int = 64
    """Numbers in z."""
    patch: int = 8
    """Samples that one token of the generator becomes."""
    width: int = 64
    """Numbers of a token."""
    depth: int = 3
    """Transformer blocks of the generator."""
    heads: int = 4
    """Heads of its attention."""
    positions: str = "sinusoidal"
    """``sinusoidal`` or ``learned``."""
    on_gaussian: bool = True
    """Whether the generator adds to a draw from the Gaussian of the training windows, or stands alone."""
    g_dropout: float = 0.0
    """Share of a layer's outputs that training leaves out at random."""
    g_batch_norm: bool = False
    """Batch normalisation, in place of layer normalisation."""


@dataclass(frozen=True)
class GANConfig(GeneratorConfig):
    """The config of a GAN: the discriminator, the game, the optimisers; ``steps`` are those of the generator."""

    discriminator: str = "convolutional"
    """``convolutional`` or ``transformer``."""
    d_dropout: float = 0.0
    d_batch_norm: bool = False
    prior: str = "gaussian"
    """Where z comes from: a name of ``PRIORS``; a VAE-GAN's is Gaussian."""
    loss: str = "relativistic"
    """A name of ``losses.LOSSES``."""
    gamma: float = 0.1
    """Weight of the gradient penalties R1 (real) and R2 (generated): ½ γ E‖∇D‖²."""
    d_learning_rate: float = 1e-3
    g_learning_rate: float = 2e-4
    d_schedule: str = "cosine"
    g_schedule: str = "cosine"
    """How the rates fall: a name of ``SCHEDULES``."""
    halve_every: int = 1000
    """Steps after which the schedule ``step`` halves a rate, again and again."""
    plateau_validations: int = 2
    """Looks at the validation score without a gain after which the schedule ``plateau`` halves a rate."""
    optimiser: str = "adam"
    """``adam``, or ``sgd``: stochastic gradient descent with momentum, the original of Algorithm 1."""
    adam_betas: tuple[float, float] = (0.0, 0.9)
    momentum: float = 0.5
    d_steps: int = 1
    """k of Algorithm 1: discriminator steps before a generator step."""
    gradient_penalty: float = 0.0
    """λ of WGAN-GP: weight of E (‖∇D‖ − 1)² between real and generated windows."""
    clip_weights: float = 0.0
    """WGAN: the discriminator's weights are kept in ± this; 0: not at all."""
    smooth_labels: bool = False
    """Soft labels, real ones uniform in [0.7, 1.2], generated ones in [0, 0.3] (thesis 1.3.5)."""
    flip_labels: float = 0.0
    """Share of noisy labels: windows whose label is that of the other side."""


@dataclass(frozen=True)
class VAEGANConfig(GANConfig):
    """The config of the VAE-GAN: stage 1 trains the VAE alone, stage 2 is adversarial."""

    vae_steps: int = 1000
    """Steps of stage 1."""
    vae_learning_rate: float = 1e-3
    beta: float = 1.0
    """β: weight of the KL term in both stages; 1 is the evidence lower bound."""
    reconstruction_fraction: float = 0.25
    """Share of a batch of stage 2 that the decoder makes from encoded windows; the rest comes from the prior."""
    kl_warmup_fraction: float = 0.5
    """Share of stage 1 over which the weight of the KL term grows from 0 to 1."""
    feature_weight: float = 0.1
    """λ: weight of feature matching between windows and their reconstructions in stage 2."""
    encoder_rate_fraction: float = 0.1
    """The encoder's learning rate in stage 2, as a share of the generator's."""


Config = TypeVar("Config", bound=TrainingConfig)


def build_config(kind: type[Config], **fields: object) -> Config:
    """A config of the ``kind``, such as :class:`GANConfig`, of the fields that are given.

    Raises
    ------
    InputError
        A field that is not known, with the nearest that is, or one of another type.
    """
    known = {f.name: f for f in dataclasses.fields(kind)}
    for name, value in fields.items():
        if name not in known:
            raise InputError(
                f"'{name}' is no option of {kind.__name__}{did_you_mean(name, known)}; "
                f"{kind.__module__.replace('.', '/')}.py lists them"
            )
        default = known[name].default
        if isinstance(default, tuple) and isinstance(value, list):
            fields[name] = tuple(value)
        elif isinstance(default, bool) != isinstance(value, bool) or not isinstance(
            value, (int, float) if isinstance(default, float) else type(default)
        ):
            raise InputError(f"option {name} is {value!r}, but must be like {default!r}")
    return kind(**fields)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within, ``network`` lets gradients through but gathers none: the other player is at turn."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


PRIORS = ("gaussian", "uniform", "correlated")


def prior(name: str, n: int, latent: int, rng: torch.Generator) -> Tensor:
    """Latent vectors (n, latent) with mean 0 and variance 1 (thesis 1.3.5).

    ``gaussian``: z ~ N(0, I). ``uniform``: each number uniform in ± √3. ``correlated``: z ~ N(0, C) with
    C_ij = ½^|i − j|.
    """
    if name == "uniform":
        return (2 * torch.rand(n, latent, generator=rng) - 1) * math.sqrt(3)
    z = torch.randn(n, latent, generator=rng)
    if name == "correlated":
        i = torch.arange(latent)
        z = z @ torch.linalg.cholesky(0.5 ** (i[:, None] - i).abs().float()).T
    return z


@torch.no_grad()
def generate(
    generator: nn.Module,
    n: int,
    rng: torch.Generator,
    batch: int = 500,
    of: str = "gaussian",
    labels: Tensor | None = None,
) -> np.ndarray:
    """Windows float32 (n, samples) of a generator fed with z of a prior, and with labels (n,) where it has classes."""
    device = next(generator.parameters()).device
    z = (prior(of, n, generator.latent, rng), *([] if labels is None else [labels]))
    return torch.cat([generator(*part).cpu() for part in zip(*(t.to(device).split(batch) for t in z))]).numpy()


def latent_path(name: str, ends: Tensor, steps: int) -> Tensor:
    """Latent vectors (steps, latent) on the way between two draws of a prior, ``ends`` (2, latent).

    Along an arc, z₀ cos θ + z₁ sin θ, every vector is again a draw of a Gaussian prior; of a uniform one it is a
    straight line that stays in the cube.
    """
    if name == "uniform":
        share = torch.linspace(0, 1, steps)
        return torch.stack([1 - share, share], dim=1) @ ends
    angle = torch.linspace(0, math.pi / 2, steps)
    return torch.stack([angle.cos(), angle.sin()], dim=1) @ ends


def usable(device: str) -> torch.device:
    """The device of that name.

    Raises
    ------
    InputError
        There is none here.
    """
    try:
        return torch.zeros((), device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"device '{device}' cannot be used here: choose cpu") from error


FILMED = 5
"""Latent vectors whose windows are kept while training goes on."""


def _state_hash(tensors: dict[str, Tensor]) -> str:
    digest = sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Trainer:
    """Train the network that makes windows: the loop, the average of its weights, looks, samples and files.

    What a step is, a subclass says: :class:`GANTrainer` plays a game.

    Parameters
    ----------
    generator
        z (batch, latent) → windows (batch, samples); has ``latent``.
    real
        Training windows float32 (n, samples), as z-scores.
    config
        The config.
    validate
        Judges generated windows (m, samples): lower is better. Sees validation data, never test data; ``digest`` tells
        them from others, so that no training that other windows chose is taken for this one
        (:class:`meagan_lib.evaluation.metrics.Validation`).
    folder
        Where ``model.safetensors``, ``config.json``, ``history.csv``, ``cost.json`` and ``checkpoint.pt`` appear. A
        checkpoint of the very same run found there is resumed, and ends in the same bits as an undisturbed run.
    n_validate
        Windows that ``validate`` is given.
    labels
        Of the windows, int (n,) from 0: the networks are told them as a second argument. None: they have no classes.
    """

    COLUMNS: tuple[str, ...] = ("step",)

    def __init__(
        self,
        generator: nn.Module,
        real: np.ndarray,
        config: TrainingConfig,
        validate: Callable[[np.ndarray], float] | None = None,
        folder: Path | None = None,
        n_validate: int = 1000,
        labels: np.ndarray | None = None,
    ):
        self.generator, self.config, self.device = generator, config, usable(config.device)
        for network in self.networks().values():
            network.to(self.device)
        self.real = torch.from_numpy(np.ascontiguousarray(real, dtype=np.float32)).to(self.device)
        self.real_labels = (
            None if labels is None else torch.from_numpy(np.asarray(labels, dtype=np.int64)).to(self.device)
        )
        self.validate, self.folder, self.n_validate = validate, folder, n_validate
        self.ema = copy.deepcopy(generator).requires_grad_(False).eval()
        self.best, self.best_score, self.best_step = copy.deepcopy(generator.state_dict()), math.inf, 0
        self.best_companions: dict[str, dict[str, Tensor]] = {}
        self.rng = torch.Generator().manual_seed(config.seed)
        self.step, self.seconds = 0, 0.0
        self.history: list[dict[str, float]] = []
        self.validation: list[dict[str, float]] = []
        self.snapshots: dict[int, Tensor] = {}
        self.optimisers = self._optimisers()

    # What a subclass replaces.

    def train_step(self) -> dict[str, float]:
        """One step of training; returns what the history records."""
        raise NotImplementedError

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimisers by name; one updates parameters that no other has."""
        raise NotImplementedError

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.config.steps

    @property
    def stage_step(self) -> int:
        """Steps done of the stage that samples come from: the last, where there are several."""
        return self.step

    @property
    def prior(self) -> str:
        """Where z comes from: a name of ``PRIORS``."""
        return "gaussian"

    def networks(self) -> dict[str, nn.Module]:
        """Everything that is trained, by name."""
        return {"generator": self.generator}

    def companions(self) -> dict[str, nn.Module]:
        """Networks that are kept with the generator, as they are at the step that validation chooses."""
        return {}

    # The loop.

    def train(self, *callbacks: Callable[["Trainer"], None]) -> None:
        """Run to the last step, resuming a checkpoint of the same run; write the results to ``folder``.

        Every callback is given the trainer after every step: ``step``, ``history`` and all else can be looked at.

        Raises
        ------
        InputError
            When the loss is no longer finite: the step, and what to try.
        """
        self._fingerprint = self._describe()
        with torch.random.fork_rng(devices=[]):  # dropout draws from torch's own generator
            torch.manual_seed(self.config.seed)
            self._resume()
            self._started = time.process_time() - self.seconds
            self._keep_snapshots()
            self._loop(callbacks)
        if self.validate is None:
            self._keep(self.ema_generator())
        if self.folder:
            self._save_results()

    def _loop(self, callbacks: tuple[Callable[["Trainer"], None], ...]) -> None:
        while self.step < self.total_steps and not self.out_of_patience():
            row = self.train_step()
            self.step += 1
            if broken := [name for name, value in row.items() if not math.isfinite(value)]:
                kept = ""
                if self.folder and self.best_step:
                    self._save_results()
                    kept = f"; the weights of step {self.best_step} are kept"
                raise InputError(
                    f"training diverged at step {self.step}: {broken[0]} is no longer finite; lower the learning rates, "
                    f"raise gamma or set clip_gradient{kept}"
                )
            if self.step % self.config.log_every == 0 or self.step == self.total_steps:
                self.history.append({"step": self.step} | row)
            self._keep_snapshots()
            last = self.step == self.total_steps
            if self.validate and self.stage_step and (self.step % self.config.validate_every == 0 or last):
                self._keep_if_better()
            if self.folder and (self.step % self.config.checkpoint_every == 0 or last or self.out_of_patience()):
                self._save_checkpoint()
            for callback in callbacks:
                callback(self)

    def best_generator(self) -> nn.Module:
        """The generator with the weights that validation chose."""
        model = copy.deepcopy(self.ema).cpu()
        model.load_state_dict(self.best)
        return model

    def sample(self, n: int, seed: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples), as z-scores, from the weights that validation chose.

        ``labels`` (n,) of the windows, where there are classes; by default :meth:`draw_labels`.
        """
        if labels is None and self.real_labels is not None:
            labels = self.draw_labels(n, seed)
        labels = None if labels is None else torch.from_numpy(np.asarray(labels, dtype=np.int64))
        rng = torch.Generator().manual_seed(seed)
        return generate(self.best_generator(), n, rng, of=self.prior, labels=labels)

    def draw_labels(self, n: int, seed: int = 0) -> np.ndarray:
        """Labels (n,) as often as among the training windows."""
        drawn = torch.randint(len(self.real), (n,), generator=torch.Generator().manual_seed(seed))
        return self.real_labels[drawn].cpu().numpy()

    def snapshot_windows(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps (frames,) and windows (frames, ``FILMED``, samples) of the same z, as training went on."""
        return np.array(list(self.snapshots)), torch.stack(list(self.snapshots.values())).numpy()

    def history_columns(self) -> dict[str, np.ndarray]:
        """The history by column, each (rows,), NaN where a stage records none."""
        return {c: np.array([row.get(c, math.nan) for row in self.history]) for c in self.COLUMNS}

    def validation_scores(self) -> np.ndarray:
        """Step and score of each look at the validation data, (looks, 2)."""
        return np.array([(look["step"], look["score"]) for look in self.validation]).reshape(-1, 2)

    # Draws: all from one generator, whose state the checkpoint keeps.

    def latent(self, n: int) -> Tensor:
        """z of the prior, (n, latent)."""
        return prior(self.prior, n, self.generator.latent, self.rng).to(self.device)

    def real_batch(self) -> tuple[Tensor, ...]:
        """Training windows (batch, samples), drawn with replacement, and their labels (batch,) where there are any."""
        drawn = torch.randint(len(self.real), (self.config.batch_size,), generator=self.rng)
        return (self.real[drawn],) if self.real_labels is None else (self.real[drawn], self.real_labels[drawn])

    def _descend(self, loss: Tensor, name: str) -> float:
        self.optimisers[name].zero_grad(set_to_none=True)
        loss.backward()
        return self._update(name)

    def _update(self, name: str) -> float:
        """Step one optimiser, its gradient clipped where asked; returns the gradient's norm."""
        parameters = [p for group in self.optimisers[name].param_groups for p in group["params"] if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters])
        if self.config.clip_gradient:
            nn.utils.clip_grads_with_norm_(parameters, self.config.clip_gradient, norm)
        self.optimisers[name].step()
        return norm.item()

    def looks_without_gain(self) -> int:
        """Looks at the validation score since the best one."""
        scores = [look["score"] for look in self.validation]
        return len(scores) - 1 - int(np.argmin(scores)) if scores else 0

    def out_of_patience(self) -> bool:
        """Whether ``patience`` looks have brought no gain."""
        return 0 < self.config.patience <= self.looks_without_gain()

    def update_ema(self) -> None:
        """average ← m · average + (1 − m) · generator; m grows to ``ema``, so that the start is soon forgotten."""
        t = self.stage_step + 1
        decay = min(self.config.ema, (1 + t) / (10 + t))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.generator.parameters()), 1 - decay)
            for mine, its in zip(self.ema.buffers(), self.generator.buffers()):  # of batch normalisation
                mine.copy_(its)

    def _cosine(self, step: int, steps: int) -> float:
        """Share of the first learning rate at a step: from 1 along half a cosine to ``final_rate_fraction``."""
        low = self.config.final_rate_fraction
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))

    def _keep_if_better(self) -> None:
        settled = self.ema_generator()
        score = float(self.validate(self._draw(settled, self.n_validate, self.config.seed + 1)))
        self.validation.append({"step": self.step, "score": score})
        late = self.stage_step >= self.config.steps / 2 or self.config.patience
        if late and score < self.best_score:
            self.best_score = score
            self._keep(settled)

    def _keep(self, generator: nn.Module) -> None:
        self.best, self.best_step = generator.state_dict(), self.step
        self.best_companions = {name: copy.deepcopy(n.state_dict()) for name, n in self.companions().items()}

    def _draw(self, model: nn.Module, n: int, seed: int) -> np.ndarray:
        """Windows (n, samples) of a generator, with labels as often as among the training windows."""
        labels = None if self.real_labels is None else torch.from_numpy(self.draw_labels(n, seed))
        return generate(model, n, torch.Generator().manual_seed(seed), of=self.prior, labels=labels)

    def ema_generator(self) -> nn.Module:
        """The average as it is now."""
        return copy.deepcopy(self.ema).cpu()

    def _keep_snapshots(self) -> None:
        """Keep a frame at adversarial steps that lie ever further apart: steps · (i / (frames − 1))²."""
        frames = max(self.config.snapshots, 2)
        if self.stage_step in {round(self.config.steps * (i / (frames - 1)) ** 2) for i in range(frames)}:
            if self.stage_step not in self.snapshots:
                made = self._draw(self.ema, FILMED, self.config.seed + 2)
                self.snapshots[self.stage_step] = torch.from_numpy(made)

    def _look_at_the_clock(self) -> None:
        """Note the CPU time of training so far, that of earlier parts of an interrupted run included."""
        self.seconds = time.process_time() - self._started

    # Files.

    def _describe(self) -> dict:
        """Everything that the bits of this run depend on."""
        used = {type(self).__module__, *(type(network).__module__ for network in self.networks().values())}
        if self.validate is not None:
            used.add(type(self.validate).__module__)
        return {
            "config": asdict(self.config),
            "start": {name: _state_hash(network.state_dict()) for name, network in self.networks().items()},
            "data": sha256(self.real.cpu().numpy().tobytes() + self._label_bytes()).hexdigest(),
            "validated_by": None if self.validate is None else self.validate.digest,
            "sources": sources_hash(used),
            "torch": torch.__version__,
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
        }

    def _label_bytes(self) -> bytes:
        return b"" if self.real_labels is None else self.real_labels.cpu().numpy().tobytes()

    def _save_checkpoint(self) -> None:
        self._look_at_the_clock()
        state = {
            "fingerprint": json.dumps(self._fingerprint, sort_keys=True),
            "step": self.step,
            "seconds": self.seconds,
            "rng": self.rng.get_state(),
            "networks": {name: network.state_dict() for name, network in self.networks().items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "average": self.ema.state_dict(),
            "best": self.best,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "history": self.history,
            "validation": self.validation,
            "snapshots": self.snapshots,
            "dropout": torch.get_rng_state(),
            "best_companions": self.best_companions,
        } | self._more_state()
        with atomic(self.folder / "checkpoint.pt") as temporary:
            torch.save(state, temporary)

    def _resume(self) -> None:
        path = self.folder and self.folder / "checkpoint.pt"
        if not path or not path.is_file():
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["fingerprint"] != json.dumps(self._fingerprint, sort_keys=True):
                return
        except Exception:  # a checkpoint of another version or a damaged one: start anew
            return
        for name, network in self.networks().items():
            network.load_state_dict(state["networks"][name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.ema.load_state_dict(state["average"])
        self.rng.set_state(state["rng"])
        torch.set_rng_state(state["dropout"])
        kept = (
            "step",
            "seconds",
            "best",
            "best_score",
            "best_step",
            "best_companions",
            "history",
            "validation",
            "snapshots",
        )
        for name in (*kept, *self._more_state()):
            setattr(self, name, state[name])

    def _more_state(self) -> dict[str, object]:
        """Attributes by name that a checkpoint of a subclass keeps besides."""
        return {}

    def _save_results(self) -> None:
        with atomic(self.folder / "model.safetensors") as temporary:
            save_file({name: tensor.cpu().contiguous() for name, tensor in self.best.items()}, temporary)
        for name, state in self.best_companions.items():
            with atomic(self.folder / f"{name}.safetensors") as temporary:
                save_file({key: tensor.cpu().contiguous() for key, tensor in state.items()}, temporary)
        write_json(
            self.folder / "config.json",
            self._fingerprint | {"best_step": self.best_step, "validation": self.validation},
        )
        self._look_at_the_clock()
        write_json(self.folder / "cost.json", cost(self))
        with atomic(self.folder / "history.csv") as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, self.COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(self.history)


def n_parameters(*networks: nn.Module) -> int:
    """Numbers that were fitted in ``networks``, each counted once: weights, the Gaussian that a network stands on, and
    the running means and variances of batch normalisation.

    Mean and colouring W (samples, k) are counted as mean and covariance of rank k: samples + samples · k − k (k − 1)/2.
    """
    modules = {id(m): m for network in networks for m in network.modules()}.values()
    count = sum(p.numel() for p in {id(p): p for m in modules for p in m.parameters(recurse=False)}.values())
    for module in modules:
        own = dict(module.named_buffers(recurse=False))
        count += sum(own[name].numel() for name in ("mean", "running_mean", "running_var") if own.get(name) is not None)
        if "colouring" in own:
            samples, k = own["colouring"].shape
            k = min(samples, k)
            count += samples * k - k * (k - 1) // 2
    return count


def cost(trainer: Trainer) -> dict[str, float]:
    """What a training took.

    ``parameters`` that were fitted, of the network that makes windows, ``trained`` those of all networks, ``steps``,
    training ``windows`` shown, repeats counted, ``seconds`` of CPU time with all looks at the validation score, and
    ``threads``.
    """
    return {
        "parameters": n_parameters(trainer.generator),
        "trained": n_parameters(*trainer.networks().values()),
        "steps": trainer.step,
        "windows": trainer.step * trainer.config.batch_size,
        "seconds": round(trainer.seconds, 1),
        "threads": torch.get_num_threads(),
    }


class GANTrainer(Trainer):
    """Train a generator against a discriminator, windows (batch, samples) → logits (batch,).

    Parameters as for :class:`Trainer`; both players are told the labels.
    """

    COLUMNS = (
        "step",
        "d_loss",
        "g_loss",
        "d_real",
        "d_fake",
        "penalty",
        "d_gradient",
        "g_gradient",
        "d_learning_rate",
        "g_learning_rate",
    )

    def __init__(self, generator: nn.Module, discriminator: nn.Module, real: np.ndarray, config: GANConfig, **options):
        for what, value, known in (
            ("loss", config.loss, losses.LOSSES),
            ("optimiser", config.optimiser, OPTIMISERS),
            ("prior", config.prior, PRIORS),
            ("d_schedule", config.d_schedule, SCHEDULES),
            ("g_schedule", config.g_schedule, SCHEDULES),
        ):
            choose(what, value, known)
        if (config.smooth_labels or config.flip_labels) and config.loss not in LABELLED:
            raise InputError(
                f"the loss {config.loss} knows no labels to smooth or flip: choose one of {', '.join(LABELLED)}"
            )
        self.discriminator, self.loss = discriminator, losses.LOSSES[config.loss]
        super().__init__(generator, real, config, **options)

    @property
    def prior(self) -> str:
        """Where z comes from: a name of ``PRIORS``."""
        return self.config.prior

    def networks(self) -> dict[str, nn.Module]:
        """Both players."""
        return super().networks() | {"discriminator": self.discriminator}

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        c = self.config
        return {
            "d": self._optimiser(self.discriminator, c.d_learning_rate),
            "g": self._optimiser(self.generator, c.g_learning_rate),
        }

    def _optimiser(self, network: nn.Module, rate: float) -> torch.optim.Optimizer:
        c = self.config
        if c.optimiser == "sgd":
            return torch.optim.SGD(network.parameters(), rate, c.momentum, fused=True)
        return torch.optim.Adam(network.parameters(), rate, c.adam_betas, fused=True)

    def train_step(self) -> dict[str, float]:
        """``d_steps`` discriminator steps, then one generator step; returns what the history records."""
        self._set_rates(self.step)
        for _ in range(self.config.d_steps):
            real, *label = self.real_batch()
            with torch.no_grad():
                fake = self.generator(self.latent(len(real)), *label)
            row = self.discriminator_step(real, fake, *label)
        return row | self.generator_step(*self.real_batch())

    # The two players.

    def discriminator_step(self, real: Tensor, fake: Tensor, *label: Tensor) -> dict[str, float]:
        """Descend the discriminator's loss + ½ γ (R1 + R2) + λ · gradient penalty.

        Real and fake (batch, samples) share their labels (batch,), where there are any.
        """
        c, gamma = self.config, self.config.gamma
        both = torch.cat([real, fake]).requires_grad_(gamma > 0)
        logits = self.discriminator(both, *(torch.cat([y, y]) for y in label))
        on_real, on_fake = logits.split([len(real), len(fake)])
        loss = self.loss.discriminator(on_real, on_fake, *self.labels(len(real), len(fake)))
        penalty = torch.zeros((), device=self.device)
        if gamma > 0:  # one pass for both: the mean over the joint batch is half of R1 + R2
            penalty = 2 * losses.squared_gradient_norm(logits, both)
        total = loss + 0.5 * gamma * penalty
        if c.gradient_penalty:
            share = torch.rand(len(real), 1, generator=self.rng).to(self.device)
            between = losses.gradient_penalty(lambda x: self.discriminator(x, *label), real, fake, share)
            penalty, total = penalty + between, total + c.gradient_penalty * between
        norm = self._descend(total, "d")
        if c.clip_weights:
            with torch.no_grad():
                for p in self.discriminator.parameters():
                    p.clamp_(-c.clip_weights, c.clip_weights)
        return {
            "d_loss": loss.item(),
            "penalty": penalty.item(),
            "d_gradient": norm,
            **{f"{name}_learning_rate": self.optimisers[name].param_groups[0]["lr"] for name in ("d", "g")},
            "d_real": torch.sigmoid(on_real).mean().item(),
            "d_fake": torch.sigmoid(on_fake).mean().item(),
        }

    def generator_step(self, real: Tensor, *label: Tensor) -> dict[str, float]:
        """Descend the generator's loss, then move the average."""
        fake = self.generator(self.latent(len(real)), *label)
        with frozen(self.discriminator):
            logits = self.discriminator(torch.cat([real, fake]), *(torch.cat([y, y]) for y in label))
            on_real, on_fake = logits.split([len(real), len(fake)])
            loss = self.loss.generator(on_real.detach(), on_fake)
            norm = self._descend(loss, "g")
        self.update_ema()
        return {"g_loss": loss.item(), "g_gradient": norm}

    def labels(self, n_real: int, n_fake: int) -> tuple[Tensor, ...]:
        """Labels (n_real,) and (n_fake,) for the discriminator; none where they are plainly 1 and 0."""
        c = self.config
        if not (c.smooth_labels or c.flip_labels):
            return ()
        uniform = torch.rand(n_real + n_fake, generator=self.rng).split([n_real, n_fake])
        ones, zeros = torch.ones(n_real), torch.zeros(n_fake)
        if c.smooth_labels:
            ones, zeros = 0.7 + 0.5 * uniform[0], 0.3 * uniform[1]
        flip = torch.rand(n_real + n_fake, generator=self.rng).lt(c.flip_labels).split([n_real, n_fake])
        labels = torch.where(flip[0], 1 - ones, ones), torch.where(flip[1], 1 - zeros, zeros)
        return tuple(label.to(self.device) for label in labels)

    def _plateau(self) -> float:
        """Share of a rate that is halved whenever ``plateau_validations`` looks have brought no gain."""
        best, waited, share = math.inf, 0, 1.0
        for look in self.validation:
            best, waited = (look["score"], 0) if look["score"] < best else (best, waited + 1)
            if waited == self.config.plateau_validations:
                share, waited = share / 2, 0
        return share

    def _set_rates(self, step: int) -> None:
        c = self.config
        shares = {
            "constant": lambda: 1.0,
            "step": lambda: 0.5 ** (step // c.halve_every),
            "cosine": lambda: self._cosine(step, c.steps),
            "plateau": self._plateau,
        }
        for name, first, schedule in (("d", c.d_learning_rate, c.d_schedule), ("g", c.g_learning_rate, c.g_schedule)):
            for group in self.optimisers[name].param_groups:
                group["lr"] = first * shares[schedule]()


def elbo_step(trainer: Trainer, steps: int, learning_rate: float, x: Tensor, *label: Tensor) -> dict[str, float]:
    """One of ``steps`` that descend −ELBO = −E log p(x|z) + w β KL(q(z|x) ‖ p(z)) on windows (batch, samples).

    w grows from 0 to 1, and the learning rate falls along a cosine. The trainer has ``vae`` and ``reparameterise`` as
    those of :class:`VAEGANTrainer`.
    """
    c = trainer.config
    warmup = min(1.0, (trainer.step + 1) / max(c.kl_warmup_fraction * steps, 1))
    for group in trainer.optimisers["vae"].param_groups:
        group["lr"] = learning_rate * trainer._cosine(trainer.step, steps)
    mu, log_variance = trainer.vae.encoder(x, *label)
    mean = trainer.vae.decoder(trainer.reparameterise(mu, log_variance, trainer.rng), *label)
    nll = losses.gaussian_nll(x, mean, trainer.vae.log_noise)
    kl = losses.gaussian_kl(mu, log_variance)
    trainer._descend(nll + warmup * c.beta * kl, "vae")
    return {"nll": nll.item(), "kl": kl.item(), "noise": trainer.vae.log_noise.exp().item()}


class VAEGANTrainer(GANTrainer):
    """Train a VAE-GAN through the same loop: stage 1 the VAE alone, stage 2 against the discriminator.

    Stage 1 descends −ELBO = −E log p(x|z) + w β KL(q(z|x) ‖ p(z)) (thesis 1.4.1), w growing from 0 to 1.
    Stage 2: the discriminator sees real windows against reconstructions and prior samples; the decoder descends the
    adversarial loss + λ · feature matching, the encoder β KL + feature matching at a lower rate.

    Parameters
    ----------
    vae
        ``models.vae_gan.VAE``: encoder, decoder, ``log_noise``.
    reparameterise
        (μ, log σ², generator) → z.
    discriminator
        D(x) = ``judge(features(x))``.
    """

    COLUMNS = GANTrainer.COLUMNS + ("nll", "kl", "noise", "feature_loss")

    def __init__(
        self,
        vae: nn.Module,
        reparameterise: Callable[..., Tensor],
        discriminator: nn.Module,
        real: np.ndarray,
        config: VAEGANConfig,
        **options,
    ):
        if config.prior != "gaussian":
            raise InputError(f"the prior of a VAE-GAN is Gaussian, for its KL term says so: '{config.prior}' cannot be")
        if config.steps < 1:
            raise InputError("steps is 0: samples come from the adversarial stage, so it needs at least one step")
        self.vae, self.reparameterise = vae, reparameterise
        self.pretrained: dict[str, Tensor] = {}
        super().__init__(vae.decoder, discriminator, real, config, **options)

    @property
    def total_steps(self) -> int:
        """Steps of both stages."""
        return self.config.vae_steps + self.config.steps

    @property
    def stage_step(self) -> int:
        """Steps of stage 2 done."""
        return max(self.step - self.config.vae_steps, 0)

    def networks(self) -> dict[str, nn.Module]:
        """The VAE, whose decoder is the generator, and the discriminator."""
        return {"vae": self.vae, "discriminator": self.discriminator}

    def companions(self) -> dict[str, nn.Module]:
        """The encoder."""
        return {"encoder": self.vae.encoder}

    def best_vae(self) -> nn.Module:
        """The VAE with the decoder that validation chose and the encoder of that step."""
        vae = copy.deepcopy(self.vae).cpu().eval()
        vae.decoder.load_state_dict(self.best)
        vae.encoder.load_state_dict(self.best_companions["encoder"])
        return vae

    def pretrained_vae(self) -> nn.Module:
        """The VAE as stage 1 left it."""
        vae = copy.deepcopy(self.vae).cpu().eval()
        vae.load_state_dict(self.pretrained)
        return vae

    def _more_state(self) -> dict[str, object]:
        return {"pretrained": self.pretrained}

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        c = self.config
        encoder = self._optimiser(self.vae.encoder, c.g_learning_rate * c.encoder_rate_fraction)
        return super()._optimisers() | {
            "vae": torch.optim.Adam(self.vae.parameters(), c.vae_learning_rate, fused=True),
            "encoder": encoder,
        }

    def train_step(self) -> dict[str, float]:
        """One step of the stage that the run is in."""
        if self.step < self.config.vae_steps:
            return self.vae_step(*self.real_batch())
        if self.stage_step == 0:
            self.ema.load_state_dict(self.generator.state_dict())
            self.pretrained = copy.deepcopy(self.vae.state_dict())
        self._set_rates(self.stage_step)
        for _ in range(self.config.d_steps):
            real, *label = self.real_batch()
            with torch.no_grad():
                fake = self.generator(self.mixed_latent(real, *label)[0], *label)
            row = self.discriminator_step(real, fake, *label)
        return row | self.generator_step(*self.real_batch())

    def vae_step(self, x: Tensor, *label: Tensor) -> dict[str, float]:
        """Stage 1: descend −ELBO on windows (batch, samples)."""
        return elbo_step(self, self.config.vae_steps, self.config.vae_learning_rate, x, *label)

    def mixed_latent(self, x: Tensor, *label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z of the reconstructions in a batch, then of its prior samples; and μ, log σ² of the former."""
        n = max(round(self.config.reconstruction_fraction * len(x)), 1)
        mu, log_variance = self.vae.encoder(x[:n], *(y[:n] for y in label))
        z = torch.cat([self.reparameterise(mu, log_variance, self.rng), self.latent(len(x) - n)])
        return z, mu, log_variance

    def generator_step(self, real: Tensor, *label: Tensor) -> dict[str, float]:
        """Descend the decoder's and the encoder's losses, each its own, then move the average."""
        z, mu, log_variance = self.mixed_latent(real, *label)
        fake, n = self.generator(z, *label), len(mu)
        with frozen(self.discriminator):
            features = self.discriminator.features(torch.cat([real, fake]))
            of_real, of_fake = features.split([len(real), len(fake)])
            on_real, on_fake = (self.discriminator.judge(f, *label) for f in (of_real.detach(), of_fake))
            adversarial = self.loss.generator(on_real, on_fake)
            matching = losses.feature_matching(of_real[:n].detach(), of_fake[:n])
            kl = losses.gaussian_kl(mu, log_variance)
            self._assign_gradients("encoder", self.config.beta * kl + matching, retain_graph=True)
            self._assign_gradients("g", adversarial + self.config.feature_weight * matching)
        norms = {name: self._update(name) for name in ("encoder", "g")}
        self.update_ema()
        return {
            "g_loss": adversarial.item(),
            "g_gradient": norms["g"],
            "feature_loss": matching.item(),
            "kl": kl.item(),
        }

    def _assign_gradients(self, name: str, loss: Tensor, retain_graph: bool = False) -> None:
        """Give the parameters of one optimiser, and no others, the gradient of ``loss``."""
        parameters = [p for group in self.optimisers[name].param_groups for p in group["params"]]
        for p, gradient in zip(parameters, torch.autograd.grad(loss, parameters, retain_graph=retain_graph)):
            p.grad = gradient
