"""How fast at which step: the warmdown of every rate, and the warmup of Muon's momentum.

The rate is constant, then falls over the last `warmdown_iters` steps, or over the last share `warmdown_frac` of
the run (#2014). Under a wallclock cap both are placed in time: so many steps at the pace so far, or that share
of the cap.
"""

from __future__ import annotations

import math

from pgolf.optim.config import OptimizerConfig, WarmdownShape


def lr_scale(
    step: int,
    *,
    iterations: int,
    warmdown_iters: int,
    elapsed_ms: float,
    cap_ms: float | None,
    warmdown_frac: float = 0.0,
    shape: WarmdownShape = "linear",
    floor: float = 0.0,
) -> float:
    """The factor on every rate before step `step` (counted from 0), from 1 down to `floor`.

    With a cap in ms, the warmdown is placed in time; without, in steps. `warmdown_frac` above 0 takes the place
    of `warmdown_iters`.
    """
    left = _share_left(step, iterations, warmdown_iters, warmdown_frac, elapsed_ms, cap_ms)
    if shape == "cosine":
        left = 0.5 - 0.5 * math.cos(math.pi * left)
    return max(left, floor)


def _share_left(
    step: int,
    iterations: int,
    warmdown_iters: int,
    warmdown_frac: float,
    elapsed_ms: float,
    cap_ms: float | None,
) -> float:
    """How much of the warmdown is still ahead: 1 before it begins, 0 at the end of the run."""
    if warmdown_frac > 0:
        done = step / max(iterations, 1) if cap_ms is None else elapsed_ms / cap_ms
        return min(1.0, max(0.0, (1 - done) / warmdown_frac))
    if warmdown_iters <= 0:
        return 1.0
    if cap_ms is None:
        return min(1.0, max(0.0, (iterations - step) / warmdown_iters))
    warmdown_ms = warmdown_iters * elapsed_ms / max(step, 1)
    remaining_ms = max(cap_ms - elapsed_ms, 0.0)
    return 1.0 if remaining_ms > warmdown_ms else remaining_ms / max(warmdown_ms, 1e-9)


def muon_momentum(step: int, config: OptimizerConfig) -> float:
    """Momentum at `step`: a straight line from the warmup's start to its end, then constant."""
    share = min(step / config.muon_momentum_warmup_steps, 1.0) if config.muon_momentum_warmup_steps else 1.0
    return (1 - share) * config.muon_momentum_warmup_start + share * config.muon_momentum
