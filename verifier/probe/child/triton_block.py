"""Triton's values on a CPU: blocks are numpy arrays, pointers are offsets into a tensor's memory.

Only the rules that differ from numpy's are stated here: a float block meeting an integer stays its own
type, integer division truncates toward zero, and memory is read and written under a mask.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor

NUMPY_TYPES: dict[torch.dtype, Any] = {
    torch.float64: np.float64,
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.int64: np.int64,
    torch.int32: np.int32,
    torch.int16: np.int16,
    torch.int8: np.int8,
    torch.uint8: np.uint8,
    torch.bool: np.bool_,
}


class Block(np.ndarray):
    """A Triton block or scalar."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [each.view(np.ndarray) if isinstance(each, Block) else each for each in inputs]
        if method == "__call__" and ufunc.nin == 2 and not _of_one_float(inputs):
            plain = _promoted(plain, ufunc)
        kwargs.pop("out", None)  # Triton has no in-place operations: `a += b` binds a new value.
        return block(getattr(ufunc, method)(*plain, **kwargs))

    def __floordiv__(self, other: Any) -> Any:
        return block(_truncated(self, other))

    def __rfloordiv__(self, other: Any) -> Any:
        return block(_truncated(other, self))

    def __mod__(self, other: Any) -> Any:
        return block(np.fmod(*_promoted([np.asarray(self), np.asarray(other)], np.fmod)))

    def to(self, dtype: Any, *_: Any, **kwargs: Any) -> Any:
        if isinstance(dtype, PointerType):
            raise NotImplementedError("a cast of an integer to a pointer")
        if kwargs.get("bitcast"):
            return block(np.asarray(self).view(numpy_type(dtype)))
        return block(np.asarray(self).astype(numpy_type(dtype)))

    @property
    def value(self) -> Any:
        return self.item()

    @property
    def T(self) -> Any:
        return block(np.swapaxes(np.asarray(self), -1, -2))

    def trans(self, *order: int) -> Any:
        return block(np.asarray(self).transpose(order)) if order else self.T

    def broadcast_to(self, *shape: Any) -> Any:
        return block(np.broadcast_to(np.asarray(self), shape[0] if len(shape) == 1 else shape))

    def expand_dims(self, axis: int) -> Any:
        return block(np.expand_dims(np.asarray(self), axis))


def _of_one_float(inputs: tuple[Any, ...]) -> bool:
    """Two operands, float blocks of one type or one such block and a Python number: numpy's rules are Triton's."""
    if len(inputs) != 2:
        return False
    left, right = inputs
    if type(left) is Block:
        same = right.dtype is left.dtype if type(right) is Block else type(right) in (float, int)
        return same and left.dtype.kind == "f"
    return type(left) in (float, int) and right.dtype.kind == "f"


class PointerType:
    """`tl.pointer_type(element)`: recognised, so that casts to it fail clearly."""

    def __init__(self, element_ty: Any = None, *_: Any) -> None:
        self.element_ty = element_ty


def block(value: Any) -> Block:
    """Any number or array as a block."""
    return np.asarray(value).view(Block)


def numpy_type(dtype: Any) -> Any:
    """The numpy type that stands for a torch or Triton type; bfloat16 blocks are held in float32."""
    if isinstance(dtype, torch.dtype):
        if dtype in NUMPY_TYPES:
            return NUMPY_TYPES[dtype]
        if dtype.is_floating_point and dtype.itemsize == 2:
            return np.float32
        raise NotImplementedError(f"blocks of {dtype}")
    return dtype


def _promoted(pair: list[Any], ufunc: Any) -> list[Any]:
    """Both operands in the type that Triton computes in: the wider float, if either is a float block."""
    floats = [each.dtype for each in pair if isinstance(each, np.ndarray) and each.dtype.kind == "f"]
    if floats:
        dtype: Any = max(floats, key=lambda each: each.itemsize)
    elif any(isinstance(each, float) for each in pair) or ufunc is np.true_divide:
        dtype = np.float32
    else:
        return pair
    return [np.asarray(each).astype(dtype, copy=False) for each in pair]


def _truncated(left: Any, right: Any) -> Any:
    whole = np.floor_divide(np.abs(left), np.abs(right))
    return np.asarray(whole) * np.sign(np.asarray(left)) * np.sign(np.asarray(right))


class Memory:
    """The storage of one tensor as a flat array; `flush` writes back what numpy has no type for."""

    def __init__(self, tensor: Tensor) -> None:
        flat = tensor.detach()
        size = flat.untyped_storage().nbytes() // flat.element_size()
        self._flat = flat.as_strided((size,), (1,), 0)
        self.dtype = tensor.dtype
        self._copied = tensor.dtype not in NUMPY_TYPES
        self.written = False
        self.array: Any = (self._flat.to(torch.float32) if self._copied else self._flat).numpy()

    def read(self, offsets: Any, mask: Any, other: Any) -> Block:
        if mask is None or (np.shape(mask) == np.shape(offsets) and bool(np.all(mask))):
            self._check(offsets)
            return block(self.array[offsets])
        offsets, mask = np.broadcast_arrays(offsets, mask)
        self._check(offsets[mask])
        values = self.array[np.where(mask, offsets, 0)]
        return block(np.where(mask, values, np.asarray(0 if other is None else other, dtype=values.dtype)))

    def write(self, offsets: Any, value: Any, mask: Any) -> None:
        self.written = True
        offsets, value = np.asarray(offsets), np.asarray(value).astype(self.array.dtype, copy=False)
        if mask is not None and np.shape(mask) == offsets.shape and bool(np.all(mask)):
            mask = None
        shape = np.broadcast_shapes(offsets.shape, value.shape, np.shape(mask))
        offsets, value = np.broadcast_to(offsets, shape), np.broadcast_to(value, shape)
        if mask is not None:
            mask = np.broadcast_to(mask, shape)
            offsets, value = offsets[mask], value[mask]
        self._check(offsets)
        self.array[offsets] = value

    def _check(self, offsets: Any) -> None:
        offsets = np.asarray(offsets)
        if offsets.size and (offsets.min() < 0 or offsets.max() >= self.array.size):
            raise IndexError(f"address outside a tensor of {self.array.size} elements")

    def flush(self) -> None:
        if self._copied and self.written:
            self._flat.copy_(torch.from_numpy(self.array))


class Pointer:
    """An address, or a block of addresses, in a tensor's memory."""

    def __init__(self, memory: Memory, offsets: Any) -> None:
        self.memory, self.offsets = memory, offsets
        self.dtype = PointerType(memory.dtype)

    def __add__(self, other: Any) -> Pointer:
        return Pointer(self.memory, np.asarray(self.offsets + np.asarray(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Pointer:
        return Pointer(self.memory, np.asarray(self.offsets - np.asarray(other)))

    def __getitem__(self, index: Any) -> Pointer:
        return Pointer(self.memory, np.asarray(self.offsets)[index])

    def to(self, *_: Any, **__: Any) -> Pointer:
        raise NotImplementedError("a cast of a pointer")

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.offsets)


class Descriptor:
    """A tensor descriptor: tiles read with zeros outside the tensor, and written only inside it."""

    def __init__(self, pointer: Pointer, shape: Any, strides: Any, block_shape: Any) -> None:
        self._pointer = pointer
        self.shape = [int(each) for each in shape]
        self.strides = [int(each) for each in strides]
        self.block_shape = [int(each) for each in block_shape]
        self.dtype = pointer.memory.dtype

    def load(self, corner: Any) -> Block:
        view = self._view
        if view is None:
            return self._pointer.memory.read(*self._tile(corner), 0)
        inside, part = self._inside(corner)
        tile = np.zeros(self.block_shape, view.dtype)
        tile[part] = view[inside]
        return block(tile)

    def store(self, corner: Any, value: Any) -> None:
        view, value = self._view, np.asarray(value).reshape(self.block_shape)
        if view is None:
            offsets, mask = self._tile(corner)
            self._pointer.memory.write(offsets, value, mask)
            return
        inside, part = self._inside(corner)
        view[inside] = value[part]
        self._pointer.memory.written = True

    @functools.cached_property
    def _view(self) -> Any:
        """The tensor as an array over its memory; None where what is described reaches outside of that."""
        array, start = self._pointer.memory.array, int(self._pointer.offsets)
        last = start + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        if start < 0 or last >= array.size or min(*self.shape, *self.strides) < 1:
            return None
        strides = [stride * array.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(array[start:], self.shape, strides)

    def _inside(self, corner: Any) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """What of the tensor a tile at `corner` covers, and which part of the tile that is."""
        inside, part = [], []
        for start, size, length in zip(map(int, corner), self.block_shape, self.shape, strict=True):
            first = min(max(start, 0), length)
            last = min(max(start + size, first), length)
            inside.append(slice(first, last))
            part.append(slice(first - start, last - start) if last > first else slice(0))
        return tuple(inside), tuple(part)

    def _tile(self, corner: Any) -> tuple[Any, Any]:
        offsets: Any = np.asarray(self._pointer.offsets)
        inside: Any = np.asarray(True)
        for axis, (start, size) in enumerate(zip(corner, self.block_shape, strict=True)):
            span = int(start) + np.arange(size).reshape([-1 if a == axis else 1 for a in range(len(corner))])
            offsets = offsets + span * self.strides[axis]
            inside = inside & (span >= 0) & (span < self.shape[axis])
        return offsets, inside


class Memories:
    """The memories of one launch, one for each storage and type; `pointer` opens a tensor."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, torch.dtype], Memory] = {}

    def pointer(self, tensor: Tensor) -> Pointer:
        key = (tensor.untyped_storage().data_ptr(), tensor.dtype)
        if key not in self._open:
            self._open[key] = Memory(tensor)
        return Pointer(self._open[key], np.asarray(tensor.storage_offset()))

    def flush(self) -> None:
        with contextlib.ExitStack() as stack:
            for memory in self._open.values():
                stack.callback(memory.flush)
