"""The gated delta rule against its recurrence, one step at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from verifier.probe.child.delta import (
    GatedDeltaNet,
    chunk_delta_rule,
    chunk_gated_delta_rule,
    gated_delta_rule,
    module,
)


def inputs(time: int = 9) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    q, k = torch.randn(2, time, 3, 4).double(), torch.randn(2, time, 3, 4).double() / 2
    v, g = torch.randn(2, time, 3, 5).double(), -torch.rand(2, time, 3).double()
    return q, k, v, g, torch.rand(2, time, 3).double(), torch.randn(2, 3, 4, 5).double()


def recurrence(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, start: Tensor
) -> tuple[Tensor, Tensor]:
    out, states = torch.zeros_like(v), start.clone()
    for b in range(q.size(0)):
        for h in range(q.size(2)):
            state = start[b, h]
            for t in range(q.size(1)):
                state = state * torch.exp(g[b, t, h])
                write = beta[b, t, h] * (v[b, t, h] - k[b, t, h] @ state)
                state = state + torch.outer(k[b, t, h], write)
                out[b, t, h] = q[b, t, h] @ state / 2  # the root of the key size, 4
            states[b, h] = state
    return out, states


@pytest.mark.parametrize("carried", [False, True])
def test_the_rule_is_its_recurrence(carried: bool) -> None:
    *given, state = inputs()
    start = state if carried else torch.zeros_like(state)
    out, final = gated_delta_rule(*given, initial_state=state if carried else None, output_final_state=True)
    expected, expected_final = recurrence(*given, start)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(final, expected_final)


def test_it_has_the_gradients_of_its_formula() -> None:
    *given, _ = (t[:1, :, :1].requires_grad_() for t in inputs(3))
    assert torch.autograd.gradcheck(lambda *a: gated_delta_rule(*a, use_qk_l2norm_in_kernel=True)[0], given)


@pytest.mark.parametrize("short_conv", [True, False])
@pytest.mark.parametrize("gate", [True, False])
def test_a_layer_never_reads_the_future(short_conv: bool, gate: bool) -> None:
    torch.manual_seed(0)
    layer = GatedDeltaNet(
        32, head_dim=8, num_heads=2, num_v_heads=4, expand_v=1, use_short_conv=short_conv, use_gate=gate
    )
    x = torch.randn(2, 12, 32)
    before = layer(x)[0]
    x[:, 7:] += 3.0
    after = layer(x)[0]
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.equal(before[:, 7:], after[:, 7:])


def test_what_has_no_stand_in_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="GatedDeltaProduct"):
        module("fla.layers").GatedDeltaProduct(hidden_size=8)
    with pytest.raises(NotImplementedError, match="cu_seqlens"):
        gated_delta_rule(*inputs()[:5], cu_seqlens=torch.tensor([0, 9]))
    with pytest.raises(NotImplementedError, match="attention_mask"):
        GatedDeltaNet(16, head_dim=4, num_heads=1)(torch.zeros(1, 3, 16), attention_mask=torch.ones(1, 3))


def test_the_package_s_own_argument_names() -> None:
    q, k, v, g, beta, _ = inputs()
    expected, _ = gated_delta_rule(q, k, v, g, beta)
    torch.testing.assert_close(chunk_gated_delta_rule(q=q, k=k, v=v, g=g, beta=beta)[0], expected)
    without, state = chunk_delta_rule(q=q, k=k, v=v, beta=beta, output_final_state=True)
    torch.testing.assert_close(without, gated_delta_rule(q, k, v, g * 0, beta)[0])
    assert state is not None
