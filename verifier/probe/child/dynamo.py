"""A stand-in for `torch._dynamo`, whose import alone costs a second; nothing is compiled here."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from verifier.probe.child.optional import anything

_PASS_THROUGH = (
    "optimize", "allow_in_graph", "disallow_in_graph", "graph_break", "mark_dynamic", "mark_static", "reset",
    "explain", "mark_static_address", "maybe_mark_dynamic", "assume_constant_result", "nonstrict_trace",
)  # fmt: skip


def _disable(function: Any = None, *_: Any, **__: Any) -> Any:
    return function if function is not None else _identity


def _identity(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _first(value: Any = None, *_: Any, **__: Any) -> Any:
    return value


def install() -> None:
    """Put the stand-in in the place of `torch._dynamo`, unless it was imported already."""
    if "torch._dynamo" in sys.modules:
        return
    dynamo = types.ModuleType("torch._dynamo")
    dynamo.__path__ = [str(Path(torch.__file__).parent / "_dynamo")]  # its submodules are the real ones
    members: dict[str, Any] = dict.fromkeys(_PASS_THROUGH, _first)
    config = types.ModuleType("torch._dynamo.config")
    config.__getattr__ = anything  # type: ignore[method-assign]
    rules = types.ModuleType("torch._dynamo.trace_rules")  # torch itself clears their caches
    rules.__getattr__ = anything  # type: ignore[method-assign]
    members |= {
        "config": config,
        "disable": _disable,
        "is_compiling": lambda: False,
        "trace_rules": rules,
    }
    vars(dynamo).update(members)
    sys.modules["torch._dynamo"], sys.modules["torch._dynamo.config"] = dynamo, config
    torch._dynamo = dynamo
