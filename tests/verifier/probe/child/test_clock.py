"""The virtual clock moves with every reading and every sleep, and in no other way."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from verifier.probe.child.clock import TICK_NS, VirtualClock
from verifier.probe.runner import PACKAGE_ROOT


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_time_is_readings_and_sleeps(sleeps: list[float]) -> None:
    clock = VirtualClock()
    for seconds in sleeps:
        clock.sleep(seconds)
    assert clock.now_ns() == TICK_NS + sum(int(each * 1e9) for each in sleeps)
    assert clock.now_ns() - clock.now_ns() == -TICK_NS


def test_a_negative_sleep_turns_nothing_back() -> None:
    clock = VirtualClock()
    before = clock.now_ns()
    clock.sleep(-5)
    assert clock.now_ns() == before + TICK_NS


PROGRAM = """
from verifier.probe.child import clock
clock.install()
import threading, time
time.sleep(1e6)
thread = threading.Thread(target=time.sleep, args=(50,))
thread.start()
thread.join()
print(time.perf_counter(), time.monotonic_ns(), round(time.time()), threading.Event().wait(0.01))
"""


def test_two_programs_read_the_same_time_and_threads_still_wait() -> None:
    out = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=PACKAGE_ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for _ in range(2)
    }
    assert len(out) == 1
    assert "False" in out.pop()
