"""`numba` where it is missing: its functions stay Python functions.

Only the decorators, the ranges and the types that scripts name are there; anything else says that it has no
stand-in when it is called.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

from verifier.probe.child.uses import used

_DECORATORS = ("njit", "jit", "vectorize", "guvectorize", "cfunc", "generated_jit")
_TYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")


def _plain(*args: Any, **_: Any) -> Any:
    """A decorator with or without arguments: the function itself."""
    used("numba")
    if len(args) == 1 and callable(args[0]) and not isinstance(args[0], type):
        return args[0]
    return _same


def _same(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def module(name: str) -> types.ModuleType:
    """`numba` or one of its submodules."""
    made = types.ModuleType(name)
    made.__path__ = []
    vars(made).update(dict.fromkeys(_DECORATORS, _plain))
    vars(made).update({each: getattr(np, each) for each in _TYPES})
    vars(made).update(
        prange=range,
        boolean=np.bool_,
        set_num_threads=_nothing,
        get_num_threads=_one,
        __version__="0.60.0",
    )
    return made


def _nothing(*_: Any) -> None:
    return None


def _one() -> int:
    return 1
