"""The parts of attention by themselves, against torch's own operations and other formulas."""

import pytest
import torch
import torch.nn.functional as F

from pgolf.model.attention import attend, exclude
from pgolf.model.rotary import rotary_tables, rotate

from .reference import random_ids, random_model, small


@pytest.mark.parametrize("turned", [2, 8, 16])
def test_rotation_is_multiplication_by_unit_complex_numbers(turned):
    x = torch.randn(2, 3, 20, 16)
    pairs = torch.complex(x[..., : turned // 2], x[..., turned // 2 : turned])
    frequency = 10_000.0 ** (-torch.arange(turned // 2) / (turned // 2))
    angle = torch.arange(20)[:, None] * frequency
    pairs = pairs * torch.polar(torch.ones_like(angle), -angle)
    expected = torch.cat((pairs.real, pairs.imag, x[..., turned:]), dim=-1)
    torch.testing.assert_close(rotate(x, rotary_tables(20, turned, 10_000.0, like=x)), expected)


def test_grouped_heads_share_their_keys_with_and_without_a_mask():
    q, k, v = torch.randn(2, 6, 9, 8), torch.randn(2, 2, 9, 8), torch.randn(2, 2, 9, 8)
    causal = torch.ones(9, 9, dtype=torch.bool).tril()[None, None]
    for head in range(6):
        scores = (q[:, head] @ k[:, head // 3].mT / 8**0.5).masked_fill(~causal[0], -torch.inf)
        expected = scores.softmax(-1) @ v[:, head // 3]
        torch.testing.assert_close(attend(q, k, v, None)[:, head], expected)
        torch.testing.assert_close(attend(q, k, v, causal)[:, head], expected)


def test_what_xsa_leaves_is_orthogonal_to_the_own_value():
    y, v = torch.randn(2, 6, 9, 8, dtype=torch.float64), torch.randn(2, 2, 9, 8, dtype=torch.float64)
    left = exclude(y, v)
    per_head = v.repeat_interleave(3, dim=1)
    torch.testing.assert_close((left * per_head).sum(-1), torch.zeros(2, 6, 9, dtype=torch.float64))
    # The removed part is parallel to the value, so with it the squares add up.
    removed = y - left
    torch.testing.assert_close(
        F.cosine_similarity(removed, per_head, dim=-1).abs(), torch.ones(2, 6, 9).double()
    )
    torch.testing.assert_close(left.square().sum(-1) + removed.square().sum(-1), y.square().sum(-1))


def test_xsa_of_a_value_of_zero_changes_nothing():
    y = torch.randn(1, 2, 3, 4)
    assert torch.equal(exclude(y, torch.zeros(1, 1, 3, 4)), y)


def test_value_gates_begin_half_open_and_head_gates_nearly_open():
    from pgolf.model import GPT

    model = GPT(small(value_residual=True, gated_attention=True))
    assert model.blocks[0].attn.value_gate is None
    assert torch.sigmoid(model.blocks[1].attn.value_gate).item() == 0.5
    gate = model.blocks[0].attn.head_gate(torch.randn(1, 5, 32))
    torch.testing.assert_close(gate, torch.full((1, 4, 5, 1), 0.9820137))


def test_closed_head_gates_shut_attention_out():
    model = random_model(small(gated_attention=True))
    for block in model.blocks:
        torch.nn.init.constant_(block.attn.head_gate.bias, -1e4)
    ids = random_ids(1, 8)
    changed = torch.cat(((ids[:, :7] + 1) % 64, ids[:, 7:]), dim=1)
    assert torch.equal(model(ids)[:, 7], model(changed)[:, 7])
