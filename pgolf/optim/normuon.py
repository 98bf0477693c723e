"""NorMuon: a second moment per neuron, after the orthogonalization.

The rows of an orthogonalized update differ in length, so some neurons learn faster than others. NorMuon divides
each row by the root of a running mean of its squares, as Adam does per weight, then gives the whole matrix back
the Frobenius norm that it had, so that a rate fits Muon and NorMuon alike (arXiv 2510.05491; the norm is kept as
in the authors' code).

Shapes: N matrices of R rows (neurons) and C columns.
"""

from __future__ import annotations

from torch import Tensor


def normalize_neurons(
    updates_NRC: Tensor, second_moment_NR1: Tensor, beta2: float, eps: float = 1e-10
) -> Tensor:
    """Even out the rows of each update; `second_moment_NR1` is updated in place.

    Its first values need no bias correction: a common factor of all rows cancels in the norm.
    """
    second_moment_NR1.lerp_(updates_NRC.square().mean(dim=-1, keepdim=True), 1 - beta2)
    even_NRC = updates_NRC / (second_moment_NR1.sqrt() + eps)
    norm_N11 = updates_NRC.norm(dim=(-2, -1), keepdim=True)
    balanced_NRC: Tensor = even_NRC * (norm_N11 / (even_NRC.norm(dim=(-2, -1), keepdim=True) + eps))
    return balanced_NRC
