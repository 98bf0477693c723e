"""Runs side by side: the count that is left, and the end of all of them."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Event

import pytest

from verifier.probe.job import Ended, Job
from verifier.probe.runs import Runs
from verifier.probe.sandbox import run_sandboxed
from verifier.stage import Stage


def test_a_run_that_is_told_to_stop_ends_with_all_its_processes(tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    job = Job((sys.executable, "-I", "-S", "-c", "while True: pass"), tmp_path)
    assert run_sandboxed(job, stop=stop).ended is Ended.STOPPED


def test_a_run_that_nobody_stops_ends_by_itself(tmp_path: Path) -> None:
    job = Job((sys.executable, "-I", "-S", "-c", ""), tmp_path)
    assert run_sandboxed(job, stop=Event()).ended is Ended.EXIT


def test_an_interrupt_stops_what_runs_and_drops_what_waits() -> None:
    ran: list[str] = []

    def waits(runs: Runs, name: str) -> None:
        ran.append(name)
        runs.stop.wait()

    def interrupted() -> None:
        with Runs(lambda stage: None) as runs:
            futures = [runs.submit(waits, runs, str(number)) for number in range(10)]
            try:
                raise KeyboardInterrupt
            finally:
                assert not futures[-1].done()

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(ran) <= 2


def test_each_stage_says_how_many_runs_are_to_come() -> None:
    told: list[Stage] = []
    begin = Event()

    def one() -> None:
        begin.wait()
        runs.tell("over", over=1)

    with Runs(told.append) as runs:
        first = runs.submit(one)
        runs.tell("begins")
        begin.set()
        first.result()
        runs.submit(one).result()
    assert [(stage.text, stage.to_come) for stage in told] == [("begins", 1), ("over", 0), ("over", 0)]
