"""Orthogonalization: push every singular value of a matrix towards one, keep its singular vectors.

Newton-Schulz steps X <- aX + b(XX')X + c(XX')^2 X apply an odd polynomial to the singular values and need
matrix products only. QUINTIC is one polynomial for every step, steep at zero, so values end between about 0.7
and 1.2 rather than at 1 (Keller Jordan, https://kellerjordan.github.io/posts/muon/). POLAR_EXPRESS has another
polynomial for each step, the best one for the interval that is left by the step before it (arXiv 2505.16932;
in the contest since #1344).

Shapes: N matrices of R rows and C columns.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Coefficients = Literal["quintic", "polar_express"]

QUINTIC = (3.4445, -4.7750, 2.0315)
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def polynomials(coefficients: Coefficients, steps: int) -> list[tuple[float, float, float]]:
    """(a, b, c) of each step; Polar Express repeats its last one after the fifth."""
    if coefficients == "quintic":
        return [QUINTIC] * steps
    return [POLAR_EXPRESS[min(step, len(POLAR_EXPRESS) - 1)] for step in range(steps)]


def orthogonalize(
    matrices_NRC: Tensor, steps: int = 5, coefficients: Coefficients = "quintic", eps: float = 1e-7
) -> Tensor:
    """Push every singular value of each matrix towards one; fp32 on a CPU, bf16 on CUDA.

    A matrix of zeros stays zero. Accepts (R, C) or (N, R, C).
    """
    x = matrices_NRC.to(torch.bfloat16 if matrices_NRC.is_cuda else torch.float32)
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT  # the Gram matrix below is then the smaller one
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + eps)
    for a, b, c in polynomials(coefficients, steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    orthogonal: Tensor = (x.mT if tall else x).to(matrices_NRC.dtype)
    return orthogonal
