"""Post-training quantization: one scale per matrix row, int8 or int6 values.

A row is clipped at a quantile of its magnitudes, divided by its scale and rounded. The scale is rounded to
fp16 before it is used, so what is stored is what was used: inside the clip, the error is at most half a
step. Small and control tensors are kept as floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pgolf.model import CONTROL_TENSORS, EMBEDDING_TABLES

CLIP_QUANTILE = 0.9999984  # the contest's 99.99984 percentile: for short rows, a hair under the largest value
KEEP_FLOAT_MAX_VALUES = 65_536  # the contest's: below this, scales cost more than they save
SMALLEST_SCALE = 2.0**-14  # the smallest normal fp16


@dataclass(frozen=True)
class QuantizedTensor:
    """`values * scales` by row. `values` is int8 of the original shape; `bits` bounds its range."""

    values: Tensor
    scales: Tensor
    """fp16, one per row: shape (rows,)."""
    bits: int

    def __post_init__(self) -> None:
        if self.values.dtype != torch.int8 or self.scales.shape != self.values.shape[:1]:
            raise ValueError(
                f"values are {self.values.dtype} of shape {tuple(self.values.shape)}, scales of shape "
                f"{tuple(self.scales.shape)}; expected int8 values and one scale per row"
            )


@dataclass(frozen=True)
class QuantizationConfig:
    """How many bits a matrix gets, and which tensors stay floats."""

    matrix_bits: int = 8
    embedding_bits: int = 8
    clip_quantile: float = CLIP_QUANTILE
    keep_float_max_values: int = KEEP_FLOAT_MAX_VALUES

    def __post_init__(self) -> None:
        for name in ("matrix_bits", "embedding_bits"):
            if not 2 <= getattr(self, name) <= 8:
                raise ValueError(f"{name} must be 2 to 8, got {getattr(self, name)}")
        if not 0 < self.clip_quantile <= 1:
            raise ValueError(f"clip_quantile must be in (0, 1], got {self.clip_quantile}")


def quantize_rows(matrix: Tensor, bits: int, clip_quantile: float = CLIP_QUANTILE) -> QuantizedTensor:
    """Quantize a float matrix (R, C) to integers of magnitude at most 2^(bits-1) - 1.

    Raises:
        ValueError: not a matrix, or not finite.
    """
    if matrix.ndim != 2 or not matrix.is_floating_point():
        raise ValueError(f"expected a float matrix, got {matrix.dtype} of shape {tuple(matrix.shape)}")
    if not bool(torch.isfinite(matrix).all()):
        raise ValueError("the matrix holds NaN or infinity; training diverged before it was quantized")
    largest = 2 ** (bits - 1) - 1
    matrix = matrix.detach().float().cpu()
    magnitude = matrix.abs()
    # torch.quantile refuses large inputs as a whole, but takes each row.
    clip = torch.quantile(magnitude, clip_quantile, dim=1) if matrix.numel() else magnitude.sum(dim=1)
    scales = (clip / largest).clamp_min(SMALLEST_SCALE).to(torch.float16)
    values = (matrix / scales.float()[:, None]).round().clamp(-largest, largest).to(torch.int8)
    return QuantizedTensor(values, scales, bits)


def dequantize_rows(quantized: QuantizedTensor) -> Tensor:
    """The fp32 matrix that the integers stand for."""
    return quantized.values.float() * quantized.scales.float()[:, None]


def quantize_state(
    state: Mapping[str, Tensor], config: QuantizationConfig
) -> dict[str, Tensor | QuantizedTensor]:
    """Quantize a model's state: large matrices to integers, control tensors fp32, the rest fp16."""
    quantized: dict[str, Tensor | QuantizedTensor] = {}
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        if not tensor.is_floating_point():
            quantized[name] = tensor
        elif any(control in name for control in CONTROL_TENSORS):
            quantized[name] = tensor.float()
        elif tensor.ndim != 2 or tensor.numel() <= config.keep_float_max_values:
            quantized[name] = tensor.to(torch.float16)
        else:
            bits = config.embedding_bits if name in EMBEDDING_TABLES else config.matrix_bits
            quantized[name] = quantize_rows(tensor, bits, config.clip_quantile)
    return quantized


def dequantize_state(quantized: Mapping[str, Tensor | QuantizedTensor]) -> dict[str, Tensor]:
    """A state that `GPT.load_state_dict` takes: every float as fp32."""
    return {
        name: dequantize_rows(tensor)
        if isinstance(tensor, QuantizedTensor)
        else tensor.float()
        if tensor.is_floating_point()
        else tensor
        for name, tensor in quantized.items()
    }
