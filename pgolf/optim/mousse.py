"""Mousse: Muon in the coordinates that Shampoo's statistics whiten.

Muon takes a step of one length in every direction. Mousse measures length by the curvature that the Kronecker
factors L = mean(GG') and R = mean(G'G) of the gradients show, and takes Muon's step there:

    U = L^-a orthogonalize(L^-a M R^-a) R^-a, scaled back to the norm of the orthogonal matrix.

L and R are scaled to a mean eigenvalue of one first, and `a` is milder than Shampoo's 1/4: both keep it stable
(arXiv 2603.09697, algorithm 1). The same negative power stands on both sides twice; that is the solution of the
steepest descent under the whitened norm, not a slip.

Shapes: N matrices of R rows and C columns; a side S is R or C.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

EPS = 1e-5  # added to eigenvalues whose mean is one


def accumulate_factors(left_NRR: Tensor, right_NCC: Tensor, grads_NRC: Tensor, beta2: float) -> None:
    """Let the running means of GG' and G'G see one more gradient, in place."""
    left_NRR.lerp_(grads_NRC @ grads_NRC.mT, 1 - beta2)
    right_NCC.lerp_(grads_NRC.mT @ grads_NRC, 1 - beta2)


def inverse_power(factors_NSS: Tensor, alpha: float) -> Tensor:
    """F^-alpha of each symmetric factor, after its mean eigenvalue is set to one.

    The scaling also does what a bias correction would. On CUDA the eigendecomposition waits for the GPU.
    """
    side = factors_NSS.size(-1)
    trace_N11 = factors_NSS.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
    identity = torch.eye(side, dtype=factors_NSS.dtype, device=factors_NSS.device)
    # Gradients of a trained model are small, but only a factor of zeros has a trace below this.
    scale_N11 = side / trace_N11.clamp_min(1e-30)
    values_NS, vectors_NSS = torch.linalg.eigh(scale_N11 * factors_NSS + EPS * identity)
    powers_NS = values_NS.clamp_min(EPS) ** -alpha  # rounding may leave a value below the EPS just added
    inverse_NSS: Tensor = (vectors_NSS * powers_NS[:, None, :]) @ vectors_NSS.mT
    return inverse_NSS


def whitened_step(
    updates_NRC: Tensor,
    left_power_NRR: Tensor,
    right_power_NCC: Tensor,
    orthogonalize: Callable[[Tensor], Tensor],
    eps: float = 1e-10,
) -> Tensor:
    """`orthogonalize` in the whitened coordinates, and back, with the norm of the orthogonal matrix."""
    orthogonal_NRC = orthogonalize(left_power_NRR @ updates_NRC @ right_power_NCC)
    back_NRC = left_power_NRR @ orthogonal_NRC @ right_power_NCC
    norm_N11 = orthogonal_NRC.norm(dim=(-2, -1), keepdim=True)
    step_NRC: Tensor = back_NRC * (norm_N11 / (back_NRC.norm(dim=(-2, -1), keepdim=True) + eps))
    return step_NRC
