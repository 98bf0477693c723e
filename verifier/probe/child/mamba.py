"""The Mamba-2 layer and its scan in plain torch.

The scan is written as a masked product of queries and keys (the dual form of the recurrence), so what a
position does not read has weight exactly zero. Parameters have the names, shapes and starting values of the
`mamba_ssm` package.

Shapes: B batch, T time, H heads, P head size, G groups, N state size.
"""

from __future__ import annotations

import math
import types
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from verifier.probe.child.uses import used


def scan(
    x_BTHP: Tensor,
    dt_BTH: Tensor,
    A_H: Tensor,
    B_BTGN: Tensor,
    C_BTGN: Tensor,
    chunk_size: int = 256,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    initial_states: Tensor | None = None,
    seq_idx: Tensor | None = None,
    dt_softplus: bool = False,
    dt_limit: tuple[float, float] = (0.0, float("inf")),
    return_final_states: bool = False,
) -> Any:
    """`mamba_chunk_scan_combined`: h[t] = exp(A dt[t]) h[t-1] + dt[t] B[t] x[t], y = C h + D x."""
    used("mamba scan")
    dt = dt_BTH if dt_bias is None else dt_BTH + dt_bias
    dt = (F.softplus(dt) if dt_softplus else dt).clamp(*dt_limit)
    heads, groups = x_BTHP.size(2), B_BTGN.size(2)
    B, C = (t.repeat_interleave(heads // groups, dim=2) for t in (B_BTGN, C_BTGN))
    decay = (dt * A_H).cumsum(1).transpose(1, 2)  # (B, H, T): log of what is left of the state before time 0
    steps = torch.arange(dt.size(1), device=dt.device)
    reads = steps[:, None] >= steps[None, :]
    if seq_idx is not None:
        reads = reads & (seq_idx[:, None, :, None] == seq_idx[:, None, None, :])
    left = (decay[..., :, None] - decay[..., None, :]).masked_fill(~reads, float("-inf")).exp()
    drive = x_BTHP * dt[..., None]
    y = torch.einsum("bthn,bshn,bhts,bshp->bthp", C, B, left, drive)
    if initial_states is not None:
        alive = decay.exp()
        if seq_idx is not None:
            alive = alive * (seq_idx == seq_idx[:, :1])[:, None, :]
        y = y + torch.einsum("bthn,bhpn,bht->bthp", C, initial_states, alive)
    if D is not None:
        y = y + x_BTHP * (D if D.ndim == 2 else D[:, None])
    if z is not None:
        y = y * F.silu(z)
    if not return_final_states:
        return y
    final = torch.einsum("bshn,bhs,bshp->bhpn", B, left[..., -1, :], drive)
    if initial_states is not None:
        final = final + initial_states * alive[..., -1, None, None]
    return y, final


def mamba_chunk_scan_combined(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, *args: Any, **kwargs: Any
) -> Any:
    """The scan under the package's own names of its arguments."""
    return scan(x, dt, A, B, C, *args, **kwargs)


def causal_conv1d_fn(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    seq_idx: Tensor | None = None,
    initial_states: Tensor | None = None,
    return_final_states: bool = False,
    final_states_out: Tensor | None = None,
    activation: str | None = None,
) -> Tensor:
    """A depth-wise convolution of (B, D, T) by (D, W): reads the present and the W-1 values before it."""
    used("causal conv1d")
    if seq_idx is not None or initial_states is not None or return_final_states:
        raise NotImplementedError("causal_conv1d_fn with documents or states has no stand-in")
    width = weight.size(-1)
    out = F.conv1d(F.pad(x, (width - 1, 0)), weight[:, None], bias, groups=x.size(1))
    return F.silu(out) if activation in ("silu", "swish") else out


class GatedNorm(nn.Module):
    """`RMSNormGated`: the gate is applied before the norm, or after it."""

    def __init__(self, size: int, eps: float, norm_before_gate: bool, group_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps, self.norm_before_gate, self.group_size = eps, norm_before_gate, group_size

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        if z is not None and not self.norm_before_gate:
            x = x * F.silu(z)
        grouped = x.reshape(*x.shape[:-1], -1, self.group_size)
        x = F.rms_norm(grouped, (self.group_size,), eps=self.eps).flatten(-2) * self.weight
        return x * F.silu(z) if z is not None and self.norm_before_gate else x


class Mamba2(nn.Module):
    """One Mamba-2 layer, (B, T, d_model) in and out."""

    def __init__(
        self,
        d_model: int,
        d_state: int = 128,
        d_conv: int = 4,
        expand: int = 2,
        headdim: int = 64,
        ngroups: int = 1,
        A_init_range: tuple[float, float] = (1, 16),
        rmsnorm: bool = True,
        norm_before_gate: bool = False,
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        dt_init_floor: float = 1e-4,
        dt_limit: tuple[float, float] = (0.0, float("inf")),
        bias: bool = False,
        conv_bias: bool = True,
        chunk_size: int = 256,
        use_mem_eff_path: bool = True,
        layer_idx: int | None = None,
    ) -> None:
        super().__init__()
        self.d_model, self.d_state, self.d_conv, self.headdim = d_model, d_state, d_conv, headdim
        self.expand, self.ngroups, self.rmsnorm, self.dt_limit = expand, ngroups, rmsnorm, dt_limit
        self.chunk_size, self.layer_idx, self.activation = chunk_size, layer_idx, "silu"
        self.d_inner = self.d_ssm = expand * d_model
        if self.d_inner % headdim:
            raise ValueError(f"expand * d_model = {self.d_inner} is no multiple of headdim = {headdim}")
        self.nheads = self.d_inner // headdim
        channels = self.d_inner + 2 * ngroups * d_state
        self.in_proj = nn.Linear(d_model, self.d_inner + channels + self.nheads, bias=bias)
        self.conv1d = nn.Conv1d(
            channels, channels, d_conv, groups=channels, padding=d_conv - 1, bias=conv_bias
        )
        low, high = math.log(dt_min), math.log(dt_max)
        dt = torch.exp(torch.rand(self.nheads) * (high - low) + low).clamp(min=dt_init_floor)
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        self.A_log = nn.Parameter(torch.empty(self.nheads).uniform_(*A_init_range).log())
        self.D = nn.Parameter(torch.ones(self.nheads))
        if rmsnorm:
            self.norm = GatedNorm(self.d_inner, 1e-5, norm_before_gate, self.d_inner // ngroups)
        self.out_proj = nn.Linear(self.d_inner, d_model, bias=bias)

    def forward(self, u: Tensor, seq_idx: Tensor | None = None) -> Tensor:
        state = self.ngroups * self.d_state
        sizes = [self.d_inner, self.d_inner + 2 * state, self.nheads]
        z, mixed, dt = torch.split(self.in_proj(u), sizes, dim=-1)
        weight, bias = self.conv1d.weight.squeeze(1), self.conv1d.bias
        mixed = causal_conv1d_fn(mixed.transpose(1, 2), weight, bias, activation="silu").transpose(1, 2)
        x, B, C = torch.split(mixed, [self.d_inner, state, state], dim=-1)
        by_head, by_group = (
            (*u.shape[:2], self.nheads, self.headdim),
            (*u.shape[:2], self.ngroups, self.d_state),
        )
        y = scan(
            x.reshape(by_head),
            dt,
            -torch.exp(self.A_log.float()),
            B.reshape(by_group),
            C.reshape(by_group),
            D=self.D,
            dt_bias=self.dt_bias,
            z=None if self.rmsnorm else z.reshape(by_head),
            dt_softplus=True,
            dt_limit=self.dt_limit,
            seq_idx=seq_idx,
        ).flatten(-2)
        out: Tensor = self.out_proj(self.norm(y, z) if self.rmsnorm else y)
        return out


class InferenceParams:
    """Named in annotations; decoding token by token has no stand-in."""


def module(name: str) -> types.ModuleType:
    """`mamba_ssm`, `causal_conv1d` and the compiled parts whose presence scripts ask for."""
    made = types.ModuleType(name)
    made.__path__ = []
    vars(made).update(
        Mamba2=Mamba2,
        mamba_chunk_scan_combined=mamba_chunk_scan_combined,
        causal_conv1d_fn=causal_conv1d_fn,
        InferenceParams=InferenceParams,
    )
    return made
