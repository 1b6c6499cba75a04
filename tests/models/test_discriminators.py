"""Discriminators can be differentiated twice."""

import pytest
import torch

from meagan_lib.models.discriminators import DISCRIMINATORS, TransformerDiscriminator
from meagan_lib.training.losses import squared_gradient_norm


@pytest.mark.parametrize("kind", DISCRIMINATORS)
@pytest.mark.parametrize("samples", [32, 21])
def test_discriminators_can_be_differentiated_twice(kind, samples):
    network = DISCRIMINATORS[kind](samples)
    x = torch.randn(4, samples, requires_grad=True)
    squared_gradient_norm(network(x), x).backward()
    assert all(p.grad is not None for name, p in network.named_parameters() if "bias" not in name)


def test_the_second_derivative_of_the_transformer_discriminator_is_right():
    network = TransformerDiscriminator(8, width=8, heads=2, depth=1).double()
    torch.autograd.gradgradcheck(network, torch.randn(2, 8, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_the_logits_of_the_features_are_those_of_the_window(kind):
    network, x = DISCRIMINATORS[kind](32), torch.randn(4, 32)
    torch.testing.assert_close(network.logits(network.features(x)), network(x))


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_with_dropout_batch_norm_and_labels_too_discriminators_can_be_differentiated_twice(kind):
    network = DISCRIMINATORS[kind](32, dropout=0.1, batch_norm=True, classes=3)
    x = torch.randn(4, 32, requires_grad=True)
    squared_gradient_norm(network(x, torch.tensor([0, 1, 2, 0])), x).backward()
    assert network.classes.weight.grad.abs().sum() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_on_a_gpu_too_discriminators_can_be_differentiated_twice(kind):
    network = DISCRIMINATORS[kind](32).cuda()
    x = torch.randn(4, 32, device="cuda", requires_grad=True)
    squared_gradient_norm(network(x), x).backward()
