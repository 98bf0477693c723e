"""Flash attention, versions 2 and 3, in plain torch.

Scores are masked before the softmax, so a key outside the mask has weight exactly zero and causality is
exact. Half-precision inputs are computed in float32 and rounded once at the end.
"""

from __future__ import annotations

import dis
import functools
import itertools
import sys
import types
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from verifier.probe.child.uses import used

Window = tuple[int, int] | list[int] | int | None


def attention(
    q_BTHD: Tensor,
    k_BSHD: Tensor,
    v_BSHD: Tensor,
    *,
    causal: bool = False,
    softmax_scale: float | None = None,
    window_size: Window = (-1, -1),
    softcap: float = 0.0,
) -> Tensor:
    """(B, T, H, D) in and out; key heads are repeated for grouped queries."""
    heads, kv_heads = q_BTHD.size(2), k_BSHD.size(2)
    wide = torch.promote_types(q_BTHD.dtype, torch.float32)
    q, k, v = (t.transpose(1, 2).to(wide) for t in (q_BTHD, k_BSHD, v_BSHD))
    if heads != kv_heads:
        k, v = (t.repeat_interleave(heads // kv_heads, dim=1) for t in (k, v))
    mask = mask_of(q.size(2), k.size(2), causal, window_size, q.device)
    out = (
        F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=softmax_scale) if not softcap else None
    )
    if out is None:
        scale = q.size(-1) ** -0.5 if softmax_scale is None else softmax_scale
        scores = torch.tanh(q @ k.transpose(-1, -2) * (scale / softcap)) * softcap
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        out = torch.nan_to_num(torch.softmax(scores, dim=-1)) @ v
    return out.transpose(1, 2).to(q_BTHD.dtype)


def mask_of(
    rows: int, cols: int, causal: bool, window: Window, device: torch.device | None = None
) -> Tensor | None:
    """Which keys a row may read; the last row is aligned with the last key, as flash attention does it."""
    left, right = (window, window) if isinstance(window, int) else tuple(window or (-1, -1))[:2]
    left, right = (-1 if left is None else left), (-1 if right is None else right)
    if causal:
        right = 0
    if left < 0 and right < 0:
        return None
    key, row = torch.arange(cols, device=device), torch.arange(rows, device=device)
    distance = key[None, :] - (row[:, None] + cols - rows)
    mask = torch.ones(rows, cols, dtype=torch.bool, device=device)
    if left >= 0:
        mask = mask & (distance >= -left)
    if right >= 0:
        mask = mask & (distance <= right)
    return mask


def log_sum_exp(
    q_BTHD: Tensor, k_BSHD: Tensor, *, causal: bool, softmax_scale: float | None, window_size: Window
) -> Tensor:
    """(B, H, T): what flash attention returns beside the output."""
    q, k = (t.transpose(1, 2).float() for t in (q_BTHD, k_BSHD))
    k = k.repeat_interleave(q.size(1) // k.size(1), dim=1)
    scores = q @ k.transpose(-1, -2) * (q.size(-1) ** -0.5 if softmax_scale is None else softmax_scale)
    mask = mask_of(q.size(2), k.size(2), causal, window_size, q.device)
    return torch.logsumexp(scores if mask is None else scores.masked_fill(~mask, float("-inf")), dim=-1)


_SCHEDULE = {"deterministic", "num_splits", "pack_gqa", "sm_margin", "scheduler_metadata", "zero_tensors"}
_SHAPE = {"max_seqlen_q", "max_seqlen_k"}
_RETURN = {"return_attn_probs", "return_softmax_lse"}
_VALUE = {"causal", "softmax_scale", "window_size", "softcap"}


def _options(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments that change values; any other one that is set is an error, never ignored."""
    for name, value in kwargs.items():
        off = value is None or (isinstance(value, bool | int | float) and not value)
        if name not in _SCHEDULE | _SHAPE | _RETURN | _VALUE and not off:
            raise NotImplementedError(f"flash attention with {name}={value!r} has no stand-in")
    return {name: value for name, value in kwargs.items() if name in _VALUE and value is not None}


def wants_tuple(frame: types.FrameType) -> bool:
    """Whether the caller takes the result apart: early builds of version 3 return (out, log-sum-exp)."""
    return _taken_apart(frame.f_code, frame.f_lasti)


@functools.cache
def _taken_apart(code: types.CodeType, call: int) -> bool:
    after = (i for i in dis.get_instructions(code) if i.offset > call and i.opname != "CACHE")
    following = list(itertools.islice(after, 2))
    names = [i.opname for i in following]
    if names[:1] == ["UNPACK_SEQUENCE"]:
        return True
    return names == ["LOAD_CONST", "BINARY_SUBSCR"] and isinstance(following[0].argval, int)


def flash_attn_func(q: Tensor, k: Tensor, v: Tensor, **kwargs: Any) -> Any:
    """Batched attention, (B, T, H, D)."""
    used("flash attention")
    options = _options(kwargs)
    out = attention(q, k, v, **options)
    return _answer(out, (q, k), options, kwargs, wants_tuple(sys._getframe(1)))


def flash_attn_varlen_func(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor | None = None,
    *rest: Any,
    **kwargs: Any,
) -> Any:
    """Packed documents, (T, H, D): each attends to itself alone. Rows after the last document are zero."""
    used("flash attention varlen")
    options = _options(kwargs)
    if len(rest) > 2:
        raise NotImplementedError("flash attention varlen with more than seven positional arguments")
    ends_q = cu_seqlens_q.tolist()
    ends_k = ends_q if cu_seqlens_k is None else cu_seqlens_k.tolist()
    pieces = [
        attention(q[None, a:b], k[None, c:d], v[None, c:d], **options)[0]
        for a, b, c, d in zip(ends_q, ends_q[1:], ends_k, ends_k[1:], strict=False)
        if b > a
    ]
    missing = q.size(0) - sum(piece.size(0) for piece in pieces)
    out = torch.cat([*pieces, q.new_zeros(missing, q.size(1), v.size(2))])
    if wants_tuple(sys._getframe(1)) or _asks_for_more(kwargs):
        return out, None
    return out


def flash_attn_qkvpacked_func(qkv: Tensor, **kwargs: Any) -> Any:
    """(B, T, 3, H, D)."""
    used("flash attention")
    return attention(*qkv.unbind(2), **_options(kwargs))


def _asks_for_more(kwargs: dict[str, Any]) -> bool:
    return any(kwargs.get(name) for name in _RETURN)


def _answer(
    out: Tensor, qk: tuple[Tensor, Tensor], options: dict[str, Any], kwargs: dict[str, Any], taken_apart: bool
) -> Any:
    if not taken_apart and not _asks_for_more(kwargs):
        return out
    if options.get("softcap"):
        raise NotImplementedError("flash attention's log-sum-exp with softcap has no stand-in")
    lse = log_sum_exp(
        *qk,
        causal=options.get("causal", False),
        softmax_scale=options.get("softmax_scale"),
        window_size=options.get("window_size"),
    )
    return (out, lse, None) if kwargs.get("return_attn_probs") else (out, lse)


def _no_cache(*_: Any, **__: Any) -> None:
    raise NotImplementedError("flash_attn_with_kvcache has no stand-in")


def module(name: str) -> types.ModuleType:
    """A module of any of the packages that flash attention is shipped in."""
    made = types.ModuleType(name)
    made.__path__ = []
    vars(made).update(
        flash_attn_func=flash_attn_func,
        flash_attn_varlen_func=flash_attn_varlen_func,
        flash_attn_qkvpacked_func=flash_attn_qkvpacked_func,
        flash_attn_with_kvcache=_no_cache,
        __version__="3.0.0",
    )
    return made


def kernel_hub(name: str) -> types.ModuleType:
    """`kernels`, which loads compiled kernels from a hub by repository name."""
    made = types.ModuleType(name)
    made.__path__ = []
    made.get_kernel = _kernel  # type: ignore[attr-defined]
    return made


def _kernel(repository: str, *_: Any, **__: Any) -> types.ModuleType:
    if "flash" not in repository:
        raise NotImplementedError(f"the kernel {repository} has no stand-in")
    made = module("flash_attn")
    made.flash_attn_interface = module("flash_attn_interface")  # type: ignore[attr-defined]
    return made
