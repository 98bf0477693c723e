"""MuonEq-R: rows of one length before the orthogonalization.

A few Newton-Schulz steps do not reach singular values far below the largest. Rows of unequal length spread the
singular values; rows of one length draw them together, for the price of a division (arXiv 2603.28254; in the
contest since #1260, and in records such as #1394 and #2014).

Shapes: N matrices of R rows and C columns.
"""

from __future__ import annotations

from torch import Tensor


def equalize_rows(matrices_NRC: Tensor, eps: float = 1e-7) -> Tensor:
    """Divide each row by its length; a row of zeros stays zero."""
    equal_NRC: Tensor = matrices_NRC / matrices_NRC.norm(dim=-1, keepdim=True).clamp_min(eps)
    return equal_NRC
