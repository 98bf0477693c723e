"""Late quantization-aware training: near the end, train through the rounding that the artifact will have.

When the scale of the rates falls below a threshold (0.15 in #1430, 0.1 in #374), each step's losses and gradients
are taken at the weights as they would be read back from the artifact, and the step is applied to the exact ones:
the straight-through estimator, with a gradient of one for every weight. (The clip of `pgolf.compress` cuts a hair
off the largest weight of a row; a gradient of zero for it would freeze that weight.)

The rounded weights stand in the parameters themselves during the step. So the model's code is the same with and
without, nothing is compiled again, and a step's micro-batches share one rounding.

Shapes: N matrices of R rows and C columns.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from pgolf.compress.clip import BASELINE_QUANTILE
from pgolf.compress.rows import SMALLEST_SCALE
from pgolf.compress.state import KEEP_FLOAT_MAX_VALUES
from pgolf.model import GPT
from pgolf.optim import split_parameters


def fake_quantize_rows(matrices_NRC: Tensor, bits: int, clip_quantile: float = BASELINE_QUANTILE) -> Tensor:
    """`dequantize_rows(quantize_rows(matrix, bits))` for each matrix, bit for bit, on any device.

    Accepts (R, C) or (N, R, C) in fp32. Finds the quantile from each row's few largest magnitudes, where
    `torch.quantile` sorts the row.
    """
    largest = 2 ** (bits - 1) - 1
    columns = matrices_NRC.size(-1)
    rank = float(torch.tensor(clip_quantile, dtype=torch.float32) * (columns - 1))
    below = math.floor(rank)
    top = matrices_NRC.abs().topk(columns - below, dim=-1).values  # falling
    clip_NR = torch.lerp(top[..., -1], top[..., max(columns - below - 2, 0)], rank - below)
    scales_NR1 = (clip_NR / largest).clamp_min(SMALLEST_SCALE).to(torch.float16).float()[..., None]
    values_NRC = (matrices_NRC / scales_NR1).round().clamp(-largest, largest)
    rounded_NRC: Tensor = values_NRC * scales_NR1 + 0.0  # integers have no negative zero
    return rounded_NRC


class LateQAT:
    """Holds rounded weights in a model's matrices while a step is computed, once the rates are low enough."""

    def __init__(
        self,
        model: GPT,
        *,
        threshold: float,
        bits: int = 6,
        keep_float_max_values: int = KEEP_FLOAT_MAX_VALUES,
    ) -> None:
        self.threshold = threshold
        self.bits = bits
        self.active = False
        by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for matrix in split_parameters(model).matrices:
            if matrix.numel() > keep_float_max_values:
                by_shape[matrix.shape].append(matrix)
        self.banks = list(by_shape.values())

    @property
    def matrices(self) -> list[Tensor]:
        return [matrix for bank in self.banks for matrix in bank]

    def begins(self, scale: float) -> bool:
        """Whether it begins with a step at this scale of the rates. Once begun, it stays."""
        begins = not self.active and scale < self.threshold
        self.active = self.active or begins
        return begins

    @contextmanager
    def rounded(self) -> Iterator[None]:
        """Inside, when active: the matrices as the artifact would hold them. After: exactly as before."""
        if not self.active:
            yield
            return
        with torch.no_grad():
            exact = [torch.stack(bank) for bank in self.banks]
            for bank, stack_NRC in zip(self.banks, exact, strict=True):
                torch._foreach_copy_(bank, list(fake_quantize_rows(stack_NRC, self.bits).unbind()))
        try:
            yield
        finally:
            with torch.no_grad():
                for bank, stack_NRC in zip(self.banks, exact, strict=True):
                    torch._foreach_copy_(bank, list(stack_NRC.unbind()))
