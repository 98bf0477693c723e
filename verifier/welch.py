"""Welch's test of two means, one-sided: how often would equal means give a gap as large as this one?

B. L. Welch, "The generalization of Student's problem when several different population variances are
involved", Biometrika 34 (1947). The tail of Student's t is integrated over its angle, t = sqrt(n) tan(angle),
where the density is a power of the cosine, so any number of degrees of freedom will do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)


@dataclass(frozen=True)
class Welch:
    """`p` is the chance of a t as large as this one if the true gap were the margin."""

    t: float
    freedom: float
    p: float


def welch(low: Sequence[float], high: Sequence[float], margin: float = 0.0) -> Welch | None:
    """Is the mean of `low` more than `margin` below the mean of `high`?

    None where the test is undefined: fewer than two values on a side, or no spread on either.
    """
    if min(len(low), len(high)) < 2:
        return None
    parts = [variance(values) / len(values) for values in (low, high)]
    if sum(parts) <= 0.0:
        return None
    t = (fmean(high) - fmean(low) - margin) / math.sqrt(sum(parts))
    divisor = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (low, high), strict=True))
    freedom = sum(parts) ** 2 / divisor
    return Welch(t, freedom, student_tail(t, freedom))


def student_tail(t: float, freedom: float) -> float:
    """P(T > t) for Student's t with `freedom` >= 1 degrees of freedom, which need not be whole."""
    if t < 0.0:
        return 1.0 - student_tail(-t, freedom)
    start, stop = math.atan(t / math.sqrt(freedom)), math.pi / 2
    angles = (start + stop) / 2 + (stop - start) / 2 * _NODES
    area = (stop - start) / 2 * float(np.sum(_WEIGHTS * np.cos(angles) ** (freedom - 1.0)))
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(math.pi) / 2
    return min(math.exp(scale) * area, 0.5)
