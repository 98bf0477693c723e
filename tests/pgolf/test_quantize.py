"""Quantization errors stay within half a step; what must stay a float does."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgolf.model import GPT, GPTConfig
from pgolf.quantize import (
    QuantizationConfig,
    QuantizedTensor,
    dequantize_rows,
    dequantize_state,
    quantize_rows,
    quantize_state,
)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    bits=st.integers(2, 8),
    magnitude=st.sampled_from([1e-6, 1e-3, 1.0, 100.0]),
    rows=st.integers(1, 6),
    columns=st.integers(1, 40),
)
def test_error_is_at_most_half_a_step(seed, bits, magnitude, rows, columns):
    matrix = magnitude * torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    quantized = quantize_rows(matrix, bits, clip_quantile=1.0)
    steps = quantized.scales.float()[:, None]
    # fp16 may round the scale down by 2^-11, so the row's largest value may be clipped by as much.
    allowed = 0.5 * steps + matrix.abs() * 2.0**-10
    assert ((dequantize_rows(quantized) - matrix).abs() <= allowed).all()
    assert quantized.values.abs().max() <= 2 ** (bits - 1) - 1


def test_more_bits_are_closer():
    matrix = torch.randn(16, 256, generator=torch.Generator().manual_seed(0))
    errors = [(dequantize_rows(quantize_rows(matrix, bits)) - matrix).pow(2).mean() for bits in (4, 6, 8)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_outliers_are_clipped_at_the_quantile():
    matrix = torch.ones(1, 1000)
    matrix[0, 0] = 1000.0
    restored = dequantize_rows(quantize_rows(matrix, 8, clip_quantile=0.99))
    assert restored.max() < 1.01
    assert (restored[0, 1:] - 1).abs().max() < 0.01


def test_rows_of_zeros_stay_zeros():
    assert not dequantize_rows(quantize_rows(torch.zeros(3, 5), 8)).any()


def test_state_keeps_control_and_small_tensors_as_floats():
    state = GPT(GPTConfig.tiny(vocab_size=1024)).state_dict()
    quantized = quantize_state(state, QuantizationConfig(matrix_bits=6, keep_float_max_values=20_000))
    assert isinstance(quantized["tok_emb.weight"], QuantizedTensor)
    assert quantized["tok_emb.weight"].bits == 8
    assert quantized["blocks.0.mlp.up.weight"].bits == 6
    assert quantized["blocks.0.attn.query.weight"].dtype == torch.float16
    assert quantized["blocks.0.resid_mix"].dtype == torch.float32
    restored = dequantize_state(quantized)
    assert {name: tensor.shape for name, tensor in restored.items()} == {n: t.shape for n, t in state.items()}


@pytest.mark.parametrize(
    "bad", [torch.ones(3), torch.ones(2, 2, dtype=torch.int64), torch.tensor([[torch.nan]])]
)
def test_what_cannot_be_quantized_is_refused(bad):
    with pytest.raises(ValueError, match="float matrix|NaN"):
        quantize_rows(bad, 8)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="matrix_bits must be 2 to 8, got 9"):
        QuantizationConfig(matrix_bits=9)
    with pytest.raises(ValueError, match="clip_quantile"):
        QuantizationConfig(clip_quantile=0.0)
    with pytest.raises(ValueError, match="one scale per row"):
        QuantizedTensor(torch.zeros(2, 2, dtype=torch.int8), torch.zeros(3), 8)
