"""Queries and keys made ready for attention in one pass over memory: a Triton kernel, for training on CUDA.

What `CausalAttention` says in four steps, each a pass of its own in a compiled graph: split the joined
projection into heads, normalize queries and keys, turn them by their positions, and scale queries by their
head's gain. Here a program reads a tile once and writes it once, forward and backward, in fp32 between; so its
results round once where the four steps round each time. Imported by `GPT.fuse` alone, since a machine without
CUDA need not have Triton.

The turn of a head's vector n is linear and keeps lengths: forward is y = gain * turn(n) with n = x / rms(x);
backward, with u = gain * turn^-1(dy), is dx = (u - n * mean(u * n)) / rms(x), and dgain = sum(turn^-1(dy) * n).

Shapes: B sequences, T positions, W joined width (H + 2K heads of E channels), R turned pairs of a head.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def,no-untyped-call"
# Triton's decorator and a kernel's pointers have no types.

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.library import triton_op, wrap_triton

EPS = torch.finfo(torch.float32).eps  # rms_norm's own, for what is computed in fp32
BLOCK = 64
"""Positions of a tile."""


@triton.jit
def _forward(
    joined_ptr, cos_ptr, sin_ptr, gain_ptr, q_ptr, k_ptr, v_ptr, rows, length,
    H: tl.constexpr, K: tl.constexpr, E: tl.constexpr, R: tl.constexpr, EPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One head of a block of positions."""
    head = tl.program_id(1)
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[:, None]
    channel = tl.arange(0, E)[None, :]
    inside = row < rows
    width: tl.constexpr = (H + 2 * K) * E
    source = joined_ptr + row.to(tl.int64) * width + head * E
    if head >= H + K:
        value = tl.load(source + channel, mask=inside, other=0.0)
        tl.store(v_ptr + row.to(tl.int64) * (K * E) + (head - H - K) * E + channel, value, mask=inside)
    else:
        x = tl.load(source + channel, mask=inside, other=0.0).to(tl.float32)
        partner = tl.where(channel < R, channel + R, tl.where(channel < 2 * R, channel - R, channel))
        other = tl.load(source + partner, mask=inside, other=0.0).to(tl.float32)
        table = (row % length) * R + channel % R
        turned = inside & (channel < 2 * R)
        cos = tl.load(cos_ptr + table, mask=turned, other=1.0).to(tl.float32)
        sin = tl.load(sin_ptr + table, mask=turned, other=0.0).to(tl.float32)
        sin = tl.where(channel < R, sin, -sin)
        scale = tl.rsqrt(tl.sum(x * x, axis=1) / E + EPS)[:, None]
        gain = tl.load(gain_ptr + head, mask=head < H, other=1.0).to(tl.float32)
        y = (gain * scale * (x * cos + other * sin)).to(joined_ptr.dtype.element_ty)
        if head < H:
            tl.store(q_ptr + row.to(tl.int64) * (H * E) + head * E + channel, y, mask=inside)
        else:
            tl.store(k_ptr + row.to(tl.int64) * (K * E) + (head - H) * E + channel, y, mask=inside)


@triton.jit
def _backward(
    joined_ptr, cos_ptr, sin_ptr, gain_ptr, dq_ptr, dk_ptr, dv_ptr, d_joined_ptr, d_gain_ptr, rows, length,
    H: tl.constexpr, K: tl.constexpr, E: tl.constexpr, R: tl.constexpr, EPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The same tile's gradient, and its part of the gain's."""
    head = tl.program_id(1)
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[:, None]
    channel = tl.arange(0, E)[None, :]
    inside = row < rows
    width: tl.constexpr = (H + 2 * K) * E
    offset = row.to(tl.int64) * width + head * E + channel
    if head >= H + K:
        dv = tl.load(
            dv_ptr + row.to(tl.int64) * (K * E) + (head - H - K) * E + channel, mask=inside, other=0.0
        )
        tl.store(d_joined_ptr + offset, dv, mask=inside)
    else:
        if head < H:
            source = dq_ptr + row.to(tl.int64) * (H * E) + head * E
        else:
            source = dk_ptr + row.to(tl.int64) * (K * E) + (head - H) * E
        gain = tl.load(gain_ptr + head, mask=head < H, other=1.0).to(tl.float32)
        partner = tl.where(channel < R, channel + R, tl.where(channel < 2 * R, channel - R, channel))
        dy = tl.load(source + channel, mask=inside, other=0.0).to(tl.float32)
        other = tl.load(source + partner, mask=inside, other=0.0).to(tl.float32)
        table = (row % length) * R + channel % R
        turned = inside & (channel < 2 * R)
        cos = tl.load(cos_ptr + table, mask=turned, other=1.0).to(tl.float32)
        sin = tl.load(sin_ptr + table, mask=turned, other=0.0).to(tl.float32)
        sin = tl.where(channel < R, sin, -sin)
        back = dy * cos - other * sin
        x = tl.load(joined_ptr + offset, mask=inside, other=0.0).to(tl.float32)
        scale = tl.rsqrt(tl.sum(x * x, axis=1) / E + EPS)[:, None]
        n = x * scale
        along = tl.sum(back * n, axis=1)[:, None]
        dx = gain * scale * (back - n * (along / E))
        tl.store(d_joined_ptr + offset, dx.to(d_joined_ptr.dtype.element_ty), mask=inside)
        if head < H:
            tl.store(d_gain_ptr + tl.program_id(0) * H + head, tl.sum(along))


def turn(
    joined_BTW: Tensor, cos_TR: Tensor, sin_TR: Tensor, gain_H: Tensor, kv_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(q_BTHE, k_BTKE, v_BTKE) of the joined projection: ready for attention, the values as they are.

    A function around the operator, so that a model that holds it can be copied.
    """
    ready: tuple[Tensor, Tensor, Tensor] = _turn(joined_BTW, cos_TR, sin_TR, gain_H, kv_heads)
    return ready


@triton_op("pgolf::turn", mutates_args={})
def _turn(
    joined_BTW: Tensor, cos_TR: Tensor, sin_TR: Tensor, gain_H: Tensor, kv_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    batch, length, heads, width = _shape(joined_BTW, gain_H, kv_heads)
    q_BTHE = joined_BTW.new_empty(batch, length, heads, width)
    k_BTKE, v_BTKE = (joined_BTW.new_empty(batch, length, kv_heads, width) for _ in range(2))
    rows = batch * length
    wrap_triton(_forward)[triton.cdiv(rows, BLOCK), heads + 2 * kv_heads](
        joined_BTW, cos_TR, sin_TR, gain_H, q_BTHE, k_BTKE, v_BTKE, rows, length,
        H=heads, K=kv_heads, E=width, R=cos_TR.size(1), EPS=EPS, BLOCK=BLOCK,
    )  # fmt: skip
    return q_BTHE, k_BTKE, v_BTKE


@triton_op("pgolf::turn_backward", mutates_args={})
def _turn_backward(
    joined_BTW: Tensor,
    cos_TR: Tensor,
    sin_TR: Tensor,
    gain_H: Tensor,
    dq_BTHE: Tensor,
    dk_BTKE: Tensor,
    dv_BTKE: Tensor,
) -> tuple[Tensor, Tensor]:
    """Gradients of the joined projection and of the gains."""
    kv_heads = dk_BTKE.size(2)
    batch, length, heads, width = _shape(joined_BTW, gain_H, kv_heads)
    rows = batch * length
    blocks = triton.cdiv(rows, BLOCK)
    d_joined_BTW = torch.empty_like(joined_BTW)
    d_gain_NH = torch.empty(blocks, heads, dtype=torch.float32, device=joined_BTW.device)
    wrap_triton(_backward)[blocks, heads + 2 * kv_heads](
        joined_BTW, cos_TR, sin_TR, gain_H, dq_BTHE.contiguous(), dk_BTKE.contiguous(), dv_BTKE.contiguous(),
        d_joined_BTW, d_gain_NH, rows, length,
        H=heads, K=kv_heads, E=width, R=cos_TR.size(1), EPS=EPS, BLOCK=BLOCK,
    )  # fmt: skip
    return d_joined_BTW, d_gain_NH.sum(0).to(gain_H.dtype)


def _shape(joined_BTW: Tensor, gain_H: Tensor, kv_heads: int) -> tuple[int, int, int, int]:
    batch, length, joined = joined_BTW.shape
    heads = gain_H.numel()
    return batch, length, heads, joined // (heads + 2 * kv_heads)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:4])


def _gradients(ctx: Any, dq: Tensor, dk: Tensor, dv: Tensor) -> tuple[Tensor | None, ...]:
    d_joined_BTW, d_gain_H = _turn_backward(*ctx.saved_tensors, dq, dk, dv)
    return d_joined_BTW, None, None, d_gain_H, None


_turn.register_autograd(_gradients, setup_context=_setup)
