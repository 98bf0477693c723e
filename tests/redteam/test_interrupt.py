"""An audit that is ended from outside takes everything with it: its runs, its scratch folders, half a report."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cheats.corpus import write_folder
from tests.redteam.host import ROOT, adopting_orphans, orphans
from verifier.probe.scratch import PREFIX, sweep

DEADLINE_SECONDS = 60.0
ENDLESS = "open('started', 'w').close()\nwhile True:\n    pass\n"
POLL_SECONDS = 0.02


@pytest.fixture(autouse=True)
def _reaper() -> Iterator[None]:
    with adopting_orphans():
        yield


class Audit:
    """An audit in a process of its own, of a script that never ends."""

    def __init__(self, folder: Path) -> None:
        self.scratch, self.reports = folder / "scratch", folder / "reports"
        self.scratch.mkdir()
        submission = write_folder(folder / "submission", ENDLESS)
        command = [sys.executable, "-m", "verifier", str(submission), "--output", str(self.reports)]
        environment = {**os.environ, "TMPDIR": str(self.scratch), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not reached():
            assert time.monotonic() < deadline, "not reached in time"
            try:
                self.process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue

    def folder_is_made(self) -> bool:
        return any(self.scratch.glob(f"{PREFIX}*"))

    def script_runs(self) -> bool:
        return any(self.scratch.glob(f"{PREFIX}*/tree/run/started"))


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[Audit]:
    made = Audit(tmp_path)
    with made.process:
        yield made
        made.process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stage", [Audit.folder_is_made, Audit.script_runs])
def test_an_interrupted_audit_leaves_nothing(
    audit: Audit, stage: Callable[[Audit], bool], number: signal.Signals
) -> None:
    audit.until(lambda: stage(audit))
    audit.process.send_signal(number)
    _, error = audit.process.communicate(timeout=DEADLINE_SECONDS)
    assert audit.process.returncode == 130
    assert "interrupted; nothing was written" in error
    assert "Traceback" not in error
    assert orphans() == []
    assert list(audit.scratch.iterdir()) == []
    assert list(audit.reports.iterdir()) == []


@pytest.mark.parametrize("stage", [Audit.folder_is_made, Audit.script_runs])
def test_a_killed_audit_leaves_a_folder_that_the_next_one_removes(
    audit: Audit, stage: Callable[[Audit], bool]
) -> None:
    audit.until(lambda: stage(audit))
    audit.process.kill()
    audit.process.wait()
    audit.until(lambda: orphans() == [])
    sweep(audit.scratch)
    assert list(audit.scratch.iterdir()) == []
    assert list(audit.reports.iterdir()) == []
