"""The gated delta rule and its layer (`fla`, flash linear attention) in plain torch.

A position's write is v minus what the state already answers for its key; all writes of a sequence are one
triangular system, and what a position does not read has weight exactly zero. Parameters have the names,
shapes and starting values of the `fla` package.

Shapes: B batch, T time, H heads, K key size, V value size.
"""

from __future__ import annotations

import math
import types
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from verifier.probe.child.uses import used


def gated_delta_rule(
    q_BTHK: Tensor,
    k_BTHK: Tensor,
    v_BTHV: Tensor,
    g_BTH: Tensor,
    beta_BTH: Tensor,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    **other: Any,
) -> tuple[Tensor, Tensor | None]:
    """o = scale q S, where S[t] = exp(g) S[t-1] + k u and u = beta (v - k exp(g) S[t-1])."""
    used("gated delta rule")
    set_by_caller = {name: value for name, value in other.items() if value is not None and value is not False}
    if set_by_caller:
        raise NotImplementedError(f"the gated delta rule with {', '.join(set_by_caller)} has no stand-in")
    q, k, v = (t.transpose(1, 2) for t in (q_BTHK, k_BTHK, v_BTHV))
    if use_qk_l2norm_in_kernel:
        q, k = unit(q), unit(k)
    q = q * (q.size(-1) ** -0.5 if scale is None else scale)
    beta = beta_BTH.transpose(1, 2)[..., None]
    decay = g_BTH.cumsum(1).transpose(1, 2)  # (B, H, T): log of what is left of the state before time 0
    steps = torch.arange(decay.size(-1), device=decay.device)
    reads = steps[:, None] >= steps[None, :]
    left = (decay[..., :, None] - decay[..., None, :]).masked_fill(~reads, float("-inf")).exp()
    wanted = v
    if initial_state is not None:
        wanted = v - decay.exp()[..., None] * (k @ initial_state)
    system = (beta * (k @ k.transpose(-1, -2)) * left).tril(-1)
    writes = torch.linalg.solve_triangular(system, beta * wanted, upper=False, unitriangular=True)
    out = (q @ k.transpose(-1, -2) * left) @ writes
    if initial_state is not None:
        out = out + decay.exp()[..., None] * (q @ initial_state)
    final = None
    if output_final_state:
        final = (k * left[..., -1, :, None]).transpose(-1, -2) @ writes
        if initial_state is not None:
            final = final + decay[..., -1, None, None].exp() * initial_state
    return out.transpose(1, 2), final


def chunk_gated_delta_rule(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, *args: Any, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """The rule under the package's own names of its arguments."""
    return gated_delta_rule(q, k, v, g, beta, *args, **kwargs)


def chunk_delta_rule(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, *args: Any, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """The rule without decay."""
    return gated_delta_rule(q, k, v, torch.zeros_like(beta), beta, *args, **kwargs)


def unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


class ShortConvolution(nn.Conv1d):
    """Depth-wise over (B, T, D): each output reads the present and the values just before it."""

    def __init__(
        self, hidden_size: int, kernel_size: int, bias: bool = False, activation: str | None = "silu"
    ) -> None:
        super().__init__(
            hidden_size, hidden_size, kernel_size, groups=hidden_size, bias=bias, padding=kernel_size - 1
        )
        self.activation = activation

    def forward(self, x: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:  # type: ignore[override]
        out = super().forward(x.transpose(1, 2))[..., : x.size(1)].transpose(1, 2)
        return (F.silu(out) if self.activation in ("silu", "swish") else out), None


class GatedNorm(nn.Module):
    """`FusedRMSNormGated`: the norm, then the gate."""

    def __init__(self, hidden_size: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.eps = eps

    def forward(self, x: Tensor, g: Tensor | None = None) -> Tensor:
        x = F.rms_norm(x, x.shape[-1:], self.weight, self.eps)
        return x if g is None else x * F.silu(g)


class GatedDeltaNet(nn.Module):
    """One layer; returns (output, None, cache) as the package does."""

    def __init__(
        self,
        hidden_size: int = 2048,
        expand_v: float = 2,
        head_dim: int = 256,
        num_heads: int = 6,
        num_v_heads: int | None = None,
        mode: str = "chunk",
        use_gate: bool = True,
        use_short_conv: bool = True,
        allow_neg_eigval: bool = False,
        conv_size: int = 4,
        conv_bias: bool = False,
        layer_idx: int | None = None,
        norm_eps: float = 1e-5,
        **_: Any,
    ) -> None:
        super().__init__()
        self.hidden_size, self.expand_v, self.mode, self.layer_idx = hidden_size, expand_v, mode, layer_idx
        self.use_gate, self.use_short_conv, self.allow_neg_eigval = use_gate, use_short_conv, allow_neg_eigval
        self.num_heads, self.num_v_heads = num_heads, num_v_heads or num_heads
        self.head_dim = self.head_k_dim = head_dim
        self.head_v_dim = int(head_dim * expand_v)
        self.key_dim, self.value_dim = num_heads * head_dim, self.num_v_heads * self.head_v_dim
        for name in ("q", "k"):
            setattr(self, f"{name}_proj", nn.Linear(hidden_size, self.key_dim, bias=False))
        self.v_proj = nn.Linear(hidden_size, self.value_dim, bias=False)
        self.a_proj = nn.Linear(hidden_size, self.num_v_heads, bias=False)
        self.b_proj = nn.Linear(hidden_size, self.num_v_heads, bias=False)
        self.A_log = nn.Parameter(torch.empty(self.num_v_heads).uniform_(0, 16).log())
        low, high = math.log(0.001), math.log(0.1)
        dt = torch.exp(torch.rand(self.num_v_heads) * (high - low) + low).clamp(min=1e-4)
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        if use_short_conv:
            self.q_conv1d = ShortConvolution(self.key_dim, conv_size, conv_bias)
            self.k_conv1d = ShortConvolution(self.key_dim, conv_size, conv_bias)
            self.v_conv1d = ShortConvolution(self.value_dim, conv_size, conv_bias)
        if use_gate:
            self.g_proj = nn.Linear(hidden_size, self.value_dim, bias=False)
        self.o_norm = GatedNorm(self.head_v_dim, norm_eps)
        self.o_proj = nn.Linear(self.value_dim, hidden_size, bias=False)

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> tuple[Tensor, None, Any]:
        asked = [name for name, value in kwargs.items() if value is not None and value is not False]
        if asked:
            raise NotImplementedError(f"GatedDeltaNet with {', '.join(asked)} has no stand-in")
        q, k, v = (self._read(name, hidden_states) for name in "qkv")
        q, k = (t.unflatten(-1, (self.num_heads, self.head_k_dim)) for t in (q, k))
        v = v.unflatten(-1, (self.num_v_heads, self.head_v_dim))
        if self.num_v_heads != self.num_heads:
            q, k = (t.repeat_interleave(self.num_v_heads // self.num_heads, dim=2) for t in (q, k))
        beta = torch.sigmoid(self.b_proj(hidden_states).float()) * (2.0 if self.allow_neg_eigval else 1.0)
        g = -self.A_log.float().exp() * F.softplus(self.a_proj(hidden_states).float() + self.dt_bias)
        out, _ = gated_delta_rule(q, k, v, g, beta, use_qk_l2norm_in_kernel=True)
        gate = self.g_proj(hidden_states).unflatten(-1, out.shape[-2:]) if self.use_gate else None
        return self.o_proj(self.o_norm(out, gate).flatten(-2)), None, None

    def _read(self, name: str, x: Tensor) -> Any:
        read = getattr(self, f"{name}_proj")(x)
        return getattr(self, f"{name}_conv1d")(read)[0] if self.use_short_conv else F.silu(read)


def _without_stand_in(name: str) -> type:
    def refuse(*_: Any, **__: Any) -> None:
        raise NotImplementedError(f"fla's {name} has no stand-in")

    return type(name, (nn.Module,), {"__init__": refuse})


def module(name: str) -> types.ModuleType:
    """`fla` and its submodules; layers without a stand-in can be imported and refuse to be made."""
    made = types.ModuleType(name)
    made.__path__ = []
    vars(made).update(
        GatedDeltaNet=GatedDeltaNet,
        ShortConvolution=ShortConvolution,
        FusedRMSNormGated=GatedNorm,
        **dict.fromkeys(
            (
                "chunk_gated_delta_rule",
                "fused_recurrent_gated_delta_rule",
                "naive_chunk_gated_delta_rule",
                "naive_recurrent_gated_delta_rule",
            ),
            chunk_gated_delta_rule,
        ),
        **dict.fromkeys(("chunk_delta_rule", "fused_recurrent_delta_rule"), chunk_delta_rule),
        **{
            each: _without_stand_in(each)
            for each in ("GatedDeltaProduct", "Mamba2", "RWKV7Attention", "DeltaNet")
        },
        __version__="0.4.2",
    )
    return made
