"""Which tensor of a model is stored how: the large matrices as integers or codes, the rest as floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pgolf.compress.clip import ClipRule, QuantileClip
from pgolf.compress.codebook import CodebookConfig, CodebookTensor, dequantize_codebook, quantize_codebook
from pgolf.compress.gptq import GPTQConfig, quantize_gptq
from pgolf.compress.rows import QuantizedTensor, dequantize_rows, quantize_rows, require_bits
from pgolf.model import CONTROL_TENSORS, EMBEDDING_TABLES

KEEP_FLOAT_MAX_VALUES = 65_536  # the contest's: below this, scales cost more than they save

StoredTensor = Tensor | QuantizedTensor | CodebookTensor
Quantizer = Callable[[Mapping[str, Tensor]], dict[str, StoredTensor]]
"""From a model's state to what its artifact stores."""


@dataclass(frozen=True)
class QuantizationConfig:
    """How each kind of matrix is quantized, and which tensors stay floats."""

    matrix_bits: int = 8
    embedding_bits: int = 8
    matrix_clip: ClipRule = field(default_factory=QuantileClip)
    embedding_clip: ClipRule = field(default_factory=QuantileClip)
    embedding_group_size: int | None = None
    """Columns of the embedding to a scale; None is the whole row."""
    gptq: GPTQConfig = field(default_factory=GPTQConfig)
    """For the matrices whose Hessian is given."""
    matrix_codebook: CodebookConfig | None = None
    """Store matrices as codes of a codebook in place of integers; `matrix_bits` and `matrix_clip` are unused."""
    keep_float_max_values: int = KEEP_FLOAT_MAX_VALUES

    def __post_init__(self) -> None:
        for name in ("matrix_bits", "embedding_bits"):
            try:
                require_bits(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None


def quantize_state(
    state: Mapping[str, Tensor], config: QuantizationConfig, hessians: Mapping[str, Tensor] | None = None
) -> dict[str, StoredTensor]:
    """Quantize a model's state: large matrices to integers, control tensors fp32, the rest fp16.

    A matrix that has a Hessian goes through GPTQ; one that has none, such as an input table, is rounded to
    nearest. The work is done on each tensor's device; the result lies on the CPU.

    Raises:
        ValueError: a matrix cannot be quantized, or a Hessian has no matrix; the message names it.
    """
    hessians = {} if hessians is None else hessians
    if unknown := sorted(hessians.keys() - state.keys()):
        raise ValueError(f"Hessians of {', '.join(unknown)}, which the model does not hold")
    stored: dict[str, StoredTensor] = {}
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            stored[name] = tensor.detach().cpu()
        elif any(control in name for control in CONTROL_TENSORS):
            stored[name] = tensor.detach().cpu().float()
        elif tensor.ndim != 2 or tensor.numel() <= config.keep_float_max_values:
            stored[name] = tensor.detach().cpu().to(torch.float16)
        else:
            try:
                stored[name] = _quantize(name, tensor, config, hessians.get(name))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    return stored


def dequantize_state(stored: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
    """A state that `GPT.load_state_dict` takes: every float as fp32."""
    return {name: dequantize(tensor) for name, tensor in stored.items()}


def dequantize(tensor: StoredTensor) -> Tensor:
    if isinstance(tensor, QuantizedTensor):
        return dequantize_rows(tensor)
    if isinstance(tensor, CodebookTensor):
        return dequantize_codebook(tensor)
    return tensor.float() if tensor.is_floating_point() else tensor


def _quantize(
    name: str, matrix_RC: Tensor, config: QuantizationConfig, hessian_CC: Tensor | None
) -> QuantizedTensor | CodebookTensor:
    embedding = name in EMBEDDING_TABLES
    if config.matrix_codebook is not None and not embedding:
        importance_C = None if hessian_CC is None else hessian_CC.diagonal()
        codes = quantize_codebook(matrix_RC, config.matrix_codebook, importance_C)
        return CodebookTensor(codes.indices.cpu(), codes.codebook.cpu(), codes.scales.cpu())
    bits = config.embedding_bits if embedding else config.matrix_bits
    clip = config.embedding_clip if embedding else config.matrix_clip
    group_size = config.embedding_group_size if embedding else None
    if hessian_CC is None:
        rows = quantize_rows(matrix_RC, bits, clip, group_size=group_size)
    else:
        rows = quantize_gptq(matrix_RC, hessian_CC, bits, clip, group_size=group_size, config=config.gptq)
    return QuantizedTensor(rows.values.cpu(), rows.scales.cpu(), bits)
