"""Audits on this machine, in processes of their own: a crash, a kill or an overrun costs one submission.

The processes are forked from a server that has imported the verifier once. Each leads its own session, with
its own temporary folder and nothing of the parent's terminal, and ends itself when the parent is gone. An
audit with probes has a process to itself; one that only reads leaves nothing behind, and the next follows.
"""

from __future__ import annotations

import gc
import glob
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Protocol

from verifier.audit import Level
from verifier.batch.line import Status
from verifier.batch.task import Task, audit_task
from verifier.intake import IntakeError
from verifier.intake.git import GitError
from verifier.probe.scratch import remove_tree
from verifier.report.store import write_whole

HARD_MARGIN_SECONDS = 90.0
"""Over the time limit, which is of the probes: for intake, checks and a machine that is busy."""
POLL_SECONDS = 0.5
STDERR, STDERR_SHOWN_BYTES = "stderr", 4096
READINGS_EACH = 64
"""Audits without probes in one process, before a fresh one bounds what its memory has grown to."""

AuditFunction = Callable[[Task], str]
"""From a task to the text of its report. A module's own function: it is named, not sent, to the process."""


@dataclass(frozen=True)
class Outcome:
    """How one task ended. Without `failure`, its report is in its place."""

    task: Task
    seconds: float
    status: Status = "audited"
    failure: str = ""


class Executor(Protocol):
    """Runs audits, in any order and number at a time."""

    def run(
        self, tasks: Sequence[Task], place: Callable[[Task], Path], started: Callable[[Task], None]
    ) -> Generator[Outcome, None, None]:
        """Audit each task once, and write its report whole to `place(task)` before its outcome is given.

        Closing the iterator ends what is running and leaves no half report.
        """


@dataclass(frozen=True)
class LocalExecutor:
    """Processes of this machine."""

    jobs: int
    audit: AuditFunction = audit_task
    margin_seconds: float = HARD_MARGIN_SECONDS

    def run(
        self, tasks: Sequence[Task], place: Callable[[Task], Path], started: Callable[[Task], None]
    ) -> Generator[Outcome, None, None]:
        _context()
        forkserver.ensure_running()
        waiting = list(reversed(tasks))
        running: list[Process] = []
        idle: list[Process] = []
        try:
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    task = waiting.pop()
                    process = idle.pop() if idle else Process(self.audit)
                    running.append(process)
                    process.begin(task, place(task), self.margin_seconds)
                    started(task)
                wait([end for each in running for end in each.waited_for], POLL_SECONDS)
                for process in [each for each in running if each.ended]:
                    outcome = process.outcome()
                    running.remove(process)
                    if process.takes_more:
                        idle.append(process)
                    yield outcome
        finally:
            for process in (*running, *idle):
                process.kill()


class Process:
    """A process that audits one submission after the other."""

    task: Task
    limit_seconds: float
    _report: Path
    _started: float

    def __init__(self, audit: AuditFunction) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="pgolf-batch-"))
        self._pipe, other_end = multiprocessing.Pipe()
        self._begun = 0
        self._process: ForkServerProcess = _context().Process(
            target=_audit_here, args=(audit, self._scratch, other_end)
        )
        with _uninterrupted():
            self._process.start()
        other_end.close()

    def begin(self, task: Task, report: Path, margin_seconds: float) -> None:
        """Have it audit a submission and write the report."""
        self.task, self._report = task, report
        self.limit_seconds = task.settings.time_limit_seconds + margin_seconds
        self._started = time.monotonic()
        self._begun += 1
        if self._begun > 1:
            (self._scratch / STDERR).write_bytes(b"")  # the last audit's words are not this one's
        with suppress(BrokenPipeError):  # it died before its first task: said as any other death
            self._pipe.send((task, report))

    @property
    def waited_for(self) -> tuple[Connection, int]:
        """An answer, or its end."""
        return self._pipe, self._process.sentinel

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def ended(self) -> bool:
        return self._pipe.poll() or not self._process.is_alive() or self.seconds > self.limit_seconds

    @property
    def takes_more(self) -> bool:
        """Whether it is there for another audit, once an outcome was taken."""
        return not self._pipe.closed

    def outcome(self) -> Outcome:
        """How the audit ended; what overran its limit, or ran a submission's code, is killed."""
        seconds = self.seconds
        said = self._said()
        overran = said is None and self._process.is_alive() and seconds > self.limit_seconds
        crashed = self._crash() if said is None and not overran else ""
        only_read = self.task.settings.level != Level.PROBES
        if said is None or not only_read or self._begun >= READINGS_EACH:
            self.kill()
        if overran:
            why = f"killed after {seconds:.0f} s, over the limit of {self.limit_seconds:.0f} s"
            return Outcome(self.task, seconds, "killed", why)
        if said is None:
            return Outcome(self.task, seconds, "failed", crashed)
        status, failure = said
        return Outcome(self.task, seconds, status, failure)

    def kill(self) -> None:
        """End the audit with all that it started, and take its scratch folder away."""
        pid = self._process.pid
        if pid is not None and self._process.is_alive():
            with suppress(ProcessLookupError, PermissionError):  # not yet the leader of its group
                os.killpg(pid, signal.SIGKILL)
            self._process.kill()
        self._process.join()
        self._pipe.close()
        with suppress(OSError):
            remove_tree(self._scratch)
        for half in self._report.parent.glob(f".{glob.escape(self._report.name)}.*"):
            half.unlink(missing_ok=True)  # killed while it wrote

    def _said(self) -> tuple[Status, str] | None:
        try:
            if self._pipe.poll():
                answer: tuple[Status, str] = self._pipe.recv()
                return answer
        except (EOFError, OSError):
            pass
        return None

    def _crash(self) -> str:
        """Why a process ended without a word: its exit code, and the last line that it wrote."""
        self._process.join()
        code = self._process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        text = ""
        with suppress(OSError):
            text = (self._scratch / STDERR).read_bytes()[-STDERR_SHOWN_BYTES:].decode("utf-8", "replace")
        last = text.strip().splitlines()[-1:]
        return f"the audit ended with {how}" + (f": {last[0]}" if last else "")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold an interrupt back: a process whose start breaks off in the middle complains on the terminal.

    The server that forks runs already, so no audit inherits the mask.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["verifier.batch.warm"])
    return context


def _audit_here(audit: AuditFunction, scratch: Path, pipe: Connection) -> None:
    """In the new process: audit what comes, until nothing does."""
    os.setsid()
    gc.freeze()  # what was imported stays
    threading.Thread(target=_end_with_parent, args=(scratch,), daemon=True).start()
    os.environ["TMPDIR"] = str(scratch)
    tempfile.tempdir = None  # a cached one would win over TMPDIR
    _leave_terminal(scratch / STDERR)
    with suppress(EOFError):
        while True:
            task, report = pipe.recv()
            if task.settings.level != Level.PROBES:
                gc.disable()  # syntax trees make millions of objects and no cycles
            pipe.send(attempt(task, report, audit))


def attempt(task: Task, report: Path, audit: AuditFunction) -> tuple[Status, str]:
    """Audit, and write the report whole; what went wrong otherwise."""
    try:
        write_whole(report, audit(task))
    except GitError as error:
        return "nothing", ": ".join([str(error), *filter(None, [error.facts.get("found")])])
    except IntakeError as error:
        return "nothing", str(error)
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    return "audited", ""


def _leave_terminal(stderr: Path) -> None:
    for flags, path, descriptors in (
        (os.O_RDWR, os.devnull, (0, 1)),
        (os.O_WRONLY | os.O_CREAT | os.O_APPEND, str(stderr), (2,)),
    ):
        opened = os.open(path, flags, 0o600)
        for descriptor in descriptors:
            os.dup2(opened, descriptor)
        os.close(opened)


def _end_with_parent(scratch: Path) -> None:
    """The batch may be killed at any time; its audits must not live on and write into its folder."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        with suppress(OSError):
            remove_tree(scratch)
        os.killpg(os.getpgrp(), signal.SIGKILL)
