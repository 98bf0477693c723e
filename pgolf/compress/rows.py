"""Integers of 2 to 8 bits with one fp16 scale per row, or per group of a row's columns; rounded to nearest.

A row is clipped (`pgolf.compress.clip`), divided by its scale and rounded. The scale is rounded to fp16
before it is used, so what is stored is what was used: inside the clip, the error is at most half a step.
Everything runs on the matrix's own device.

Shapes: K clip candidates, R rows, C columns, G groups of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pgolf.compress.clip import ClipRule, QuantileClip

SMALLEST_SCALE = 2.0**-14  # the smallest normal fp16
BASELINE_CLIP = QuantileClip()


@dataclass(frozen=True)
class QuantizedTensor:
    """`values * scales`. `values` is int8 of the original shape (R, C); `bits` bounds its range."""

    values: Tensor
    scales: Tensor
    """fp16: one per row, of shape (R,), or one per group of C / G neighbouring columns, of shape (R, G)."""
    bits: int

    def __post_init__(self) -> None:
        require_bits(self.bits)
        by_row = self.values.ndim == 2 and self.scales.shape == self.values.shape[:1]
        by_group = (
            self.values.ndim == self.scales.ndim == 2
            and len(self.scales) == len(self.values)
            and self.scales.shape[1] > 0
            and self.values.shape[1] % self.scales.shape[1] == 0
        )
        if self.values.dtype != torch.int8 or not (by_row or by_group):
            raise ValueError(
                f"values are {self.values.dtype} of shape {tuple(self.values.shape)}, scales of shape "
                f"{tuple(self.scales.shape)}; expected an int8 matrix, and one scale per row or per group of "
                "equal size"
            )

    @property
    def steps_RC(self) -> Tensor:
        """The scale of every value, fp32."""
        rows, columns = self.values.shape
        groups = 1 if self.scales.ndim == 1 else self.scales.shape[1]
        scales_RG = self.scales.float().view(rows, groups)
        return scales_RG.repeat_interleave(columns // groups, dim=1)


def quantize_rows(
    matrix_RC: Tensor, bits: int, clip: ClipRule = BASELINE_CLIP, *, group_size: int | None = None
) -> QuantizedTensor:
    """Quantize a float matrix to integers of magnitude at most 2^(bits-1) - 1, rounded to nearest.

    Of several clips, each row (or group) takes the one of least squared error; of equals, the first.

    Raises:
        ValueError: not a finite float matrix, `bits` out of range, or groups that do not divide a row.
    """
    require_bits(bits)
    groups_NC = as_groups(matrix_RC, group_size)
    scales_KN = candidate_scales_KR(groups_NC, bits, clip)
    errors = [_squared_error_R(groups_NC, scales_N, bits) for scales_N in scales_KN]
    best_N = torch.stack(errors).argmin(dim=0)
    scales_N = scales_KN.gather(0, best_N[None])[0]
    values = _round(groups_NC, scales_N, bits).to(torch.int8).view(matrix_RC.shape)
    scales = scales_N if group_size is None else scales_N.view(len(matrix_RC), -1)
    return QuantizedTensor(values, scales, bits)


def dequantize_rows(quantized: QuantizedTensor) -> Tensor:
    """The fp32 matrix that the integers stand for."""
    return quantized.values.float() * quantized.steps_RC


def as_groups(matrix_RC: Tensor, group_size: int | None) -> Tensor:
    """The matrix in fp32 with one scale's columns to a row: (R, C), or (R * G, group_size)."""
    if matrix_RC.ndim != 2 or not matrix_RC.is_floating_point():
        raise ValueError(f"expected a float matrix, got {matrix_RC.dtype} of shape {tuple(matrix_RC.shape)}")
    if not bool(torch.isfinite(matrix_RC).all()):
        raise ValueError("the matrix holds NaN or infinity; training diverged before it was quantized")
    matrix_RC = matrix_RC.detach().float()
    if group_size is None:
        return matrix_RC
    if group_size < 1 or matrix_RC.shape[1] % group_size:
        raise ValueError(f"group_size {group_size} does not divide rows of {matrix_RC.shape[1]} columns")
    return matrix_RC.reshape(-1, group_size)


def candidate_scales_KR(matrix_RC: Tensor, bits: int, clip: ClipRule) -> Tensor:
    """The fp16 scale of each clip that `clip` proposes."""
    clips_KR = clip.candidates_KR(matrix_RC)
    scales_KR = (clips_KR / largest_value(bits)).clamp_min(SMALLEST_SCALE).to(torch.float16)
    if not bool(torch.isfinite(scales_KR).all()):
        raise ValueError(
            f"a scale of {clips_KR.max() / largest_value(bits):.3g} overflows fp16; weights grew"
        )
    return scales_KR


def largest_value(bits: int) -> int:
    return (1 << bits - 1) - 1


def require_bits(bits: int) -> None:
    if type(bits) is not int or not 2 <= bits <= 8:
        raise ValueError(f"bits must be 2 to 8, got {bits}")


def _round(matrix_RC: Tensor, scales_R: Tensor, bits: int) -> Tensor:
    largest = largest_value(bits)
    return (matrix_RC / scales_R.float()[:, None]).round().clamp(-largest, largest)


def _squared_error_R(matrix_RC: Tensor, scales_R: Tensor, bits: int) -> Tensor:
    restored_RC = _round(matrix_RC, scales_R, bits) * scales_R.float()[:, None]
    return (restored_RC - matrix_RC).square().sum(dim=1)
