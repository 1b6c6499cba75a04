"""Positions and attention are their formulas."""

import numpy as np
import pytest
import torch
from torch import nn

from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gan import GANConfig
from meagan_lib.models.generators import build_generator
from meagan_lib.models.transformer import attention, attention_by_time, attention_maps, sinusoidal_positions
from tests.models.test_generators import plain


def test_positions_are_the_formula():
    encoding = sinusoidal_positions(10, 8)
    assert encoding[3, 4] == pytest.approx(np.sin(3 / 10_000 ** (4 / 8)))
    assert encoding[3, 5] == pytest.approx(np.cos(3 / 10_000 ** (4 / 8)))


def test_attention_agrees_with_torch_and_its_weights_sum_to_one():
    q, k, v = torch.randn(3, 2, 4, 7, 5)
    mixed, weights = attention(q, k, v)
    torch.testing.assert_close(mixed, nn.functional.scaled_dot_product_attention(q, k, v))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 7))


@pytest.mark.parametrize("heads, depth", [(4, 3), (2, 1)])
def test_maps_of_attention_sum_to_one_and_leave_the_generator_as_it_was(heads, depth):
    generator, z = plain(32, [0.25, 0.5, 0.25], latent=16, patch=4, heads=heads, depth=depth), torch.randn(5, 16)
    before = generator(z)
    maps = attention_maps(generator, z)
    assert maps.shape == (depth, 5, heads, generator.tokens, generator.tokens) and not maps.requires_grad
    torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
    after = generator(z)
    assert torch.equal(before, after) and after.requires_grad
    assert not any(block.attention._forward_hooks for block in generator.encoder.blocks)


def test_maps_of_attention_are_those_of_the_formula():
    generator, z = plain(32, latent=16, patch=4), torch.randn(2, 16)
    x = generator.embed(z).view(2, generator.tokens, generator.width) + generator.encoder.positions
    maps = attention_maps(generator, z)
    for block, weights in zip(generator.encoder.blocks, maps):
        torch.testing.assert_close(block.attention(block.norm_attention(x))[1], weights)
        x = block(x)


def test_without_positions_tokens_could_be_swapped():
    """Attention is equivariant; positions are what breaks it."""
    generator = plain(32, patch=4).eval()
    tokens = torch.randn(1, 8, 64)
    order = torch.randperm(8)
    torch.testing.assert_close(generator.encoder.blocks(tokens)[:, order], generator.encoder.blocks(tokens[:, order]))
    moved = generator.encoder.blocks(tokens[:, order] + generator.encoder.positions)
    assert not torch.allclose(
        generator.encoder.blocks(tokens + generator.encoder.positions)[:, order], moved, atol=1e-3
    )


def test_learned_positions_are_parameters():
    config = GANConfig(latent=8, patch=4, width=16, depth=1, positions="learned")
    names = dict(build_generator(config, TrainingData(np.eye(16, dtype=np.float32))).named_parameters())
    assert names["encoder.positions"].shape == (4, 16)


def test_attention_by_time_adds_up_electrodes_and_leaves_one_as_it_is():
    maps = torch.softmax(torch.randn(2, 3, 15, 15, generator=torch.Generator().manual_seed(0)), dim=-1)
    by_time = attention_by_time(maps, 5)
    assert by_time.shape == (2, 3, 3, 3)
    torch.testing.assert_close(by_time.sum(-1), torch.ones(2, 3, 3))
    torch.testing.assert_close(by_time[0, 1, 2, 0], maps[0, 1, 2::3, 0::3].sum(-1).mean())
    assert torch.equal(attention_by_time(maps, 1), maps)
