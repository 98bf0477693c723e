"""From trained weights to few bytes: quantizers, GPTQ, calibration, pruning, codecs."""

from pgolf.compress.clip import ClipRule, QuantileClip, SearchClip, StdClip
from pgolf.compress.codebook import CodebookConfig, CodebookTensor
from pgolf.compress.gptq import GPTQConfig, quantize_gptq
from pgolf.compress.hessian import Calibration, collect_hessians
from pgolf.compress.rows import QuantizedTensor, dequantize_rows, quantize_rows
from pgolf.compress.state import QuantizationConfig, Quantizer, StoredTensor, dequantize_state, quantize_state

__all__ = [
    "Calibration",
    "ClipRule",
    "CodebookConfig",
    "CodebookTensor",
    "GPTQConfig",
    "QuantileClip",
    "QuantizationConfig",
    "QuantizedTensor",
    "Quantizer",
    "SearchClip",
    "StdClip",
    "StoredTensor",
    "collect_hessians",
    "dequantize_rows",
    "dequantize_state",
    "quantize_gptq",
    "quantize_rows",
    "quantize_state",
]
