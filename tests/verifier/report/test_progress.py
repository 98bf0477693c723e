"""The live line: what it promises of the time left, and where it is not shown at all."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from verifier.report.progress import TimeLeft, minutes, shown_progress
from verifier.stage import Stage


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def told(*stages: tuple[float, int | None], limit: float | None = 170.0, at: float) -> str:
    """The words at a time, after stages at times; all counted from the start."""
    clock = Clock()
    left = TimeLeft(limit, clock)
    for seconds, to_come in stages:
        clock.now = 100.0 + seconds
        left.note(Stage("a run", to_come))
    clock.now = 100.0 + at
    return left.words()


def test_nothing_is_said_before_the_runs_are_planned() -> None:
    assert told(at=5.0) == ""
    assert told((0.0, None), at=5.0) == ""


def test_before_a_run_has_ended_only_the_limit_is_known() -> None:
    assert told((10.0, 2), at=20.0) == "at most 2:40 left"


def test_the_pace_of_the_runs_that_ended_is_the_guess() -> None:
    # Two of two ended within 20 s of the first start: 10 s a run, four to come, 5 s of that gone by.
    assert told((10.0, 2), (25.0, 1), (30.0, 0), (30.0, 4), at=35.0) == "about 0:35 left"


def test_a_guess_beyond_the_limit_is_not_made() -> None:
    assert told((0.0, 2), (80.0, 1), (90.0, 0), (90.0, 4), at=95.0) == "at most 1:15 left"


def test_a_guess_that_ran_out_is_not_made() -> None:
    assert told((0.0, 2), (10.0, 1), at=60.0) == "at most 1:50 left"


def test_nothing_is_said_once_the_runs_are_over() -> None:
    assert told((0.0, 2), (10.0, 0), (11.0, None), at=12.0) == ""


def test_the_next_audit_starts_afresh() -> None:
    assert told((0.0, 2), (10.0, 0), (11.0, None), (20.0, 2), at=30.0) == "at most 2:40 left"


def test_without_a_limit_nothing_is_promised() -> None:
    assert told((0.0, 2), limit=None, at=1.0) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0:00"), (59.7, "1:00"), (65.0, "1:05"), (3600.0, "60:00")]
)
def test_minutes(seconds: float, text: str) -> None:
    assert minutes(seconds) == text


def written(*, terminal: bool, quiet: bool = False, width: int = 60) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=width, _environ={"TERM": "xterm"})
    with shown_progress(console, quiet, 170.0) as show:
        show(Stage("flip 1: running a_script_with_a_rather_long_name_for_a_terminal.py", 2))
    return out.getvalue()


def test_nothing_is_written_where_nobody_watches() -> None:
    assert written(terminal=False) == ""
    assert written(terminal=True, quiet=True) == ""


def test_a_narrow_terminal_has_one_line_with_the_time() -> None:
    text = written(terminal=True)
    assert "flip 1: running" in text
    assert "left" in text
    assert "\n\n" not in text
