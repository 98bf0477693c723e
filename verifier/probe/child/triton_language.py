"""`triton.language` on a CPU: each operation of a kernel's body, on numpy blocks.

The operations are executed as the kernel's own Python calls them, one program at a time. An operation that
is not here raises an error that names it.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from verifier.probe.child.triton_block import Block, Descriptor, Pointer, PointerType, block, numpy_type


@dataclass
class Program:
    """Which program of the grid is running."""

    index: tuple[int, int, int] = (0, 0, 0)
    grid: tuple[int, int, int] = (1, 1, 1)


RUNNING = Program()


class constexpr:
    """`tl.constexpr`: as an annotation it marks a compile-time argument, called it gives the value."""

    def __new__(cls, value: Any) -> Any:
        return value


class Unsupported(NotImplementedError):
    """A kernel asked for something that has no stand-in."""


def program_id(axis: int = 0) -> Block:
    return block(RUNNING.index[axis])


def num_programs(axis: int = 0) -> Block:
    return block(RUNNING.grid[axis])


def load(pointer: Any, mask: Any = None, other: Any = None, **_: Any) -> Block:
    if isinstance(pointer, Descriptor):
        return pointer.load([0] * len(pointer.shape))
    return _pointer(pointer).memory.read(pointer.offsets, mask, other)


def store(pointer: Any, value: Any, mask: Any = None, **_: Any) -> None:
    _pointer(pointer).memory.write(pointer.offsets, value, mask)


def atomic_add(pointer: Any, value: Any, mask: Any = None, **_: Any) -> Block:
    """Programs run one after another, so an atomic sum has one fixed order."""
    memory = _pointer(pointer).memory
    before = memory.read(pointer.offsets, mask, 0)
    offsets, values = np.broadcast_arrays(pointer.offsets, value)
    keep = np.broadcast_to(True if mask is None else mask, offsets.shape)
    total = np.zeros(memory.array.size, dtype=memory.array.dtype)
    np.add.at(total, offsets[keep], values[keep].astype(memory.array.dtype))
    where = np.unique(offsets[keep])
    memory.write(where, memory.array[where] + total[where], None)
    return before


def _pointer(pointer: Any) -> Pointer:
    if not isinstance(pointer, Pointer):
        raise Unsupported(f"load or store through {type(pointer).__name__}")
    return pointer


def make_tensor_descriptor(base: Pointer, shape: Any, strides: Any, block_shape: Any, **_: Any) -> Descriptor:
    return Descriptor(base, shape, strides, block_shape)


def arange(start: int, end: int) -> Block:
    return block(np.arange(int(start), int(end)))


def full(shape: Any, value: Any, dtype: Any) -> Block:
    return block(np.full([int(each) for each in shape], value, dtype=numpy_type(dtype)))


def zeros(shape: Any, dtype: Any) -> Block:
    return full(shape, 0, dtype)


def dot(a: Any, b: Any, acc: Any = None, *_: Any, out_dtype: Any = None, **__: Any) -> Block:
    """The product of two tiles, summed in float32 (float64 for float64 tiles)."""
    wide = np.float64 if np.asarray(a).dtype == np.float64 else np.float32
    product = np.asarray(a).astype(wide) @ np.asarray(b).astype(wide)
    out = product if acc is None else product + np.asarray(acc)
    return block(out if out_dtype is None else out.astype(numpy_type(out_dtype)))


def where(condition: Any, x: Any, y: Any) -> Block:
    either = x if isinstance(x, Block) else y
    dtype = either.dtype if isinstance(either, Block) else None
    if isinstance(x, Block) and isinstance(y, Block):
        return block(np.where(np.asarray(condition), np.asarray(x), np.asarray(y)))
    if dtype is not None and dtype.kind != "f" and (isinstance(x, float) or isinstance(y, float)):
        dtype = np.dtype(np.float32)
    if dtype is None:
        dtype = np.dtype(np.float32 if isinstance(x, float) or isinstance(y, float) else np.int64)
    return block(np.where(np.asarray(condition), np.asarray(x, dtype), np.asarray(y, dtype)))


def split(x: Block) -> tuple[Block, Block]:
    return block(np.asarray(x)[..., 0]), block(np.asarray(x)[..., 1])


def join(x: Any, y: Any) -> Block:
    return block(np.stack(np.broadcast_arrays(x, y), axis=-1))


def _order(order: Any) -> Any:
    return order[0] if len(order) == 1 and isinstance(order[0], list | tuple) else order


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(
        x: Any, axis: Any = None, keep_dims: bool = False, return_indices: bool = False, **_: Any
    ) -> Any:
        values = np.asarray(x)
        out = block(function(values, axis=axis, keepdims=keep_dims))
        if not return_indices:
            return out.astype(values.dtype) if values.dtype.kind == "f" else out
        indices = (np.argmax if function is np.max else np.argmin)(values, axis=axis, keepdims=keep_dims)
        return out, block(indices)

    return reduce


def _map(function: Callable[..., Any]) -> Callable[..., Any]:
    """An element-wise function; integers go to float32 as on the device."""

    def apply(*args: Any, **_: Any) -> Block:
        arrays = [np.asarray(each) for each in args]
        floats = [each.dtype for each in arrays if each.dtype.kind == "f" and each.ndim] or [
            each.dtype
            for arg, each in zip(args, arrays, strict=True)
            if isinstance(arg, Block) and each.dtype.kind == "f"
        ]
        dtype = max(floats, key=lambda each: each.itemsize) if floats else np.dtype(np.float32)
        return block(function(*(each.astype(dtype, copy=False) for each in arrays)))

    return apply


def _pick(function: Callable[..., Any]) -> Callable[..., Any]:
    """An element-wise choice that keeps the type of its operands."""
    return lambda x, y, *_, **__: function(block(x), block(y))


def _popcount(x: Any) -> Any:
    """Set bits of each 32-bit or 64-bit integer."""
    values = np.atleast_1d(np.asarray(x))
    octets = np.ascontiguousarray(values)[..., None].view(np.uint8)
    counts = np.unpackbits(octets, axis=-1).sum(axis=-1, dtype=np.int32)
    return counts.reshape(np.shape(x))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _erf(x: Any) -> Any:
    return torch.erf(torch.from_numpy(np.array(x))).numpy()


def softmax(x: Any, dim: int = 0, **_: Any) -> Block:
    shifted = np.exp(np.asarray(x) - np.max(x, axis=dim, keepdims=True))
    return block(shifted / shifted.sum(axis=dim, keepdims=True))


def _same(x: Any, *_: Any, **__: Any) -> Any:
    return x


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _static_assert(condition: Any, message: str = "", **_: Any) -> None:
    assert condition, message


def loop(*bounds: Any, **_: Any) -> builtins.range:
    """`tl.range` and `tl.static_range`: scheduling hints change nothing."""
    return builtins.range(*(int(each) for each in bounds))


def cdiv(x: Any, y: Any) -> Any:
    return (x + y - 1) // y


_FLOAT_FUNCTIONS: dict[str, Any] = {
    "exp": np.exp, "exp2": np.exp2, "log": np.log, "log2": np.log2, "log1p": np.log1p, "expm1": np.expm1,
    "sqrt": np.sqrt, "sqrt_rn": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "sin": np.sin, "cos": np.cos,
    "tanh": np.tanh, "sigmoid": _sigmoid, "erf": _erf, "floor": np.floor, "ceil": np.ceil, "pow": np.power,
    "fma": lambda x, y, z: x * y + z, "fdiv": np.divide, "div_rn": np.divide,
    "rint": np.rint, "round": np.rint,
}  # fmt: skip

OPERATIONS: dict[str, Any] = {
    **{name: _map(function) for name, function in _FLOAT_FUNCTIONS.items()},
    "fast_expf": _map(np.exp), "fast_logf": _map(np.log),
    "sum": _reduce(np.sum), "max": _reduce(np.max), "min": _reduce(np.min),
    "xor_sum": _reduce(np.bitwise_xor.reduce),
    "argmax": lambda x, axis, **_: block(np.argmax(x, axis=axis)),
    "argmin": lambda x, axis, **_: block(np.argmin(x, axis=axis)),
    "cumsum": lambda x, axis=0, **_: block(np.cumsum(np.asarray(x), axis=axis, dtype=np.asarray(x).dtype)),
    "cumprod": lambda x, axis=0, **_: block(np.cumprod(np.asarray(x), axis=axis, dtype=np.asarray(x).dtype)),
    "sort": lambda x, dim=-1, descending=False, **_: block(np.sort(x, axis=dim)[::-1 if descending else 1]),
    "flip": lambda x, dim=-1: block(np.flip(np.asarray(x), axis=dim)),
    "popc": lambda x: block(_popcount(x)),
    "softmax": softmax, "abs": lambda x: block(np.abs(np.asarray(x))),
    "maximum": _pick(np.maximum), "minimum": _pick(np.minimum),
    "clamp": lambda x, low, high, **_: np.minimum(np.maximum(block(x), low), high),
    "program_id": program_id, "num_programs": num_programs, "load": load, "store": store,
    "atomic_add": atomic_add, "make_tensor_descriptor": make_tensor_descriptor,
    "arange": arange, "full": full, "zeros": zeros,
    "zeros_like": lambda x: block(np.zeros_like(np.asarray(x))),
    "dot": dot, "where": where, "split": split, "join": join, "cdiv": cdiv,
    "cat": lambda x, y, **_: block(np.concatenate((x, y))),
    "reshape": lambda x, *shape, **_: block(np.asarray(x).reshape(_order(shape))),
    "view": lambda x, *shape, **_: block(np.asarray(x).reshape(_order(shape))),
    "ravel": lambda x, **_: block(np.asarray(x).reshape(-1)),
    "permute": lambda x, *order: block(np.asarray(x).transpose(_order(order))),
    "trans": lambda x, *order: block(x).trans(*_order(order)),
    "broadcast_to": lambda x, *shape: block(x).broadcast_to(_order(shape)),
    "expand_dims": lambda x, axis: block(np.expand_dims(np.asarray(x), axis)),
    "cast": lambda x, dtype, **kwargs: block(x).to(dtype, **kwargs),
    "range": loop, "static_range": loop, "constexpr": constexpr, "tensor": Block, "pointer_type": PointerType,
    "multiple_of": _same, "max_contiguous": _same, "max_constancy": _same, "static_assert": _static_assert,
    "assume": _nothing, "debug_barrier": _nothing, "static_print": _nothing, "device_print": _nothing,
    "device_assert": _nothing, "dtype": torch.dtype, "int1": torch.bool,
}  # fmt: skip
_TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8")


def operation(name: str) -> Any:
    """`tl.<name>`; a dtype follows what torch calls it at this moment (float32 mode renames bfloat16)."""
    if name.startswith("__"):
        raise AttributeError(name)
    if name in _TYPES:
        return getattr(torch, name)
    if name in ("math", "libdevice", "extra", "cuda", "core", "standard"):
        return language(f"triton.language.{name}")
    try:
        return OPERATIONS[name]
    except KeyError:
        raise Unsupported(f"tl.{name} has no stand-in") from None


def language(name: str) -> types.ModuleType:
    """A module whose attributes are the operations."""
    module = types.ModuleType(name)
    module.__path__ = []
    module.__getattr__ = operation  # type: ignore[method-assign]
    return module
