"""How a tensor lies in an artifact, before the codec: a JSON entry and raw bytes that compress well.

Integers take a byte each: packing 5 or 6 bits tightly hides the bytes' distribution from the codec, and on a
trained tiny model zstd, lzma and brotli then need 2 to 6 % more (`benchmarks/quantize.py`; zlib alone does 3 %
better on packed int5). They are written column by column, so that neighbours come from rows of like scales, and
wider numbers as planes, all first bytes, then all second bytes (#1229's byte shuffle), since the bytes of an
exponent resemble each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pgolf.compress.codebook import CodebookTensor
from pgolf.compress.rows import QuantizedTensor
from pgolf.compress.state import StoredTensor

FLOAT_KINDS = {"fp32": torch.float32, "fp16": torch.float16, "int64": torch.int64}
NUMPY_DTYPES = {
    torch.float32: "<f4",
    torch.float16: "<f2",
    torch.int64: "<i8",
    torch.int8: "<i1",
    torch.uint8: "<u1",
}


class LayoutError(ValueError):
    """The entries do not account for the bytes."""


def write_tensors(tensors: Mapping[str, StoredTensor]) -> tuple[list[dict[str, Any]], bytes]:
    """An entry for each tensor, and the bytes of all in the same order."""
    entries: list[dict[str, Any]] = []
    payload: list[bytes] = []
    for name, tensor in tensors.items():
        entry: dict[str, Any] = {"name": name}
        parts: tuple[Tensor, ...]
        if isinstance(tensor, QuantizedTensor):
            groups = tensor.scales.shape[1] if tensor.scales.ndim == 2 else None
            entry |= {"kind": "rows", "bits": tensor.bits, "groups": groups}
            shape, parts = tensor.values.shape, (tensor.scales, tensor.values.T)
        elif isinstance(tensor, CodebookTensor):
            entry |= {"kind": "codebook", "codebook": list(tensor.codebook.shape)}
            shape, parts = tensor.indices.shape, (tensor.codebook, tensor.scales, tensor.indices.T)
        else:
            entry["kind"] = next(kind for kind, dtype in FLOAT_KINDS.items() if dtype == tensor.dtype)
            shape, parts = tensor.shape, (tensor,)
        entries.append({**entry, "shape": list(shape)})
        payload += [_planes(part) for part in parts]
    return entries, b"".join(payload)


def read_tensors(entries: list[dict[str, Any]], payload: memoryview) -> dict[str, StoredTensor]:
    """The tensors that `write_tensors` wrote. Allocates nothing that the payload does not hold.

    Raises:
        LayoutError: an entry's kind or shape is none that is written, or the bytes are too few or too many.
        KeyError, TypeError, ValueError, RuntimeError: an entry is not what JSON should hold here.
    """
    reader = _Reader(payload)
    tensors: dict[str, StoredTensor] = {}
    for entry in entries:
        name, shape, kind = entry["name"], entry["shape"], entry["kind"]
        if type(name) is not str or name in tensors:
            raise LayoutError(f"tensor name {name!r}; expected a string that occurs once")
        if kind == "rows":
            groups = entry["groups"]
            scales = reader.take(shape[:1] if groups is None else [*shape[:1], groups], torch.float16)
            values = reader.take(shape[::-1], torch.int8).T.contiguous()
            tensors[name] = QuantizedTensor(values, scales, entry["bits"])
        elif kind == "codebook":
            codebook = reader.take(entry["codebook"], torch.float16)
            scales = reader.take(shape[:1], torch.float16)
            indices = reader.take(shape[::-1], torch.uint8).T.contiguous()
            tensors[name] = CodebookTensor(indices, codebook, scales)
        elif kind in FLOAT_KINDS:
            tensors[name] = reader.take(shape, FLOAT_KINDS[kind])
        else:
            raise LayoutError(f"tensor kind {kind!r}; expected rows, codebook, {', '.join(FLOAT_KINDS)}")
    if reader.left:
        raise LayoutError(f"{reader.left:,} bytes after the last tensor")
    return tensors


def _planes(tensor: Tensor) -> bytes:
    array = tensor.contiguous().cpu().numpy().astype(NUMPY_DTYPES[tensor.dtype], copy=False)
    return array.reshape(-1).view(np.uint8).reshape(-1, array.itemsize).T.tobytes()


class _Reader:
    """Takes one tensor after another from the payload."""

    def __init__(self, payload: memoryview) -> None:
        self._payload = payload
        self._offset = 0

    @property
    def left(self) -> int:
        return len(self._payload) - self._offset

    def take(self, shape: list[int], dtype: torch.dtype) -> Tensor:
        if not all(type(size) is int and size >= 0 for size in shape):
            raise LayoutError(f"tensor shape {shape}; expected non-negative integers")
        # Python's own integers: a product that overflows 64 bits must not pass the check below.
        count = 1
        for size in shape:
            count *= size
        size_bytes = count * dtype.itemsize
        if size_bytes > self.left:
            raise LayoutError(
                f"truncated: a tensor needs {size_bytes:,} bytes at {self._offset:,} of {len(self._payload):,}"
            )
        planes = np.frombuffer(self._payload, np.uint8, size_bytes, self._offset)
        self._offset += size_bytes
        stored = np.dtype(NUMPY_DTYPES[dtype])
        array = np.ascontiguousarray(planes.reshape(dtype.itemsize, count).T).reshape(-1).view(stored)
        return torch.from_numpy(array.astype(stored.newbyteorder("="))).view(shape)
