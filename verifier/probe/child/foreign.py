"""Libraries that exist only on GPU machines, in plain torch: flash attention, Triton, loggers.

Each is installed only when the real one cannot be imported. Attention is computed in float32 with an
explicit causal mask, so causality is exact.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from verifier.probe.child.uses import used


def attention(
    q_BTHD: Tensor,
    k_BSHD: Tensor,
    v_BSHD: Tensor,
    *_: Any,
    causal: bool = False,
    softmax_scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    **__: Any,
) -> Tensor:
    """`flash_attn_func`: (B, T, H, D) in and out, grouped heads, causal and windowed masks."""
    used("flash attention")
    heads, kv_heads = q_BTHD.size(2), k_BSHD.size(2)
    q, k, v = (t.transpose(1, 2) for t in (q_BTHD, k_BSHD, v_BSHD))
    if heads != kv_heads:
        k, v = (t.repeat_interleave(heads // kv_heads, dim=1) for t in (k, v))
    rows, cols = q.size(2), k.size(2)
    left, right = (window_size if window_size is not None else (-1, -1))[:2]
    mask = None
    if causal or left >= 0 or right >= 0:
        distance = torch.arange(cols)[None, :] - (torch.arange(rows) + cols - rows)[:, None]
        mask = distance <= 0 if causal else torch.ones(rows, cols, dtype=torch.bool)
        if left >= 0:
            mask = mask & (distance >= -left)
        if right >= 0 and not causal:
            mask = mask & (distance <= right)
    out = F.scaled_dot_product_attention(q, k, v.to(q.dtype), attn_mask=mask, scale=softmax_scale)
    return out.transpose(1, 2)


def varlen_attention(
    q_THD: Tensor,
    k_SHD: Tensor,
    v_SHD: Tensor,
    cu_seqlens_q: Tensor | None = None,
    cu_seqlens_k: Tensor | None = None,
    *_: Any,
    **kwargs: Any,
) -> Tensor:
    """`flash_attn_varlen_func`: packed documents, (T, H, D) in and out."""
    cu_q = kwargs.pop("cu_seqlens_q", cu_seqlens_q)
    cu_k = kwargs.pop("cu_seqlens_k", cu_seqlens_k)
    assert cu_q is not None
    starts_q = cu_q.tolist()
    starts_k = starts_q if cu_k is None else cu_k.tolist()
    out = torch.zeros(q_THD.size(0), q_THD.size(1), v_SHD.size(2), dtype=q_THD.dtype)
    pieces = []
    for (a, b), (c, d) in zip(zip(starts_q, starts_q[1:], strict=False), zip(starts_k, starts_k[1:], strict=False),
                              strict=True):  # fmt: skip
        if b > a:
            pieces.append(attention(q_THD[None, a:b], k_SHD[None, c:d], v_SHD[None, c:d], **kwargs)[0])
    whole = torch.cat(pieces) if pieces else out[:0]
    return whole if whole.size(0) == out.size(0) else torch.cat((whole, out[whole.size(0) :]))


def with_lse(function: Any) -> Any:
    """Some versions return (out, softmax_lse); scripts that index [0] get the output."""
    return function


def _flash_module(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.flash_attn_func = attention  # type: ignore[attr-defined]
    module.flash_attn_varlen_func = varlen_attention  # type: ignore[attr-defined]
    module.flash_attn_with_kvcache = attention  # type: ignore[attr-defined]
    module.__version__ = "3.0.0"  # type: ignore[attr-defined]
    return module


class _Anything:
    """A stand-in for a logger or an optional tool: every attribute and call yields another stand-in."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()

    def __call__(self, *_: Any, **__: Any) -> Any:
        return _Anything()

    def __bool__(self) -> bool:
        return False


def _stand_in(attribute: str) -> Any:
    return getattr(_Anything(), attribute)


def _install_dynamo() -> None:
    """A stand-in for `torch._dynamo`, whose import alone costs a second; nothing is compiled here."""
    dynamo = types.ModuleType("torch._dynamo")
    dynamo.__path__ = []  # type: ignore[attr-defined]
    dynamo.config = _Anything()  # type: ignore[attr-defined]
    dynamo.disable = lambda fn=None, *_, **__: fn if fn is not None else (lambda f: f)  # type: ignore[attr-defined]
    dynamo.is_compiling = lambda: False  # type: ignore[attr-defined]
    for name in ("optimize", "allow_in_graph", "disallow_in_graph", "graph_break", "mark_dynamic", "mark_static",
                 "reset", "explain", "mark_static_address", "maybe_mark_dynamic", "assume_constant_result"):  # fmt: skip
        setattr(dynamo, name, lambda fn=None, *_, **__: fn)
    config = types.ModuleType("torch._dynamo.config")
    config.__getattr__ = _stand_in  # type: ignore[method-assign]
    dynamo.config = config  # type: ignore[attr-defined]
    sys.modules["torch._dynamo"], sys.modules["torch._dynamo.config"] = dynamo, config
    torch._dynamo = dynamo


def install() -> None:
    """Put stand-ins into `sys.modules` for what is missing here."""
    for name in ("flash_attn_interface", "flash_attn", "flash_attn.flash_attn_interface", "flash_attn_3",
                 "flash_attn_3.flash_attn_interface", "hopper", "hopper.flash_attn_interface"):  # fmt: skip
        if not _exists(name):
            sys.modules[name] = _flash_module(name)
    for name in ("flash_attn", "flash_attn_3", "hopper"):
        if name in sys.modules and not hasattr(sys.modules[name], "__path__"):
            sys.modules[name].__path__ = []  # type: ignore[attr-defined]
            sys.modules[name].flash_attn_interface = sys.modules[f"{name}.flash_attn_interface"]  # type: ignore[attr-defined]
    _install_dynamo()
    for name in ("wandb", "tqdm"):
        if not _exists(name):
            module = types.ModuleType(name)
            module.__getattr__ = _stand_in  # type: ignore[method-assign]
            if name == "tqdm":
                module.tqdm = lambda iterable=None, *_, **__: iterable  # type: ignore[attr-defined]
            sys.modules[name] = module


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
