"""The model file of a submission: quantized tensors and the model's shape, compressed, without pickle.

Layout of the file:
    8 bytes   magic "PGOLF\\0", format version 2, codec (1 zlib, 2 zstd, 3 lzma, 4 brotli)
    8 bytes   little-endian length of the body before compression
    rest      the compressed body: uint32 header length, JSON header, then the tensors (`pgolf.compress.layout`)

The JSON header holds the model config, the training length and one entry per tensor: name, shape, kind,
bits. Reading allocates nothing that the header does not justify and never runs code from the file.
"""

from __future__ import annotations

import json
import os
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import torch
from torch import Tensor

from pgolf.compress.codec import CODECS, Codec, CodecError
from pgolf.compress.layout import LayoutError, read_tensors, write_tensors
from pgolf.compress.state import (
    QuantizationConfig,
    Quantizer,
    StoredTensor,
    dequantize_state,
    quantize_state,
)
from pgolf.model import GPT, GPTConfig

MAGIC = b"PGOLF\0"
VERSION = 2
LARGEST_BODY = 1 << 30  # a 16 MB file of the contest holds far less; a larger claim is damage or malice


class ArtifactError(ValueError):
    """The file is not an artifact, or is damaged; the message says at which part."""


class Scheme(StrEnum):
    """Bits of a matrix weight, and the codec. How the bits are chosen is the quantizer's affair."""

    INT8_ZLIB = "int8+zlib"
    INT6_ZSTD = "int6+zstd"
    INT6_LZMA = "int6+lzma"
    INT6_BROTLI = "int6+brotli"
    INT5_BROTLI = "int5+brotli"

    @property
    def bits(self) -> int:
        return int(self.value[len("int")])

    @property
    def codec(self) -> Codec:
        return CODECS[self.value.partition("+")[2]]

    @property
    def quantization(self) -> QuantizationConfig:
        """Rounding to nearest, with the naive baseline's clip."""
        return QuantizationConfig(matrix_bits=self.bits)

    def quantize(self, state: Mapping[str, Tensor]) -> dict[str, StoredTensor]:
        """The quantizer for which nothing needs to be known but the weights."""
        return quantize_state(state, self.quantization)

    @property
    def label(self) -> str:
        """As in the contest's `final_int8_zlib_roundtrip` line."""
        return self.value.replace("+", "_")


@dataclass(frozen=True)
class Artifact:
    """What a model file says: the shape and the weights, still quantized."""

    config: GPTConfig
    tensors: Mapping[str, StoredTensor]
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


def model_state(model: GPT) -> dict[str, Tensor]:
    """What of a model goes into its artifact."""
    return model.artifact_state()


def scored_config(model: GPT) -> GPTConfig:
    """The shape of what goes into the artifact: heads of training are not scored."""
    return replace(model.config, mtp_heads=0)


def pack(artifact: Artifact, codec: Codec) -> bytes:
    """The bytes of an artifact. Deterministic: the same tensors give the same bytes."""
    entries, payload = write_tensors(artifact.tensors)
    contents = {
        "model": artifact.config.to_json(),
        "train_seq_len": artifact.train_seq_len,
        "tensors": entries,
    }
    header = json.dumps(contents, separators=(",", ":")).encode()
    body = struct.pack("<I", len(header)) + header + payload
    return MAGIC + bytes((VERSION, codec.number)) + struct.pack("<Q", len(body)) + codec.compress(body)


def pack_model(
    model: GPT,
    scheme: Scheme = Scheme.INT8_ZLIB,
    *,
    train_seq_len: int = 1024,
    quantizer: Quantizer | None = None,
) -> bytes:
    """The artifact of a model, as bytes; `quantizer` in place of the scheme's rounding to nearest."""
    quantize = scheme.quantize if quantizer is None else quantizer
    return pack(Artifact(scored_config(model), quantize(model_state(model)), train_seq_len), scheme.codec)


def unpack(data: bytes) -> Artifact:
    """Parse an artifact.

    Raises:
        ArtifactError: wrong magic, version or codec, damaged compression, or a header that does not
            account for every byte.
    """
    if len(data) < 16 or data[:6] != MAGIC:
        raise ArtifactError(f"starts with {data[:6]!r}, expected {MAGIC!r}; not a pgolf artifact")
    if data[6] != VERSION:
        raise ArtifactError(f"artifact version {data[6]}, expected {VERSION}; export the model again")
    (body_bytes,) = struct.unpack("<Q", data[8:16])
    if body_bytes > LARGEST_BODY:
        raise ArtifactError(f"claims {body_bytes:,} bytes uncompressed; at most {LARGEST_BODY:,} are read")
    codec = next((codec for codec in CODECS.values() if codec.number == data[7]), None)
    if codec is None:
        known = ", ".join(f"{codec.number} ({codec.name})" for codec in CODECS.values())
        raise ArtifactError(f"codec {data[7]}; expected one of {known}")
    try:
        body = codec.decompress(data[16:], body_bytes)
    except CodecError as error:
        raise ArtifactError(str(error)) from None
    try:
        (header_bytes,) = struct.unpack_from("<I", body)
        header = json.loads(body[4 : 4 + header_bytes])
        config = GPTConfig.from_json(header["model"])
        train_seq_len = header["train_seq_len"]
        if type(train_seq_len) is not int or train_seq_len < 1:
            raise ArtifactError(f"train_seq_len is {train_seq_len!r}; expected a positive integer")
        tensors = read_tensors(header["tensors"], memoryview(body)[4 + header_bytes :])
        return Artifact(config, tensors, train_seq_len)
    except ArtifactError:
        raise
    except LayoutError as error:
        raise ArtifactError(str(error)) from None
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ArtifactError(f"damaged header: {type(error).__name__}: {error}") from None


def write_artifact(path: Path, data: bytes) -> None:
    """Write what `pack` made, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(data)
    os.replace(file.name, path)


def save_artifact(
    path: Path,
    model: GPT,
    scheme: Scheme = Scheme.INT8_ZLIB,
    *,
    train_seq_len: int = 1024,
    quantizer: Quantizer | None = None,
) -> int:
    """Write the artifact of a model; returns the file's bytes."""
    data = pack_model(model, scheme, train_seq_len=train_seq_len, quantizer=quantizer)
    write_artifact(path, data)
    return len(data)


def load_artifact(path: Path) -> Artifact:
    """Read an artifact from a file; every error names the file."""
    try:
        return unpack(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; `pgolf train` writes an artifact") from None
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from None
