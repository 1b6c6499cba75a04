"""Positions and attention are their formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from meagan_lib import InputError
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gan import GANConfig
from meagan_lib.models.generators import build_generator
from meagan_lib.models.transformer import (
    SelfAttention,
    TransformerEncoder,
    attention,
    attention_by_time,
    attention_maps,
    rotate,
    sinusoidal_positions,
)
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


@given(p=st.integers(0, 40), q=st.integers(0, 40), shift=st.integers(0, 200), half=st.integers(1, 16))
def test_a_shift_of_both_rotary_positions_leaves_their_product(p, q, shift, half):
    numbers = torch.Generator().manual_seed(half)
    query, key = torch.randn(2, 1, 2 * half, generator=numbers, dtype=torch.float64)
    encoding = sinusoidal_positions(241, 2 * half).double()

    def product(first: int, second: int) -> float:
        return (rotate(query, encoding[[first]]) @ rotate(key, encoding[[second]]).T).item()

    assert product(p + shift, q + shift) == pytest.approx(product(p, q), abs=1e-4)
    assert product(p, p) == pytest.approx((query @ key.T).item(), abs=1e-5)


def test_a_rotary_position_is_the_complex_number_of_its_angle():
    x = torch.randn(3, 10, 8, dtype=torch.float64)
    angle = torch.arange(10)[:, None] / 10_000 ** (torch.arange(0, 8, 2) / 8)
    turned = torch.view_as_complex(x.unflatten(-1, (4, 2))) * torch.polar(torch.ones_like(angle), angle)
    encoding = sinusoidal_positions(10, 8)
    torch.testing.assert_close(rotate(x, encoding), torch.view_as_real(turned).flatten(-2), atol=1e-5, rtol=1e-5)


def test_rotary_attention_knows_the_order_of_tokens_and_not_when_they_come():
    """The same tokens later, among tokens that get no weight, attend to one another as before."""
    tokens, order = torch.randn(1, 6, 16), torch.randperm(6, generator=torch.Generator().manual_seed(1))
    early = SelfAttention(16, 2, sinusoidal_positions(12, 8)[:6]).requires_grad_(False)
    late = SelfAttention(16, 2, sinusoidal_positions(12, 8)[6:])
    late.load_state_dict(early.state_dict())
    torch.testing.assert_close(early(tokens)[1], late(tokens)[1])
    assert not torch.allclose(early(tokens[:, order])[0], early(tokens)[0][:, order], atol=1e-3)


def test_rotary_positions_turn_every_block_and_add_nothing():
    torch.manual_seed(0)
    generator, z = plain(32, latent=16, patch=4, positions="rotary"), torch.randn(2, 16)
    blocks = generator.encoder.blocks
    assert all(torch.equal(block.attention.rotary, sinusoidal_positions(8, 16)) for block in blocks)
    x, maps = generator.embed(z).view(2, generator.tokens, generator.width), attention_maps(generator, z)
    for block, weights in zip(blocks, maps):
        torch.testing.assert_close(block.attention(block.norm_attention(x))[1], weights)
        x = block(x)
    assert generator.steps()[0][0] == "linear map" and "rotary" in generator.steps()[1][0]
    torch.manual_seed(0)
    assert plain(32, latent=16, patch=4).state_dict().keys() == generator.state_dict().keys()


def test_positions_that_do_not_exist_or_do_not_fit_are_refused():
    with pytest.raises(InputError, match="positions 'rotory' is not known: did you mean 'rotary'"):
        plain(32, positions="rotory")
    with pytest.raises(InputError, match="positions take an even width, and 3 is odd: choose another width"):
        TransformerEncoder(4, 12, 1, "rotary", heads=4)


def test_attention_by_time_adds_up_electrodes_and_leaves_one_as_it_is():
    maps = torch.softmax(torch.randn(2, 3, 15, 15, generator=torch.Generator().manual_seed(0)), dim=-1)
    by_time = attention_by_time(maps, 5)
    assert by_time.shape == (2, 3, 3, 3)
    torch.testing.assert_close(by_time.sum(-1), torch.ones(2, 3, 3))
    torch.testing.assert_close(by_time[0, 1, 2, 0], maps[0, 1, 2::3, 0::3].sum(-1).mean())
    assert torch.equal(attention_by_time(maps, 1), maps)
