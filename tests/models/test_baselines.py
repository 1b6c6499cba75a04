"""Every model keeps the contract, and is what its name says."""

from dataclasses import replace
from pkgutil import resolve_name

import numpy as np
import pytest
import torch
from conftest import judged, spikes
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from torch import nn

from meagan_lib import InputError
from meagan_lib.experiments.benchmark import MODELS, THESIS
from meagan_lib.models.baselines import Bootstrap, MixtureOfGaussians, PCAGaussian
from meagan_lib.models.contract import TrainingData, band_noise
from meagan_lib.models.flow_matching import Flow, FlowConfig, FlowMatching, FlowTrainer
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.models.neural import BUDGET, NeuralModel
from meagan_lib.models.tts_gan import TTSGAN
from meagan_lib.models.vae import PlainVAE, VAEConfig, VAETrainer
from meagan_lib.models.vae_gan import VAEGAN, VAEGANConfig

REAL = spikes(400, 16)
TAPS = (0.25, 0.5, 0.25)
DATA = TrainingData(REAL, TAPS, judged(lambda made: float(made.std())))
TINY = {"steps": 2, "snapshots": 2}
QUICK = {"vae_gan": {"vae_steps": 1}, "plain_vae_gan": {"vae_steps": 1}, "flow_matching": {"ode_steps": 1}}


def fitted(name: str, data: TrainingData = DATA, **options):
    kind = resolve_name(MODELS[name])
    return kind.fit(data, **(TINY if issubclass(kind, NeuralModel) else {}) | QUICK.get(name, {}) | options)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_was_saved_draws_the_same_bits(name, tmp_path):
    model = fitted(name, seed=3)
    model.save(tmp_path)
    again = type(model).load(tmp_path)
    made = model.sample(30, seed=1)
    assert made.shape == (30, 16) and made.dtype == np.float32 and np.isfinite(made).all()
    torch.rand(1)  # draws of others change nothing
    np.testing.assert_array_equal(again.sample(30, seed=1), made)
    np.testing.assert_array_equal(model.sample(30, seed=1), made)
    assert not np.array_equal(model.sample(30, seed=2), made)
    assert again.n_parameters == model.n_parameters > 0
    assert not list(tmp_path.glob("*.p*")), "nothing is pickled"


@pytest.mark.parametrize("labels", [None, np.arange(400) % 3], ids=["no labels", "labels"])
@pytest.mark.parametrize(
    "name, options",
    [
        ("transformer_gan", {}),
        ("transformer_gan", {"loss": "minimax", "smooth_labels": True, "flip_labels": 0.1}),
        ("transformer_gan", {"loss": "wasserstein", "gradient_penalty": 10.0, "prior": "correlated"}),
        ("vae_gan", {"vae_steps": 1}),
        ("dcgan", {}),
        ("tts_gan", {}),
        ("vae", {}),
        ("flow_matching", {}),
    ],
)
def test_steps_on_another_device_mix_nothing_with_the_cpu(name, options, labels, monkeypatch):
    """On torch's ``meta``, a device without numbers: it refuses tensors of another, as a GPU does."""
    kind = resolve_name(MODELS[name])
    trainer = kind.trainer(kind.configure(0, device="meta", **TINY | options), replace(DATA, labels=labels), None)
    monkeypatch.setattr(torch.Tensor, "item", lambda tensor: 0.5)
    for optimiser in trainer.optimisers.values():  # the fused ones know no such device
        monkeypatch.setattr(optimiser, "step", lambda: None)
    for _ in range(2):
        assert all(np.isfinite(value) for value in trainer.train_step().values())
        trainer.step += 1
    assert {p.device.type for network in trainer.networks().values() for p in network.parameters()} == {"meta"}


@pytest.mark.parametrize("name", [*THESIS, "dcgan", "tts_gan", "vae", "flow_matching"])
def test_a_model_that_was_trained_with_labels_asks_for_them(name, tmp_path):
    model = fitted(name, replace(DATA, labels=np.arange(400) % 3))
    model.save(tmp_path)
    labels = np.array([0, 2, 2, 1])
    made = model.sample(4, 0, labels)
    np.testing.assert_array_equal(type(model).load(tmp_path).sample(4, 0, labels), made)
    assert not np.array_equal(model.sample(4, 0, labels[::-1]), made)
    with pytest.raises(InputError, match="say of which"):
        model.sample(4)


def test_flow_matching_knows_no_bounds():
    with pytest.raises(InputError, match="flow matching knows no bounds"):
        FlowMatching.fit(replace(DATA, bounded=True), **TINY)


def test_of_a_published_config_only_the_budget_can_be_changed():
    assert TTSGAN.configure(steps=3).steps == 3 and set(TINY) < set(BUDGET)
    with pytest.raises(InputError, match="TTSGAN is a published config: of it only steps"):
        TTSGAN.configure(ema=0.5)
    with pytest.raises(InputError, match="did you mean 'ode_steps'.*; meagan_lib/models/flow_matching.py"):
        FlowMatching.configure(ode_step=3)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9).filter(lambda taps: max(map(abs, taps)) > 0.1))
def test_noise_within_the_band_has_the_colour_of_the_filter_and_unit_variance(taps):
    noise = band_noise(4000, 6, taps, np.random.default_rng(0))
    spread = np.correlate(taps, taps, "full")[len(taps) - 1 :] / np.dot(taps, taps)
    expected = np.pad(spread, (0, 6))[:6]
    found = [np.mean(noise[:, 0] * noise[:, lag]) for lag in range(6)]
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_without_a_filter_a_pca_gaussian_is_probabilistic_pca():
    rng = np.random.default_rng(0)
    windows = (rng.standard_normal((3000, 8)) @ rng.standard_normal((8, 8))).astype(np.float32)
    reference = PCA(3).fit(windows.astype(np.float64)).get_covariance()
    made = PCAGaussian(windows, 3, (1.0,)).sample(100_000)
    np.testing.assert_allclose(np.cov(made.T), reference, atol=0.03 * np.trace(reference) / 8)


def test_the_rest_of_a_pca_gaussian_has_its_variance_and_stays_off_the_axes():
    model = PCAGaussian(REAL, 4, TAPS)
    made = model.sample(100_000) - model.mean
    along = made @ model.axes
    np.testing.assert_allclose(np.cov(along.T), np.diag(model.deviations**2), atol=0.02 * model.deviations[0] ** 2)
    rest = made - along @ model.axes.T
    assert (rest**2).sum(1).mean() == pytest.approx(np.trace(np.cov(REAL.T)) - (model.deviations**2).sum(), rel=0.02)


def test_the_criterion_finds_the_parts_of_a_mixture():
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0], [8, 8, 0]])
    windows = centres[rng.integers(4, size=2000)] + rng.standard_normal((2000, 3)) * [1, 1, 0.1]
    model = MixtureOfGaussians(windows.astype(np.float32), 2, 64, 0)
    assert len(model.weights) == 4 and model.bic[:, 0].tolist() == [1, 2, 4, 8]
    assert model.bic[:, 1].argmin() == 2
    made = model.sample(20_000)
    nearest = np.linalg.norm(made[:, None] - centres, axis=2)
    assert np.bincount(nearest.argmin(1)) / 20_000 == pytest.approx([0.25] * 4, abs=0.03)
    assert (nearest.min(1) < 4).mean() > 0.99
    np.testing.assert_allclose(np.cov(made.T), np.cov(windows.T), atol=0.6)
    along = (windows.astype(np.float32) - model.mean) @ (model.colouring[:, :2] / (model.colouring[:, :2] ** 2).sum(0))
    reference = GaussianMixture(4, random_state=0, init_params="k-means++", max_iter=200).fit(along)
    assert model.bic[2, 1] == pytest.approx(reference.bic(along) / 2000, rel=1e-6)


def test_one_part_along_all_axes_is_the_gaussian():
    rng = np.random.default_rng(1)
    windows = (rng.standard_normal((4000, 5)) @ rng.standard_normal((5, 5))).astype(np.float32)
    one = MixtureOfGaussians(windows, 5, 1, 0)
    np.testing.assert_allclose(np.cov(one.sample(100_000).T), Gaussian(windows).covariance, atol=0.2)
    assert one.n_parameters == Gaussian(windows).n_parameters + 5 + 15  # the part's own mean and covariance


def test_a_bootstrap_is_training_windows_and_a_little_noise():
    drawn = Bootstrap(REAL, 0.0, TAPS).sample(200)
    assert {row.tobytes() for row in drawn} <= {row.tobytes() for row in REAL} and len(
        {row.tobytes() for row in drawn}
    ) > 100
    np.testing.assert_allclose(
        (Bootstrap(REAL, 0.1, TAPS).sample(5000) - Bootstrap(REAL, 0.0, TAPS).sample(5000)).std(), 0.1, rtol=0.05
    )


SMALL = {
    "width": 8,
    "depth": 1,
    "heads": 2,
    "batch_size": 8,
    "validate_every": 4,
    "checkpoint_every": 5,
    "log_every": 1,
    "snapshots": 4,
}


def flow(config: FlowConfig = FlowConfig(steps=12, ode_steps=2, **SMALL), **options) -> FlowTrainer:
    return FlowMatching.trainer(config, DATA, **{"folder": None} | options)


def vae(config: VAEConfig = VAEConfig(steps=12, latent=8, patch=8, **SMALL), **options) -> VAETrainer:
    return PlainVAE.trainer(config, DATA, **{"folder": None} | options)


@pytest.mark.parametrize("build", [flow, vae])
def test_an_interrupted_fit_ends_in_the_bits_of_an_undisturbed_one(build, tmp_path):
    whole = build(folder=tmp_path / "whole")
    whole.train()

    class Killed(BaseException):
        pass

    def kill(trainer):
        if trainer.step == 9:
            raise Killed

    with pytest.raises(Killed):
        build(folder=tmp_path / "killed").train(kill)
    again, steps = build(folder=tmp_path / "killed"), []
    again.train(lambda trainer: steps.append(trainer.step))
    assert steps[0] == 6, "the checkpoint was not used"
    for file in ("model.safetensors", "history.csv", "config.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "killed" / file).read_bytes()
    done, kept = build(folder=tmp_path / "whole"), torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)
    done.train()
    assert done.seconds >= kept["attributes"]["seconds"] > 0, "a resumed run forgets what it took before"


CHANGES = {
    "seed": 1,
    "steps": 13,
    "batch_size": 9,
    "final_rate_fraction": 0.5,
    "clip_gradient": 0.01,
    "patience": 1,
    "ema": 0.1,
    "validate_every": 3,
    "snapshots": 5,
    "log_every": 2,
    "checkpoint_every": 2,
    "learning_rate": 1e-2,
    "patch": 4,
    "width": 16,
    "depth": 2,
    "heads": 1,
    "ode_steps": 3,
    "generator": "convolutional",
    "latent": 9,
    "positions": "learned",
    "on_gaussian": False,
    "g_dropout": 0.5,
    "g_batch_norm": True,
    "beta": 4.0,
    "kl_warmup_fraction": 1.0,
}


def trace(build, folder, **options) -> tuple:
    """Everything that a run leaves."""
    trainer, written = build(replace(build().config, **options), folder=folder), set()
    trainer.validate, trainer.n_validate = judged(lambda made: 1.0), 2
    checkpoint = folder / "checkpoint.pt"
    trainer.train(lambda _: written.add(checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0))
    return (
        trainer.sample(3).tolist(),
        str(trainer.history),
        str(trainer.validation),
        list(trainer.snapshots),
        len(written),
    )


@pytest.mark.parametrize("build", [flow, vae])
def test_every_option_of_a_baseline_changes_the_run(build, tmp_path):
    fields = [f for f in type(build().config).__dataclass_fields__ if f != "device"]
    traces = {f: trace(build, tmp_path / f, **{f: CHANGES[f]}) for f in fields}
    assert len({str(t) for t in traces.values()} | {str(trace(build, tmp_path / "base"))}) == len(fields) + 1


def test_a_vae_is_sampled_with_the_noise_that_it_learned():
    model = PlainVAE.fit(DATA, **TINY, width=8, depth=1, heads=2, latent=4, patch=8)
    with torch.no_grad():
        model.network.log_noise.fill_(np.log(0.5))
    z = torch.randn(2000, 4, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        means = model.network.decoder(z).numpy()
    assert (model.sample(2000, seed=7) - means).std() == pytest.approx(0.5, rel=0.03)


def test_stage_one_of_the_vae_gan_alone_is_the_vae():
    """The same windows, seed and rates: the same weights, bit for bit."""
    shared = {
        name: getattr(vae().config, name)
        for name in ("seed", "batch_size", "latent", "patch", "width", "depth", "heads")
    }
    config = VAEGANConfig(vae_steps=12, steps=1, **shared)
    hybrid = VAEGAN.trainer(config, TrainingData(REAL, TAPS))
    alone = vae()
    alone.train()
    hybrid.train()
    for one, two in zip(alone.vae.state_dict().values(), hybrid.pretrained.values()):
        assert torch.equal(one, two)


def test_the_dropout_of_tts_gan_stays_on():
    model = fitted("tts_gan")
    z = torch.randn(1, 100).expand(6, 100)
    with torch.no_grad():
        assert model.network(z).std(dim=0).max() > 1e-3
    assert model.network.training and not model.network.requires_grad_(False).encoder.positions.requires_grad


def test_tts_gan_has_the_parameters_of_its_published_form():
    """Counted by hand from the published widths: tokens of 10 for each sample, of 50 for each of 10 patches."""
    samples, tokens = 16, 18  # the low-pass of three taps needs one more on each side
    block = lambda width: (
        4 * width * (width + 1) + 2 * 4 * width * width + 5 * width + 4 * width
    )  # attention, MLP, two norms
    config = TTSGAN.configure()
    generator = sum(p.numel() for p in TTSGAN.build(config, DATA).parameters())
    assert generator == 101 * tokens * 10 + tokens * 10 + 3 * block(10) + 2 * 10 + 11
    discriminator = sum(p.numel() for p in TTSGAN.discriminator(config, DATA).parameters())
    assert discriminator == 3 * 50 + 8 * 50 + 3 * block(50) + 2 * 50 + 51  # patches of 2 samples: 8 of them in 16


def known_flow(velocity, ode_steps: int) -> Flow:
    """A flow of four samples with a velocity that is known, from N(0, I)."""
    config = FlowConfig(patch=2, width=8, depth=1, heads=2, ode_steps=ode_steps)
    network = Flow(config, TrainingData(np.zeros((2, 4)), TAPS)).double()
    network.colouring.copy_(torch.eye(4))
    network.velocity = lambda x, t, label: velocity(x, t)
    return network


def test_the_way_along_a_known_velocity_is_that_of_scipy_and_the_midpoint_rule_of_second_order():
    z = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = (
        solve_ivp(lambda t, x: np.sin(3 * x) + t, (0, 1), z.flatten(), rtol=1e-10, atol=1e-10).y[:, -1].reshape(5, 4)
    )
    errors = [np.abs(known_flow(lambda x, t: torch.sin(3 * x) + t, n)(z).numpy() - exact).max() for n in (16, 32, 64)]
    assert errors[0] < 0.01 and errors[0] / errors[1] == pytest.approx(4, rel=0.15) == errors[1] / errors[2]


def test_the_velocity_between_two_gaussians_carries_one_to_the_other():
    """The mean velocity of all ways from N(0, 1) to N(m, s²) that pass a point is known: its flow is z → m + s z."""
    m, s = 1.5, 0.4

    def velocity(x, t):
        return m + (t * s**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * s**2) * (x - t * m)

    z = torch.randn(100, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(known_flow(velocity, 64)(z), m + s * z, atol=1e-3, rtol=0)


def test_an_untrained_flow_is_the_gaussian():
    network = FlowMatching.build(FlowConfig(), DATA)
    z, gaussian = torch.randn(20_000, 16), Gaussian(REAL)
    with torch.no_grad():
        made = network(z[:500])
        torch.testing.assert_close(made, network.start(z[:500]))
        np.testing.assert_allclose(np.cov(network.start(z).numpy().T), gaussian.covariance, atol=0.1)


def test_a_flow_learns_two_modes():
    """Windows near −3 or +3: the Gaussian of their mean and variance, where the flow starts, is mostly in between."""
    rng = np.random.default_rng(0)
    real = (rng.choice([-3.0, 3.0], (2000, 1)) + 0.2 * rng.standard_normal((2000, 4))).astype(np.float32)
    small = dict(patch=4, width=16, depth=1, heads=2, ode_steps=8, ema=0.98, learning_rate=5e-3)
    made = FlowMatching.fit(TrainingData(real), steps=200, snapshots=2, **small).sample(1000)

    def near(x):
        return (np.abs(np.abs(x).mean(axis=1) - 3) < 0.8).mean()

    assert near(Gaussian(real).sample(1000)) < 0.5 and near(made) > 0.8
    assert (made[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.1)


def test_a_flow_never_leaves_the_band_of_the_recording():
    taps = np.hamming(31) / np.hamming(31).sum()  # passes below about a tenth of Nyquist
    torch.manual_seed(0)
    config = FlowConfig(patch=8, width=16, depth=1, heads=2, ode_steps=4)
    network = Flow(config, TrainingData(np.zeros((2, 256)), taps.tolist()))
    nn.init.normal_(network.head.weight)
    with torch.no_grad():
        made = network(torch.randn(50, 256)).numpy() * np.hanning(256)
    power = (np.abs(np.fft.rfft(made)) ** 2).mean(axis=0)
    assert power.sum() > 1 and power[64:].sum() < 1e-3 * power.sum()


def test_the_velocity_of_a_flow_depends_on_the_label():
    flow = fitted("flow_matching", replace(DATA, labels=np.arange(400) % 3)).network
    x, t = torch.from_numpy(REAL[:1]), torch.tensor([[0.5]])
    of = [flow.velocity(x, t, torch.tensor([label])) for label in range(3)]
    assert not torch.equal(of[0], of[1]) and not torch.equal(of[1], of[2])
    means = [REAL[np.arange(400) % 3 == label].mean(axis=0) for label in range(3)]
    np.testing.assert_allclose(flow.start(torch.zeros(3, 16), torch.arange(3)), means, atol=1e-5)
