"""A virtual clock: every reading advances it by one millisecond, and sleeping advances it at once.

Learning-rate schedules, stop rules and time budgets of real scripts read elapsed time; with the real
clock no two runs are equal. Modules that took `time.monotonic` before `install` (threading, queue,
subprocess) keep the real one, so waiting for threads and processes still works.
"""

from __future__ import annotations

import itertools
import time

from verifier.probe.child.uses import stand_in, used

TICK_NS = 1_000_000
EPOCH_NS = 1_775_000_000 * 1_000_000_000  # an arbitrary fixed date within the contest


class VirtualClock:
    """Nanoseconds since the child's start, as a function of how often it was read."""

    def __init__(self) -> None:
        self._reads = itertools.count(1)
        self._slept_ns = 0

    def now_ns(self) -> int:
        used("clock")
        return next(self._reads) * TICK_NS + self._slept_ns

    def sleep(self, seconds: float) -> None:
        self._slept_ns += max(0, int(seconds * 1e9))


def install() -> VirtualClock:
    """Replace the functions of `time` by virtual ones and return the clock behind them."""
    clock = VirtualClock()
    for name in ("perf_counter", "monotonic", "process_time", "thread_time"):
        stand_in(time, **{name: lambda: clock.now_ns() / 1e9, f"{name}_ns": clock.now_ns})
    stand_in(time, time=lambda: (EPOCH_NS + clock.now_ns()) / 1e9, time_ns=lambda: EPOCH_NS + clock.now_ns())
    stand_in(time, sleep=clock.sleep)
    return clock
