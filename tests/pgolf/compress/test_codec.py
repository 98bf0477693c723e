"""Codecs give back what they took, refuse what is damaged, and do better on a byte per value than on packed bits."""

import lzma

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgolf.compress import CodebookConfig, StdClip, quantize_rows
from pgolf.compress.codebook import quantize_codebook
from pgolf.compress.codec import CODECS, CodecError
from pgolf.compress.layout import read_tensors, write_tensors


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=2000))
def test_what_is_compressed_comes_back(codec, data):
    assert codec.decompress(codec.compress(data), len(data)) == data


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_damage_and_wrong_sizes_are_refused(codec):
    data = bytes(range(256)) * 20
    packed = codec.compress(data)
    for damaged, size in [
        (packed, len(data) + 1),
        (packed, len(data) - 1),
        (packed[:-3], len(data)),
        (b"\xff" * 40, len(data)),
    ]:
        with pytest.raises(CodecError, match="decompress|frame's length|ends early"):
            codec.decompress(damaged, size)
    with pytest.raises(CodecError):
        codec.decompress(packed + b"more", len(data))


def test_a_small_file_cannot_fill_the_memory():
    for codec in CODECS.values():
        bomb = codec.compress(bytes(5_000_000))
        assert len(bomb) < 10_000
        with pytest.raises(CodecError):
            codec.decompress(bomb, 1000)


def packed_bits(values, bits):
    """Two's complement cut to `bits` and set side by side."""
    unsigned = (values.numpy().astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8)
    return np.packbits(np.unpackbits(unsigned.reshape(-1, 1), axis=1)[:, 8 - bits :].ravel()).tobytes()


@pytest.mark.parametrize("bits", [5, 6])
def test_a_byte_per_value_compresses_better_than_packed_bits(bits):
    matrix = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    values = quantize_rows(matrix, bits, StdClip(2.0 ** (bits - 2))).values
    for codec in (CODECS["lzma"], CODECS["brotli"]):
        loose = len(codec.compress(values.T.contiguous().numpy().tobytes()))
        assert loose < 0.97 * len(codec.compress(packed_bits(values, bits)))


def test_the_lzma_filters_beat_the_presets_on_weights():
    matrix = torch.randn(256, 512, generator=torch.Generator().manual_seed(0))
    data = quantize_rows(matrix, 6, StdClip()).values.numpy().tobytes()
    assert len(CODECS["lzma"].compress(data)) < len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def test_tensors_lie_column_by_column_and_in_byte_planes():
    quantized = quantize_rows(torch.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]]), 8, group_size=3)
    entries, payload = write_tensors({"a": quantized, "b": torch.tensor([1.0, 2.0])})
    assert entries[0] == {"name": "a", "kind": "rows", "bits": 8, "groups": 1, "shape": [2, 3]}
    scales = quantized.scales.numpy().tobytes()
    assert payload[:4] == scales[0::2] + scales[1::2]
    columns = [int(value) for column in quantized.values.T for value in column]
    assert list(np.frombuffer(payload[4:10], np.int8)) == columns
    assert payload[10:] == b"\0\0\0\0\x80\0\x3f\x40"  # 1.0 is 3f800000, 2.0 is 40000000


def test_every_kind_of_tensor_comes_back():
    matrix = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    tensors = {
        "rows": quantize_rows(matrix, 5),
        "groups": quantize_rows(matrix, 7, group_size=2),
        "codes": quantize_codebook(matrix, CodebookConfig(entries=4)),
        "fp32": matrix,
        "fp16": matrix.half(),
        "ids": torch.arange(-3, 3).view(2, 3),
        "empty": torch.empty(0, 6),
    }
    restored = read_tensors(
        *(lambda entries, payload: (entries, memoryview(payload)))(*write_tensors(tensors))
    )
    for name, tensor in tensors.items():
        if isinstance(tensor, torch.Tensor):
            assert restored[name].dtype == tensor.dtype
            assert torch.equal(restored[name], tensor)
        else:
            assert all(
                np.array_equal(a, b)
                for a, b in zip(vars(restored[name]).values(), vars(tensor).values(), strict=True)
            )
