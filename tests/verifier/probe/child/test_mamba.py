"""The scan against its recurrence, one step and one head at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from verifier.probe.child.mamba import GatedNorm, Mamba2, causal_conv1d_fn, mamba_chunk_scan_combined, scan


def recurrence(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, state: Tensor, resets: set[int]
) -> Tensor:
    out = torch.zeros_like(x)
    for b in range(x.size(0)):
        for h in range(x.size(2)):
            now = state[b, h].clone()
            for t in range(x.size(1)):
                if t in resets:
                    now = torch.zeros_like(now)
                now = torch.exp(A[h] * dt[b, t, h]) * now + dt[b, t, h] * torch.outer(x[b, t, h], B[b, t, 0])
                out[b, t, h] = now @ C[b, t, 0] + D[h] * x[b, t, h]
    return out


def inputs(time: int = 9) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    x, dt = torch.randn(2, time, 3, 4).double(), torch.rand(2, time, 3).double()
    A, D = -torch.rand(3).double() * 3, torch.randn(3).double()
    B, C = torch.randn(2, time, 1, 5).double(), torch.randn(2, time, 1, 5).double()
    return x, dt, A, B, C, D, torch.randn(2, 3, 4, 5).double()


def test_the_scan_is_the_recurrence() -> None:
    x, dt, A, B, C, D, state = inputs()
    torch.testing.assert_close(scan(x, dt, A, B, C, D=D), recurrence(x, dt, A, B, C, D, state * 0, set()))
    with_state = scan(x, dt, A, B, C, D=D, initial_states=state)
    torch.testing.assert_close(with_state, recurrence(x, dt, A, B, C, D, state, set()))


def test_a_new_document_starts_from_nothing() -> None:
    x, dt, A, B, C, D, state = inputs()
    documents = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2]).repeat(2, 1)
    out = scan(x, dt, A, B, C, D=D, initial_states=state, seq_idx=documents)
    torch.testing.assert_close(out, recurrence(x, dt, A, B, C, D, state, {4, 7}))


def test_the_final_state_continues_the_scan() -> None:
    x, dt, A, B, C, D, state = inputs()
    whole = scan(x, dt, A, B, C, D=D, initial_states=state)
    first = [t[:, :5] for t in (x, dt)], [t[:, :5] for t in (B, C)]
    rest = [t[:, 5:] for t in (x, dt)], [t[:, 5:] for t in (B, C)]
    _, middle = scan(*first[0], A, *first[1], D=D, initial_states=state, return_final_states=True)
    torch.testing.assert_close(scan(*rest[0], A, *rest[1], D=D, initial_states=middle), whole[:, 5:])


def test_the_scan_has_the_gradients_of_its_formula() -> None:
    x, dt, A, B, C, D, _ = (
        t[:1, :3].requires_grad_() if t.ndim > 2 else t.requires_grad_() for t in inputs(3)
    )
    assert torch.autograd.gradcheck(lambda *a: scan(*a[:5], D=a[5], dt_softplus=True), (x, dt, A, B, C, D))


def test_a_convolution_reads_the_present_and_the_past() -> None:
    x, weight, bias = torch.randn(2, 3, 7), torch.randn(3, 4), torch.randn(3)
    out = causal_conv1d_fn(x, weight, bias, activation="silu")
    for t in range(7):
        total = bias + sum(x[:, :, t - k] * weight[:, 3 - k] for k in range(4) if t >= k)
        torch.testing.assert_close(out[:, :, t], F.silu(total))


def test_a_layer_never_reads_the_future() -> None:
    torch.manual_seed(0)
    layer = Mamba2(32, d_state=8, headdim=16)
    u = torch.randn(2, 12, 32)
    before = layer(u)
    u[:, 7:] += 3.0
    after = layer(u)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.equal(before[:, 7:], after[:, 7:])


def test_a_gate_before_the_norm_and_after_it() -> None:
    x, z = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    before, after = GatedNorm(8, 1e-5, False, 8), GatedNorm(8, 1e-5, True, 4)
    gated = x * F.silu(z)
    torch.testing.assert_close(before(x, z), gated / (gated.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt())
    halves = x.reshape(2, 3, 2, 4)
    normed = (halves / (halves.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()).reshape(2, 3, 8)
    torch.testing.assert_close(after(x, z), normed * F.silu(z))


def test_the_packages_own_argument_names() -> None:
    x, dt, A, B, C, D, _ = inputs()
    named = mamba_chunk_scan_combined(x=x, dt=dt, A=A, B=B, C=C, chunk_size=4, D=D)
    torch.testing.assert_close(named, scan(x, dt, A, B, C, D=D))
    weight = torch.randn(3, 4)
    moved = causal_conv1d_fn(x=torch.eye(3)[None], weight=weight, bias=None, activation="silu")
    assert moved.shape == (1, 3, 3)
