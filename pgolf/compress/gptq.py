"""GPTQ: round a matrix column by column, and let the columns still unrounded make up for each error.

Frantar et al. 2022 (arXiv 2210.17323). For a linear map y = W x whose inputs have the second moment
H = E[x x^T], the damage of rounding W to Q is tr((W - Q) H (W - Q)^T). With U the upper triangular factor of
the inverse, H^-1 = U^T U, rounding column j with error e leaves least damage when every later column k moves
by -e U[j,k] / U[j,j]. In the contest from #535 on; the act-order, damping and clip search are those of #1019.

`round_columns` is the method as written; `round_blocks` delays the update of columns outside a block, so that
most of the work is matrix products. Both give the same integers but where rounding noise meets a tie.

Shapes: K clip candidates, R rows, C columns, N rows of all candidates (K * R).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pgolf.compress.clip import ClipRule
from pgolf.compress.rows import (
    BASELINE_CLIP,
    QuantizedTensor,
    as_groups,
    candidate_scales_KR,
    largest_value,
    require_bits,
)

DAMP_GROWTH = 10.0
DAMP_TRIES = 4


class HessianError(ValueError):
    """The Hessian does not fit the matrix, or stays indefinite however it is damped."""


@dataclass(frozen=True)
class GPTQConfig:
    damp: float = 0.005
    """Added to the diagonal, as a share of its mean: inputs that hardly vary must not take every error."""
    act_order: bool = True
    """Round the columns of the largest inputs first, while most others are left to make up for them."""
    block_size: int = 128

    def __post_init__(self) -> None:
        if not 0 < self.damp < float("inf"):
            raise ValueError(f"damp must be positive and finite, got {self.damp}")
        if self.block_size < 1:
            raise ValueError(f"block_size must be at least 1, got {self.block_size}")


DEFAULT = GPTQConfig()


def quantize_gptq(
    weight_RC: Tensor,
    hessian_CC: Tensor,
    bits: int,
    clip: ClipRule = BASELINE_CLIP,
    *,
    group_size: int | None = None,
    config: GPTQConfig = DEFAULT,
) -> QuantizedTensor:
    """Quantize the weight of a linear map whose inputs have the second moment `hessian_CC`.

    Of several clips, each row takes the one whose error is least under H. With groups, all groups of a row
    take the same candidate.

    Raises:
        ValueError: as `quantize_rows`.
        HessianError: `hessian_CC` is not a finite (C, C) matrix, or not positive definite when damped.
    """
    require_bits(bits)
    columns = weight_RC.shape[-1]
    if hessian_CC.shape != (columns, columns) or not bool(torch.isfinite(hessian_CC).all()):
        raise HessianError(
            f"the Hessian has shape {tuple(hessian_CC.shape)}; expected a finite matrix of "
            f"{columns} x {columns} for a weight of shape {tuple(weight_RC.shape)}"
        )
    groups = as_groups(weight_RC, group_size)
    scales = candidate_scales_KR(groups, bits, clip).view(-1, len(weight_RC), columns // groups.shape[1])
    candidates, rows, _ = scales.shape
    steps_KRC = scales.float().repeat_interleave(groups.shape[1], dim=2)
    hessian_CC = hessian_CC.to(weight_RC.device, torch.float32)
    weight_RC = weight_RC.detach().float()
    unused_C = hessian_CC.diagonal() == 0
    weight_NC = weight_RC.masked_fill(unused_C, 0.0).repeat(candidates, 1)

    order = torch.argsort(hessian_CC.diagonal(), descending=True, stable=True)
    if not config.act_order:
        order = torch.arange(columns, device=order.device)
    factor_CC = inverse_factor(hessian_CC[order][:, order], config.damp).float()
    values_NC = round_blocks(
        weight_NC[:, order],
        steps_KRC.view(-1, columns)[:, order],
        factor_CC,
        largest_value(bits),
        config.block_size,
    )
    values_KRC = values_NC[:, torch.argsort(order)].view(candidates, rows, columns)

    errors_KR = output_error(weight_RC - values_KRC * steps_KRC, hessian_CC)
    best_R, row = errors_KR.argmin(dim=0), torch.arange(rows, device=weight_RC.device)
    chosen = scales[best_R, row]
    return QuantizedTensor(
        values_KRC[best_R, row].to(torch.int8), chosen[:, 0] if group_size is None else chosen, bits
    )


def inverse_factor(hessian_CC: Tensor, damp: float) -> Tensor:
    """U, upper triangular and fp64, with U^T U = (H + damp * mean(diag H) * I)^-1; unused inputs count as 1.

    With J the reversal of rows and columns and J H J = L L^T, U is the inverse of J L J: one factorization,
    none of an inverse. Should it fail, damp grows tenfold, at most three times.
    """
    hessian_CC = hessian_CC.double()
    diagonal_C = hessian_CC.diagonal()
    hessian_CC = hessian_CC + torch.diag((diagonal_C == 0).double())
    identity_CC = torch.eye(len(hessian_CC), dtype=torch.float64, device=hessian_CC.device)
    mean = hessian_CC.diagonal().mean()
    for attempt in range(DAMP_TRIES):
        damped_CC = hessian_CC + damp * DAMP_GROWTH**attempt * mean * identity_CC
        lower_CC, failed = torch.linalg.cholesky_ex(damped_CC.flip(0, 1))
        if not int(failed):
            factor_CC: Tensor = torch.linalg.solve_triangular(lower_CC.flip(0, 1), identity_CC, upper=True)
            return factor_CC
    raise HessianError(
        f"the Hessian is not positive definite, even damped by {damp * DAMP_GROWTH ** (DAMP_TRIES - 1):.3g} "
        f"of its mean diagonal ({mean:.3g}); it must be a sum of x x^T over calibration inputs"
    )


def round_columns(weight_NC: Tensor, steps_NC: Tensor, factor_CC: Tensor, largest: int) -> Tensor:
    """The readable form: after each column, move all later ones. Returns integers as floats."""
    weight_NC = weight_NC.clone()
    values_NC = torch.empty_like(weight_NC)
    for column in range(weight_NC.shape[1]):
        steps_N = steps_NC[:, column]
        values_NC[:, column] = (weight_NC[:, column] / steps_N).round().clamp(-largest, largest)
        error_N = (weight_NC[:, column] - values_NC[:, column] * steps_N) / factor_CC[column, column]
        weight_NC[:, column + 1 :] -= error_N[:, None] * factor_CC[column, column + 1 :]
    return values_NC


def round_blocks(
    weight_NC: Tensor, steps_NC: Tensor, factor_CC: Tensor, largest: int, block_size: int
) -> Tensor:
    """`round_columns`, but what a block does to the columns after it is applied once, as one product."""
    weight_NC = weight_NC.clone()
    values_NC = torch.empty_like(weight_NC)
    columns = weight_NC.shape[1]
    for start in range(0, columns, block_size):
        end = min(start + block_size, columns)
        block = slice(start, end)
        values_NC[:, block] = round_columns(
            weight_NC[:, block], steps_NC[:, block], factor_CC[block, block], largest
        )
        # Inside the block, W - Q is the columns' errors times the factor: solve for the errors.
        change_NB = weight_NC[:, block] - values_NC[:, block] * steps_NC[:, block]
        errors_NB = torch.linalg.solve_triangular(factor_CC[block, block], change_NB, upper=True, left=False)
        weight_NC[:, end:] -= errors_NB @ factor_CC[block, end:]
    return values_NC


def output_error(difference: Tensor, hessian_CC: Tensor) -> Tensor:
    """E[((W - Q) x)^2] of each row of (..., R, C): the damage that GPTQ makes small."""
    return ((difference @ hessian_CC) * difference).sum(dim=-1)
