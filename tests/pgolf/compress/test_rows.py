"""Quantization errors stay within half a step; each clip rule is its formula; bad input is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgolf.compress import (
    QuantileClip,
    QuantizedTensor,
    SearchClip,
    StdClip,
    dequantize_rows,
    quantize_rows,
)


def gaussian(rows, columns, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    bits=st.integers(2, 8),
    magnitude=st.sampled_from([1e-6, 1e-3, 1.0, 100.0]),
    rows=st.integers(1, 6),
    groups=st.integers(1, 3),
    group_size=st.integers(1, 20),
)
def test_error_is_at_most_half_a_step(seed, bits, magnitude, rows, groups, group_size):
    matrix = magnitude * gaussian(rows, groups * group_size, seed)
    for size in (None, group_size):
        quantized = quantize_rows(matrix, bits, QuantileClip(1.0), group_size=size)
        # fp16 may round the scale down by 2^-11, so the row's largest value may be clipped by as much.
        allowed = 0.5 * quantized.steps_RC + matrix.abs() * 2.0**-10
        assert ((dequantize_rows(quantized) - matrix).abs() <= allowed).all()
        assert quantized.values.abs().max() <= 2 ** (bits - 1) - 1


def test_more_bits_are_closer():
    matrix = gaussian(16, 256)
    errors = [(dequantize_rows(quantize_rows(matrix, bits)) - matrix).pow(2).mean() for bits in (4, 6, 8)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_outliers_are_clipped_at_the_quantile():
    matrix = torch.ones(1, 1000)
    matrix[0, 0] = 1000.0
    restored = dequantize_rows(quantize_rows(matrix, 8, QuantileClip(0.99)))
    assert restored.max() < 1.01
    assert (restored[0, 1:] - 1).abs().max() < 0.01


@pytest.mark.parametrize("clip", [QuantileClip(), StdClip(), SearchClip()])
def test_rows_of_zeros_stay_zeros(clip):
    assert not dequantize_rows(quantize_rows(torch.zeros(3, 5), 8, clip)).any()


def test_searched_clips_are_the_best_of_all_clips_tried_alone():
    matrix = gaussian(8, 300) ** 3  # heavy tails: where to clip matters
    quantiles = (0.9, 0.99, 0.999, 1.0)
    searched = dequantize_rows(quantize_rows(matrix, 5, SearchClip(quantiles)))
    for row in range(8):
        errors = []
        for quantile in quantiles:
            clip = np.quantile(np.abs(matrix[row].numpy()), quantile)
            step = float(np.float16(np.float32(clip) / 15))
            restored = np.clip(np.round(matrix[row].numpy() / step), -15, 15) * step
            errors.append(np.square(restored - matrix[row].numpy()).sum())
        assert (searched[row] - matrix[row]).square().sum().item() == pytest.approx(min(errors), rel=1e-3)


def test_std_clip_is_so_many_standard_deviations_and_doubling_it_saves_a_bit_per_value():
    matrix = gaussian(4, 4096) * torch.tensor([[0.1], [1.0], [3.0], [10.0]])
    quantized = quantize_rows(matrix, 6, StdClip(12.85))
    expected = 12.85 * np.std(matrix.numpy(), axis=1) / 31
    assert np.allclose(quantized.scales.float().numpy(), expected, rtol=1e-3)

    def entropy_bits(sigmas):
        values = quantize_rows(matrix, 8, StdClip(sigmas)).values.numpy()
        share = np.unique(values, return_counts=True)[1] / values.size
        return -(share * np.log2(share)).sum()

    assert entropy_bits(10.0) - entropy_bits(20.0) == pytest.approx(1.0, abs=0.02)


def test_groups_are_quantized_as_if_each_were_a_row():
    matrix = gaussian(3, 12) * torch.logspace(-2, 2, 12)
    grouped = quantize_rows(matrix, 7, SearchClip(), group_size=4)
    assert grouped.scales.shape == (3, 3)
    for row in range(3):
        for group in range(3):
            columns = slice(4 * group, 4 * group + 4)
            alone = quantize_rows(matrix[row : row + 1, columns], 7, SearchClip())
            assert torch.equal(grouped.values[row, columns], alone.values[0])
            assert grouped.scales[row, group] == alone.scales[0]
    by_row = dequantize_rows(quantize_rows(matrix, 7, SearchClip()))
    assert (dequantize_rows(grouped) - matrix).square().sum() < (by_row - matrix).square().sum()


@pytest.mark.parametrize(
    "bad",
    [
        torch.ones(3),
        torch.ones(2, 2, dtype=torch.int64),
        torch.tensor([[torch.nan]]),
        torch.full((1, 2), 1e8),
    ],
)
def test_what_cannot_be_quantized_is_refused(bad):
    with pytest.raises(ValueError, match="float matrix|NaN|overflows fp16"):
        quantize_rows(bad, 8)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="bits must be 2 to 8, got 9"):
        quantize_rows(torch.ones(2, 2), 9)
    with pytest.raises(ValueError, match="clip quantile must be in"):
        QuantileClip(0.0)
    with pytest.raises(ValueError, match="clip quantile must be in"):
        SearchClip((0.5, 1.1))
    with pytest.raises(ValueError, match="sigmas must be positive"):
        StdClip(0.0)
    with pytest.raises(ValueError, match="group_size 3 does not divide rows of 4"):
        quantize_rows(torch.ones(2, 4), 8, group_size=3)
    with pytest.raises(ValueError, match="one scale per row"):
        QuantizedTensor(torch.zeros(2, 2, dtype=torch.int8), torch.zeros(3), 8)
