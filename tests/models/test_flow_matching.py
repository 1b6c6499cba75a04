"""The flow follows its velocity, and learns it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import nn

from meagan_lib import InputError
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.flow_matching import Flow, FlowConfig, FlowMatching, Reflow
from meagan_lib.models.gaussian import Gaussian
from tests.models.test_contract import DATA, REAL, TAPS, TINY, fitted


def test_flow_matching_knows_no_bounds():
    with pytest.raises(InputError, match="flow matching knows no bounds"):
        FlowMatching.fit(replace(DATA, bounded=True), **TINY)


def test_an_unknown_solver_is_refused():
    with pytest.raises(InputError, match="solver 'eular' is not known: did you mean 'euler'"):
        FlowMatching.fit(DATA, solver="eular", **TINY)


def known_flow(velocity, ode_steps: int, solver: str = "midpoint") -> Flow:
    """A flow of four samples with a velocity that is known, from N(0, I)."""
    config = FlowConfig(patch=2, width=8, depth=1, heads=2, ode_steps=ode_steps, solver=solver)
    network = Flow(config, TrainingData(np.zeros((2, 4)), TAPS)).double()
    network.colouring.copy_(torch.eye(4))
    network.velocity = lambda x, t, label: velocity(x, t)
    return network


@pytest.mark.parametrize(("solver", "order"), [("midpoint", 2), ("euler", 1)])
def test_the_way_along_a_known_velocity_is_that_of_scipy_and_the_solver_of_its_order(solver, order):
    z = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = (
        solve_ivp(lambda t, x: np.sin(3 * x) + t, (0, 1), z.flatten(), rtol=1e-10, atol=1e-10).y[:, -1].reshape(5, 4)
    )

    def error(steps):
        return np.abs(known_flow(lambda x, t: torch.sin(3 * x) + t, steps, solver)(z).numpy() - exact).max()

    errors = [error(steps) for steps in (16, 32, 64)]
    gain = pytest.approx(2**order, rel=0.15)
    assert errors[0] < 0.25**order and errors[0] / errors[1] == gain == errors[1] / errors[2]


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
        drawn = network(z[:500])
        torch.testing.assert_close(drawn, network.start(z[:500]))
        np.testing.assert_allclose(np.cov(network.start(z).numpy().T), gaussian.covariance, atol=0.1)


def two_modes(n: int) -> np.ndarray:
    """Windows near −3 or +3: the Gaussian of their mean and variance, where a flow starts, is mostly in between."""
    rng = np.random.default_rng(0)
    return (rng.choice([-3.0, 3.0], (n, 1)) + 0.2 * rng.standard_normal((n, 4))).astype(np.float32)


def near_a_mode(x: np.ndarray) -> float:
    return (np.abs(np.abs(x).mean(axis=1) - 3) < 0.8).mean()


SMALL = dict(patch=4, width=16, depth=1, heads=2, ema=0.98, learning_rate=5e-3, snapshots=2)


def test_a_flow_learns_two_modes_and_reflow_finds_in_one_step_what_it_misses():
    data = TrainingData(two_modes(2000))
    flow = FlowMatching.fit(data, steps=200, ode_steps=8, **SMALL)
    drawn = flow.sample(1000)
    assert near_a_mode(Gaussian(data.train).sample(1000)) < 0.5 and near_a_mode(drawn) > 0.8
    reflowed = Reflow.fit(data, steps=400, pairs=1000, pair_steps=8, **SMALL).sample(1000)
    flow.network.ode_steps, flow.network.solver = 1, "euler"
    assert near_a_mode(flow.sample(1000)) < 0.2 and near_a_mode(reflowed) > 0.7
    for windows in (drawn, reflowed):
        assert (windows[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.1)


def test_a_flow_never_leaves_the_band_of_the_recording():
    taps = np.hamming(31) / np.hamming(31).sum()  # passes below about a tenth of Nyquist
    torch.manual_seed(0)
    config = FlowConfig(patch=8, width=16, depth=1, heads=2, ode_steps=4)
    network = Flow(config, TrainingData(np.zeros((2, 256)), taps.tolist()))
    nn.init.normal_(network.head.weight)
    with torch.no_grad():
        drawn = network(torch.randn(50, 256)).numpy() * np.hanning(256)
    power = (np.abs(np.fft.rfft(drawn)) ** 2).mean(axis=0)
    assert power.sum() > 1 and power[64:].sum() < 1e-3 * power.sum()


def test_the_velocity_of_a_flow_depends_on_the_label():
    flow = fitted("flow_matching", replace(DATA, labels=np.arange(400) % 3)).network
    x, t = torch.from_numpy(REAL[:1]), torch.tensor([[0.5]])
    of = [flow.velocity(x, t, torch.tensor([label])) for label in range(3)]
    assert not torch.equal(of[0], of[1]) and not torch.equal(of[1], of[2])
    means = [REAL[np.arange(400) % 3 == label].mean(axis=0) for label in range(3)]
    np.testing.assert_allclose(flow.start(torch.zeros(3, 16), torch.arange(3)), means, atol=1e-5)
