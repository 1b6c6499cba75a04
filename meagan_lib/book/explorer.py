"""The latent explorer: a trained generator whose latent numbers a reader moves, in the book and in JupyterLab.

For the book the networks become ONNX, which onnxruntime-web computes in the reader's own browser: the page loads its
scripts from beside itself and asks no server for anything.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import ipywidgets
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from meagan_lib import InputError, plots
from meagan_lib.book.scripts import as_text, write_script
from meagan_lib.experiments.benchmark import THESIS
from meagan_lib.experiments.fitting import training_data
from meagan_lib.models.exporting import onnx_bytes
from meagan_lib.models.gan import GANConfig
from meagan_lib.models.generators import WindowGenerator, build_generator
from meagan_lib.models.vae_gan import Encoder, VAEGANConfig, build_vae
from meagan_lib.training import priors
from meagan_lib.training.trainer import build_config
from meagan_lib.windows.features import shape_features
from meagan_lib.windows.normalisation import fit_normalisation
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import RESULTS
from meagan_lib.workflow.files import read_parameters

REAL = 200
"""Held-out real windows that go with an explorer."""
DIRECTIONS = 6
"""Latent directions that have a slider."""
CHANGES = {
    "trough": ("shallower", "deeper"),
    "half_width_ms": ("wider", "narrower"),
    "trough_to_peak_ms": ("slower to recover", "faster to recover"),
    "afterwards": ("higher afterwards", "lower afterwards"),
    "at": ("later", "earlier"),
}
"""What it is called when a feature of the shape grows, and when it shrinks."""


@dataclass(frozen=True)
class Explorable:
    """A trained generator, and what it takes to move about in its latent space.

    ``generator``: z (1, latent) → window (1, samples), with a label where it was trained with ``classes``, which say
    what each label stands for. ``encoder``: window → μ, log σ²; None for a model without, and for one of footprints, of
    which the own electrode is shown and only all together can be encoded. The networks see x' of
    x = ``centre`` + ``scale`` · x'. ``directions`` and ``fractions`` are :func:`leading_directions`, and ``meanings``
    says in words what each changes.
    """

    model: str
    generator: WindowGenerator
    encoder: Encoder | None
    centre: float
    scale: float
    prior: str
    classes: list[str]
    directions: np.ndarray
    fractions: np.ndarray
    meanings: list[str] = field(default_factory=list)

    def title(self, i: int) -> str:
        """Return what the slider of direction ``i`` is called."""
        meaning = self.meanings[i] if self.meanings else f"direction {i + 1}"
        return f"{i + 1} · {meaning} ({self.fractions[i]:.0%} of the change)".replace("%", " %")

    def label(self, of: int) -> tuple[Tensor, ...]:
        """Return the label as an argument of the networks, where there are classes."""
        return (torch.tensor([of]),) if self.classes else ()

    @torch.no_grad()
    def window(self, z: np.ndarray, label: int = 0) -> np.ndarray:
        """Return the window float32 (samples,) of one z (latent,), on its own electrode, in the amplitude unit."""
        made = self.generator(torch.from_numpy(np.asarray(z, np.float32))[None], *self.label(label))
        return self.centre + self.scale * made[0, : self.generator.samples // self.generator.electrodes].numpy()

    @torch.no_grad()
    def encoded(self, window: np.ndarray, label: int = 0) -> np.ndarray:
        """Return the encoder's mean μ float32 (latent,) for a window (samples,) in the amplitude unit."""
        scaled = torch.from_numpy(((window - self.centre) / self.scale).astype(np.float32))[None]
        return self.encoder(scaled, *self.label(label))[0][0].numpy()


def available(run: str) -> list[str]:
    """Models of a run whose weights are there."""
    return [model for model in THESIS if (RESULTS / run / model / "model.safetensors").is_file()]


def load(run: str, model: str, windows: SpikeWindows) -> Explorable:
    """Load a model that is available in a run as it was trained, from its config and its weights.

    ``InputError``: weights that do not fit their config.
    """
    folder = RESULTS / run / model
    fields = json.loads((folder / "config.json").read_text())["config"]
    given = read_parameters(RESULTS / run / "params" / f"{THESIS[model]}.yaml")
    named, condition = given.get("normalisation", "z_score"), given.get("condition", "")
    data, encoder = training_data(windows, named, condition), None
    try:
        if model == "vae_gan":
            vae = build_vae(build_config(VAEGANConfig, **fields), data)
            generator, encoder = vae.decoder, vae.encoder.eval()
            encoder.load_state_dict(load_file(folder / "encoder.safetensors"))
            encoder = encoder if windows.electrodes == 1 else None
        else:
            generator = build_generator(build_config(GANConfig, **fields), data)
        generator.eval().load_state_dict(load_file(folder / "model.safetensors"))
    except RuntimeError as error:
        raise InputError(f"the weights of {model} in run '{run}' do not fit its config: train it again") from error
    # Of windows that were scaled one by one, the explorer shows the typical amplitude.
    normaliser = fit_normalisation(named, windows.vectors_of(Split.TRAIN))
    zero, one = (float(np.mean(normaliser.inverse(np.full((1000, 1), x, np.float32)))) for x in (0, 1))
    directions, fractions = leading_directions(generator, fields["prior"], data.labels)
    classes = windows.class_names(condition) if condition else []
    found = Explorable(model, generator, encoder, zero, one - zero, fields["prior"], classes, directions, fractions)
    return replace(found, meanings=meanings(found, windows))


def meanings(e: Explorable, windows: SpikeWindows) -> list[str]:
    """Say of each direction in which two ways a window changes most along it: "deeper, wider".

    Between two standard deviations back and forth; features of the shape are counted in their standard deviations among
    held-out real windows.
    """

    def measured(of: np.ndarray) -> dict[str, np.ndarray]:
        shape = shape_features(of, windows.sampling_rate_hz)
        return shape | {"afterwards": shape["peak_to_peak"] + shape["trough"], "at": of.argmin(axis=1).astype(float)}

    spread = {name: values.std() or 1.0 for name, values in measured(held_out(windows)).items()}
    found = []
    for direction in e.directions:
        of = measured(np.stack([e.window(way * direction) for way in (-2, 2)]))
        change = {name: (of[name][1] - of[name][0]) / spread[name] for name in CHANGES}
        first, second = sorted(CHANGES, key=lambda name: -abs(change[name]))[:2]
        shown = [first, second] if abs(change[second]) > 0.5 * abs(change[first]) else [first]
        found.append(", ".join(CHANGES[name][int(change[name] < 0)] for name in shown))
    return found


@torch.no_grad()
def leading_directions(
    generator: WindowGenerator, prior: str = "gaussian", labels: np.ndarray | None = None, n: int = 8192
) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors (:data:`DIRECTIONS`, latent) along which windows change most, and the fraction of each.

    They are the left singular vectors of E[z xᵀ]. For z ~ N(0, I) that is the mean Jacobian E[∂x/∂z]ᵀ (Stein's lemma),
    whose singular values say how far a window moves; fractions are of their squares. Each points to where the trough
    deepens. Of ``n`` draws, labels are as often as in training.
    """
    rng = torch.Generator().manual_seed(0)
    z = priors.prior(prior, n, generator.latent, rng)
    inputs = [z]
    if labels is not None:
        inputs.append(torch.from_numpy(labels.astype(np.int64))[torch.randint(len(labels), (n,), generator=rng)])
    x = torch.cat([generator(*part) for part in zip(*(t.split(512) for t in inputs))])
    axes, values, windows = torch.linalg.svd((z.T @ (x - x.mean(0))).double() / n, full_matrices=False)
    trough = int(x.mean(0).argmin())
    signs = -torch.sign(windows[:, trough])
    fractions = values**2 / (values**2).sum()
    return (axes * signs).T[:DIRECTIONS].float().numpy(), fractions[:DIRECTIONS].numpy()


class _Mean(nn.Module):
    """The mean μ of an encoder, without its variance."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor, *label: Tensor) -> Tensor:
        """(1, samples) → (1, latent)."""
        return self.encoder(x, *label)[0]


class _Own(nn.Module):
    """A generator of footprints, of which the own electrode is left."""

    def __init__(self, generator: WindowGenerator):
        super().__init__()
        self.generator, self.trace = generator, generator.samples // generator.electrodes

    def forward(self, z: Tensor, *label: Tensor) -> Tensor:
        """(1, latent) → (1, trace)."""
        return self.generator(z, *label)[:, : self.trace]


def to_onnx(network: nn.Module, rows: int, label: tuple[Tensor, ...] = ()) -> bytes:
    """Export a network (1, ``rows``) → (1, ·) as an ONNX file, with a second input where it takes a ``label``."""
    return onnx_bytes(network, (torch.zeros(1, rows), *label), ["input", "label"][: 1 + len(label)])


def export(run: str, path: Path) -> None:
    """Write what the explorer of a run shows as the script ``path``: networks, directions and real windows."""
    windows = SpikeWindows.load(RESULTS / run / "windows.h5")
    content = {
        "run": run,
        "unit": plots.UNITS[windows.amplitude_unit],
        "time_ms": windows.time_ms.tolist(),
        "real": as_text(held_out(windows).tobytes()),
        "models": [_described(load(run, model, windows)) for model in available(run)],
    }
    write_script(path, "meaganExplorer", content)


def held_out(windows: SpikeWindows) -> np.ndarray:
    """Real test windows float32 (at most :data:`REAL`, samples), drawn at random, in their amplitude unit."""
    return np.random.default_rng(0).permutation(windows.of(Split.TEST))[:REAL]


def _described(e: Explorable) -> dict:
    label = e.label(0)
    generator = e.generator if e.generator.electrodes == 1 else _Own(e.generator)
    return {
        "model": e.model,
        "name": plots.LABELS[e.model],
        "colour": plots.COLOURS[e.model],
        "prior": e.prior,
        "latent": e.generator.latent,
        "centre": e.centre,
        "scale": e.scale,
        "classes": e.classes,
        "directions": e.directions.tolist(),
        "titles": [e.title(i) for i in range(len(e.directions))],
        "generator": as_text(to_onnx(generator, e.generator.latent, label)),
        "encoder": as_text(to_onnx(_Mean(e.encoder), e.generator.samples, label)) if e.encoder else None,
    }


def explore(run: str = "quick") -> ipywidgets.VBox:
    """Return the explorer of a run as a widget for JupyterLab: ``explore("quick")`` as the last line of a cell.

    ``InputError``: A run without windows or trained models.
    """
    windows = SpikeWindows.load(RESULTS / run / "windows.h5")
    if not available(run):
        raise InputError(f"run '{run}' has no trained models: make them with meagan run")
    return Widget([load(run, model, windows) for model in available(run)], windows).box


class Widget:
    """Sliders over the leading directions of a latent space, and the window that the network makes of them."""

    def __init__(self, models: list[Explorable], windows: SpikeWindows):
        self.windows, self.real, self.rng = windows, held_out(windows), torch.Generator().manual_seed(0)
        self.models, self.moving = {plots.LABELS[e.model]: e for e in models}, False
        self.choice = ipywidgets.ToggleButtons(options=list(self.models))
        self.choice.observe(self.choose, "value")
        self.classes = ipywidgets.Dropdown(description="class")
        self.classes.observe(lambda _: self.show(), "value")
        actions = {"New spike": self.draw, "Typical spike": self.typical, "Encode a real spike": self.encode}
        self.buttons = [ipywidgets.Button(description=words) for words in actions]
        for button, action in zip(self.buttons, actions.values()):
            button.on_click(action)
        scale = {"min": -3, "max": 3, "step": 0.05, "style": {"description_width": "initial"}}
        self.sliders = [ipywidgets.FloatSlider(**scale) for _ in range(DIRECTIONS)]
        for i, slider in enumerate(self.sliders):
            slider.observe(lambda change, i=i: self.move(i, change["new"]), "value")
        self.picture = ipywidgets.Image(layout=ipywidgets.Layout(align_self="flex-start", max_width="100%"))
        controls = ipywidgets.HBox([*self.buttons, self.classes])
        self.box = ipywidgets.VBox([self.choice, controls, self.picture, *self.sliders])
        self.choose()

    @property
    def label(self) -> int:
        """The class that is asked for; 0 where there are none."""
        return self.classes.value or 0

    def choose(self, _=None) -> None:
        """Take the model that was chosen, and a spike of it."""
        self.z, self.model = None, self.models[self.choice.value]
        self.classes.options = [(name, i) for i, name in enumerate(self.model.classes)]
        self.classes.layout.display = None if self.model.classes else "none"
        self.buttons[2].layout.display = None if self.model.encoder else "none"
        for i, slider in enumerate(self.sliders):
            slider.description = self.model.title(i)
        self.draw()

    def draw(self, _=None) -> None:
        """Show a spike from the prior."""
        self.start(priors.prior(self.model.prior, 1, self.model.generator.latent, self.rng)[0].numpy())

    def typical(self, _=None) -> None:
        """Show the spike of z = 0."""
        self.start(np.zeros(self.model.generator.latent, np.float32))

    def encode(self, _=None) -> None:
        """Show a real spike, encoded and decoded."""
        window = self.real[int(torch.randint(len(self.real), (1,), generator=self.rng))]
        self.start(self.model.encoded(window, self.label), window)

    def start(self, z: np.ndarray, encoded: np.ndarray | None = None) -> None:
        """Take z, and the real window that it stands for."""
        self.z, self.window = z, encoded
        self.show()

    def move(self, i: int, to: float) -> None:
        """Take z to a place along direction ``i``."""
        if not self.moving:
            direction = self.model.directions[i]
            self.z = self.z + (to - float(self.z @ direction)) * direction
            self.show()

    def show(self) -> None:
        """Draw the window of z, and set the sliders to where it stands."""
        if self.z is None:
            return
        self.moving = True
        for slider, place in zip(self.sliders, self.model.directions @ self.z):
            slider.value = float(place)
        self.moving = False
        w, made = self.windows, self.model.window(self.z, self.label)
        fig = plots.among_real(w.time_ms, self.real, made, self.model.model, w.amplitude_unit, self.window)
        self.picture.value = figures.png(fig, dpi=100)
