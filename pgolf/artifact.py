"""The model file of a submission: quantized tensors and the model's shape, compressed, without pickle.

Layout of the file:
    8 bytes   magic "PGOLF\\0", format version 1, codec (1 zlib, 2 zstandard)
    8 bytes   little-endian length of the body before compression
    rest      the compressed body: uint32 header length, JSON header, then each tensor's raw bytes in order

The JSON header holds the model config, the training length and one entry per tensor: name, shape, kind,
bits. Reading allocates nothing that the header does not justify and never runs code from the file.
"""

from __future__ import annotations

import json
import os
import struct
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard
from torch import Tensor

from pgolf.model import GPT, GPTConfig
from pgolf.quantize import QuantizationConfig, QuantizedTensor, dequantize_state, quantize_state

MAGIC = b"PGOLF\0"
VERSION = 1
LARGEST_BODY = 1 << 30  # a 16 MB file of the contest holds far less; a larger claim is damage or malice
FLOAT_KINDS = {"fp32": torch.float32, "fp16": torch.float16, "int64": torch.int64}

NUMPY_DTYPES = {torch.float32: "<f4", torch.float16: "<f2", torch.int64: "<i8", torch.int8: "<i1"}


class ArtifactError(ValueError):
    """The file is not an artifact, or is damaged; the message says at which part."""


class Scheme(StrEnum):
    """Bits of a matrix weight, and the compressor."""

    INT8_ZLIB = "int8+zlib"
    INT6_ZSTD = "int6+zstd"

    @property
    def quantization(self) -> QuantizationConfig:
        return QuantizationConfig(matrix_bits=8 if self is Scheme.INT8_ZLIB else 6)

    @property
    def label(self) -> str:
        """As in the contest's `final_int8_zlib_roundtrip` line."""
        return self.value.replace("+", "_")


@dataclass(frozen=True)
class Artifact:
    """What a model file says: the shape and the weights, still quantized."""

    config: GPTConfig
    tensors: Mapping[str, Tensor | QuantizedTensor]
    train_seq_len: int
    """Positions that the model saw together in training: a sensible window for scoring it."""

    def build_model(self) -> GPT:
        """The fp32 model on the CPU. ArtifactError when tensors and shape disagree."""
        if self.config.num_layers > len(self.tensors):
            raise ArtifactError(f"{len(self.tensors)} tensors do not fit {self.config.num_layers:,} layers")
        try:
            # Built without memory: a header that claims a huge model must not allocate one.
            with torch.device("meta"):
                model = GPT(self.config)
            model.load_state_dict(dequantize_state(self.tensors), strict=True, assign=True)
        except RuntimeError as error:
            raise ArtifactError(f"the tensors do not fit the model's shape: {error}") from None
        return model


def pack_model(model: GPT, scheme: Scheme = Scheme.INT8_ZLIB, *, train_seq_len: int = 1024) -> bytes:
    """The artifact of a model, as bytes. Deterministic: the same weights give the same bytes."""
    tensors = quantize_state(model.artifact_state(), scheme.quantization)
    entries: list[dict[str, Any]] = []
    payload: list[bytes] = []
    for name, tensor in tensors.items():
        if isinstance(tensor, QuantizedTensor):
            entries.append(
                {"name": name, "shape": list(tensor.values.shape), "kind": "rows", "bits": tensor.bits}
            )
            payload += [_raw(tensor.scales), _raw(tensor.values)]
        else:
            kind = next(kind for kind, dtype in FLOAT_KINDS.items() if dtype == tensor.dtype)
            entries.append({"name": name, "shape": list(tensor.shape), "kind": kind})
            payload.append(_raw(tensor))
    shape = replace(model.config, mtp_heads=0)  # as in the state: heads of training are not scored
    contents = {"model": shape.to_json(), "train_seq_len": train_seq_len, "tensors": entries}
    header = json.dumps(contents, separators=(",", ":")).encode()
    body = struct.pack("<I", len(header)) + header + b"".join(payload)
    if scheme is Scheme.INT8_ZLIB:
        codec, compressed = 1, zlib.compress(body, level=9)
    else:
        codec, compressed = 2, zstandard.ZstdCompressor(level=22).compress(body)
    return MAGIC + bytes((VERSION, codec)) + struct.pack("<Q", len(body)) + compressed


def unpack(data: bytes) -> Artifact:
    """Parse an artifact.

    Raises:
        ArtifactError: wrong magic, version or codec, damaged compression, or a header that does not
            account for every byte.
    """
    if len(data) < 16 or data[:6] != MAGIC:
        raise ArtifactError(f"starts with {data[:6]!r}, expected {MAGIC!r}; not a pgolf artifact")
    if data[6] != VERSION:
        raise ArtifactError(f"artifact version {data[6]}, expected {VERSION}")
    (body_bytes,) = struct.unpack("<Q", data[8:16])
    if body_bytes > LARGEST_BODY:
        raise ArtifactError(f"claims {body_bytes:,} bytes uncompressed; at most {LARGEST_BODY:,} are read")
    body = _decompress(data[16:], codec=data[7], body_bytes=body_bytes)
    if len(body) != body_bytes:
        raise ArtifactError(f"{len(body):,} bytes after decompression, expected {body_bytes:,}")
    try:
        (header_bytes,) = struct.unpack_from("<I", body)
        header = json.loads(body[4 : 4 + header_bytes])
        config = GPTConfig.from_json(header["model"])
        train_seq_len = header["train_seq_len"]
        if type(train_seq_len) is not int or train_seq_len < 1:
            raise ArtifactError(f"train_seq_len is {train_seq_len!r}; expected a positive integer")
        tensors = _tensors(header["tensors"], memoryview(body)[4 + header_bytes :])
        return Artifact(config, tensors, train_seq_len)
    except ArtifactError:
        raise
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ArtifactError(f"damaged header: {type(error).__name__}: {error}") from None


def save_artifact(
    path: Path, model: GPT, scheme: Scheme = Scheme.INT8_ZLIB, *, train_seq_len: int = 1024
) -> int:
    """Write the artifact of a model, whole or not at all; returns the file's bytes."""
    data = pack_model(model, scheme, train_seq_len=train_seq_len)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(data)
    os.replace(file.name, path)
    return len(data)


def load_artifact(path: Path) -> Artifact:
    """Read an artifact from a file; every error names the file."""
    try:
        return unpack(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; `pgolf train` writes an artifact") from None
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from None


def _raw(tensor: Tensor) -> bytes:
    array = tensor.contiguous().numpy()
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _decompress(compressed: bytes, *, codec: int, body_bytes: int) -> bytes:
    try:
        if codec == 1:
            return zlib.decompressobj().decompress(compressed, body_bytes + 1)
        if codec == 2:
            if zstandard.frame_content_size(compressed) != body_bytes:
                raise ArtifactError("the compressed frame's length is not the header's")
            return zstandard.ZstdDecompressor().decompress(compressed, max_output_size=body_bytes)
    except (zlib.error, zstandard.ZstdError) as error:
        raise ArtifactError(f"cannot decompress: {error}") from None
    raise ArtifactError(f"codec {codec}; expected 1 (zlib) or 2 (zstandard)")


def _tensors(entries: list[dict[str, Any]], payload: memoryview) -> dict[str, Tensor | QuantizedTensor]:
    offset = 0

    def take(shape: list[int], dtype: torch.dtype) -> Tensor:
        nonlocal offset
        if not all(type(size) is int and size >= 0 for size in shape):
            raise ArtifactError(f"tensor shape {shape}; expected non-negative integers")
        # Python's own integers: a product that overflows 64 bits must not pass the check below.
        count = 1
        for size in shape:
            count *= size
        size_bytes = count * dtype.itemsize
        if offset + size_bytes > len(payload):
            raise ArtifactError(
                f"truncated: a tensor needs {size_bytes:,} bytes at {offset:,} of {len(payload):,}"
            )
        raw = np.frombuffer(payload, dtype=NUMPY_DTYPES[dtype], count=count, offset=offset)
        offset += size_bytes
        return torch.from_numpy(raw.astype(raw.dtype.newbyteorder("="))).view(shape)

    tensors: dict[str, Tensor | QuantizedTensor] = {}
    for entry in entries:
        shape = entry["shape"]
        if entry["kind"] == "rows":
            scales = take(shape[:1], torch.float16)
            tensors[entry["name"]] = QuantizedTensor(take(shape, torch.int8), scales, entry["bits"])
        elif entry["kind"] in FLOAT_KINDS:
            tensors[entry["name"]] = take(shape, FLOAT_KINDS[entry["kind"]])
        else:
            raise ArtifactError(f"tensor kind {entry['kind']!r}; expected rows, {', '.join(FLOAT_KINDS)}")
    if offset != len(payload):
        raise ArtifactError(f"{len(payload) - offset:,} bytes after the last tensor")
    return tensors
