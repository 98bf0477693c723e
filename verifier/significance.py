"""What a few seeds can show: the frontier that a mean beats, by the written rule and by the final practice.

README asks for 0.005 nats per token at p < 0.01. The organizers' last leaderboards asked for a one-sided
Welch test at p < 0.25 against the frontier's own seeds, and no margin (#1899, #1902, #2146). An audit knows no
frontier, so both are turned round: how high must a frontier's mean be for these seeds to beat it?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

MARGIN_NATS = 0.005
_T99 = (31.821, 6.965, 4.541, 3.747, 3.365, 3.143, 2.998, 2.896, 2.821, 2.764, 2.718)
_T75 = (1.000, 0.816, 0.765, 0.741, 0.727, 0.718, 0.711, 0.706, 0.703, 0.700, 0.697)
"""Student's t, one-sided, for 1 to 11 degrees of freedom; more seeds take the last, which is the stricter."""


@dataclass(frozen=True)
class Reach:
    """All in bits per byte but `written_nats`."""

    mean: float
    deviation: float
    written: float | None
    """A frontier at or above it is beaten by the written rule; None where nats per byte are unknown."""
    written_nats: float | None
    """The same as a distance from the mean, in nats per token."""
    practice: float
    """A frontier above it is beaten by the final practice, before its own spread is counted."""


def reach(values: Sequence[float], nats_per_bpb: float | None) -> Reach | None:
    """From bits per byte, one value for each seed, and nats per token for one bit per byte (ln 2 times bytes
    per token). None for fewer than two seeds."""
    if len(values) < 2:
        return None
    mean, deviation = fmean(values), stdev(values)
    error = deviation / math.sqrt(len(values))
    freedom = min(len(values) - 1, len(_T99)) - 1
    margin = None if nats_per_bpb is None else max(MARGIN_NATS / nats_per_bpb, _T99[freedom] * error)
    return Reach(
        mean=mean,
        deviation=deviation,
        written=None if margin is None else mean + margin,
        written_nats=None if margin is None or nats_per_bpb is None else margin * nats_per_bpb,
        practice=mean + _T75[freedom] * error,
    )
