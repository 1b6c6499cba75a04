"""Networks side by side are the same as each of them alone."""

import pytest
import torch
from torch import nn

from meagan_lib.models.side_by_side import SideBySide


def alone(networks: SideBySide, i: int) -> nn.Sequential:
    """The i-th of the networks, of PyTorch's own layers."""
    layers = []
    for weight, bias in zip(networks.weights, networks.biases):
        layer = nn.Linear(*weight.shape[1:])
        layer.weight.data, layer.bias.data = weight[i].T.clone(), bias[i, 0].clone()
        layers += [layer, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1], nn.Tanh())


def networks(outputs: int, n: int = 3, dropout: float = 0.0) -> SideBySide:
    torch.manual_seed(0)
    networks = SideBySide(n, [4, 16, 16, outputs], nn.LeakyReLU(0.2), torch.tanh, dropout)
    for bias in networks.biases:
        nn.init.normal_(bias)
    return networks


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 9])
@pytest.mark.parametrize("outputs", [1, 2])
def test_each_row_goes_to_the_network_whose_turn_it_is(rows, outputs):
    them, x = networks(outputs), torch.randn(rows, 4)
    expected = torch.cat([alone(them, row % 3)(x[row : row + 1]) for row in range(rows)])
    torch.testing.assert_close(them(x), expected[:, 0] if outputs == 1 else expected)


def test_the_mean_over_all_rows_trains_each_network_on_its_own_alone():
    them, x = networks(1), torch.randn(12, 4)
    them(x).square().mean().backward()
    for i in range(3):
        single = alone(them, i)
        (single(x[i::3]).square().mean() / 3).backward()
        torch.testing.assert_close(them.weights[0].grad[i], single[0].weight.grad.T)
        torch.testing.assert_close(them.biases[2].grad[i, 0], single[4].bias.grad)


def test_dropout_is_of_hidden_layers_in_training_alone():
    them, x = networks(2, dropout=0.5), torch.randn(3, 4)
    assert not torch.equal(them(x), them(x))
    torch.testing.assert_close(them.eval()(x), networks(2)(x))


def test_first_weights_have_the_variance_of_glorot():
    torch.manual_seed(0)
    weights = SideBySide(5, [64, 256, 32]).weights
    assert [float(w.detach().std()) for w in weights] == pytest.approx([(2 / 320) ** 0.5, (2 / 288) ** 0.5], rel=0.02)
