"""Where the rows of a matrix are clipped before they are rounded.

A narrow clip gives small steps and cuts the largest weights; a wide one gives large steps, whose integers
bunch around zero and so compress better. Each rule proposes K clips for every row; where K is above one, the
quantizer keeps, row by row, the one of least error.

Shapes: K candidates, R rows, C columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

BASELINE_QUANTILE = 0.9999984  # the contest's 99.99984 percentile: for short rows, a hair under the largest
SEARCHED_QUANTILES = (0.9990, 0.9995, 0.9999, 0.99999, 1.0)  # those of #1019


class ClipRule(Protocol):
    """A way to choose clips."""

    def candidates_KR(self, matrix_RC: Tensor) -> Tensor:
        """The magnitudes to try as each row's clip, in fp32."""
        ...


@dataclass(frozen=True)
class QuantileClip:
    """One quantile of the row's magnitudes: the naive baseline's rule."""

    quantile: float = BASELINE_QUANTILE

    def __post_init__(self) -> None:
        _require_quantile(self.quantile)

    def candidates_KR(self, matrix_RC: Tensor) -> Tensor:
        return _quantile_R(matrix_RC, self.quantile)[None]


@dataclass(frozen=True)
class SearchClip:
    """The best of several quantiles, chosen per row by its error (GPTQ-lite, #374, #1019)."""

    quantiles: tuple[float, ...] = SEARCHED_QUANTILES

    def __post_init__(self) -> None:
        if not self.quantiles:
            raise ValueError("quantiles is empty; give at least one to try")
        for quantile in self.quantiles:
            _require_quantile(quantile)

    def candidates_KR(self, matrix_RC: Tensor) -> Tensor:
        return torch.stack([_quantile_R(matrix_RC, quantile) for quantile in self.quantiles])


@dataclass(frozen=True)
class StdClip:
    """`sigmas` standard deviations of the row (#1394, "SDClip").

    The entropy of the integers is then close to `bits - log2(sigmas)` plus a constant, whatever the row's
    scale, so that `sigmas` alone tunes the compressed size: double it, and each value costs one bit less.
    """

    sigmas: float = 12.85
    """#1394 has 12.85 for int6 matrices and 20 for the int8 embedding."""

    def __post_init__(self) -> None:
        if not 0 < self.sigmas < float("inf"):
            raise ValueError(f"sigmas must be positive and finite, got {self.sigmas}")

    def candidates_KR(self, matrix_RC: Tensor) -> Tensor:
        return self.sigmas * matrix_RC.std(dim=1, correction=0)[None]


def _quantile_R(matrix_RC: Tensor, quantile: float) -> Tensor:
    magnitude_RC = matrix_RC.abs()
    if not matrix_RC.numel():
        return magnitude_RC.sum(dim=1)
    # torch.quantile refuses large inputs as a whole, but takes each row.
    return torch.quantile(magnitude_RC, quantile, dim=1)


def _require_quantile(quantile: float) -> None:
    if not 0 < quantile <= 1:
        raise ValueError(f"a clip quantile must be in (0, 1], got {quantile}")
