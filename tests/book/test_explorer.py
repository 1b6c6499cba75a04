"""The latent explorer: the same numbers as PyTorch, and directions that matter."""

import base64

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn

from meagan_lib.book import explorer
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gan import GANConfig
from meagan_lib.models.generators import build_generator
from meagan_lib.windows.normalisation import Standardiser
from tests.fixtures import spikes


def test_a_network_that_is_told_a_label_is_exported_with_it():
    train, labels = spikes(200), np.arange(200) % 2
    config = GANConfig(generator="convolutional", latent=8)
    taps = [0.25, 0.5, 0.25]
    network = build_generator(
        config, TrainingData(Standardiser.fit(train).transform(train), taps, labels=labels)
    ).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    label, z = torch.tensor([1]), torch.randn(1, 8)
    evaluate = ReferenceEvaluator(onnx.load_from_string(explorer.to_onnx(network, 8, (label,))))
    made = evaluate.run(None, {"input": z.numpy(), "label": label.numpy()})[0]
    np.testing.assert_allclose(made, network(z, label).detach(), atol=1e-5)
    assert not np.allclose(made, network(z, 1 - label).detach(), atol=1e-3)


def test_of_several_electrodes_the_own_one_is_shown_in_the_book_and_in_jupyterlab():
    network = build_generator(
        GANConfig(latent=8, depth=1, width=16), TrainingData(spikes(200, 32), electrodes=2)
    ).eval()
    directions = np.eye(8, dtype=np.float32)[:6]
    shown = explorer.Explorable("vae_gan", network, None, 3.0, 2.0, "gaussian", [], directions, np.full(6, 1 / 6))
    z = np.random.default_rng(0).standard_normal(8).astype(np.float32)
    described = explorer._described(shown)
    exported = ReferenceEvaluator(onnx.load_from_string(base64.b64decode(described["generator"])))
    (made,) = exported.run(None, {"input": z[None]})
    assert shown.window(z).shape == (16,) and described["encoder"] is None
    np.testing.assert_allclose(3 + 2 * made[0], shown.window(z), atol=1e-4)
    np.testing.assert_allclose(made[0], network(torch.from_numpy(z)[None])[0, :16].detach(), atol=1e-4)


class Linear(nn.Module):
    """x = W z + b: its directions are known."""

    latent = 10

    def __init__(self, weight: np.ndarray):
        super().__init__()
        self.weight = torch.from_numpy(weight)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z @ self.weight.T - torch.hann_window(len(self.weight))


def test_the_directions_of_a_linear_generator_are_its_singular_vectors():
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((n, 10)))[0] for n in (24, 10))
    values = 2.0 ** -np.arange(10)
    weight = ((left * values) @ right.T).astype(np.float32)
    directions, fractions = explorer.leading_directions(Linear(weight), n=50_000)
    assert directions.shape == (explorer.DIRECTIONS, 10)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.abs(np.einsum("ij,ji->i", directions[:4], right[:, :4])), 1, atol=0.01)
    np.testing.assert_allclose(fractions, (values**2 / (values**2).sum())[: explorer.DIRECTIONS], atol=0.01)
    trough = np.hanning(25)[:24].argmax()
    assert (np.einsum("j,ij->i", weight[trough], directions) < 0).all()
