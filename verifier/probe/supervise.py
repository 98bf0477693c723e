"""Watch one run from outside: keep its output, sample its use, and end it at the first limit."""

from __future__ import annotations

import fcntl
import marshal
import os
import select
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

from verifier.probe.job import Ended, Limits
from verifier.probe.watch import TreeUse, Usage, tree_use, usage_below

POLL_SECONDS = 0.025
TREE_POLL_SECONDS = 0.25
TREE_POLL_SHARE = 20  # a walk over the tree may take one part in so many of the time
WRITTEN_SLACK = 4  # a file counts in full each time that it is written again
STOP_SECONDS = 5.0
CHUNK_BYTES = 1 << 16
PIPE_BYTES = 1 << 20  # a run that records much should not wait for the next look

_PACKAGE_FOLDER = str(Path(__file__).resolve().parents[2])
_LAUNCH = "import sys; sys.path.append(sys.argv[2]); from verifier.probe.launcher import main; main()"


@dataclass
class Stream:
    """The head of one output stream, and how much came after it."""

    limit_bytes: int
    parts: list[bytes] = field(default_factory=list)
    kept_bytes: int = 0
    dropped_bytes: int = 0

    def add(self, data: bytes) -> None:
        head = data[: self.limit_bytes - self.kept_bytes]
        if head:
            self.parts.append(head)
            self.kept_bytes += len(head)
        self.dropped_bytes += len(data) - len(head)

    @property
    def kept(self) -> bytes:
        return b"".join(self.parts)


@dataclass
class Record:
    """A file of the host that takes what the run writes to one of its descriptors."""

    limit_bytes: int
    file: BinaryIO
    size_bytes: int = 0

    def add(self, data: bytes) -> None:
        self.file.write(data)
        self.size_bytes += len(data)


@dataclass
class Run:
    """What was seen of a run so far."""

    stdout: Stream
    stderr: Stream
    status: Stream
    ended: Ended = Ended.EXIT
    message: str = ""
    exit_code: int | None = None
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    shared_proc: bool = False
    usage: Usage = Usage()
    records: tuple[Record, ...] = ()

    @property
    def output_bytes(self) -> int:
        return sum(stream.kept_bytes + stream.dropped_bytes for stream in (self.stdout, self.stderr))


def supervise(
    plan: dict[str, Any], tree: Path, limits: Limits, stop: Event, records: Sequence[Path] = ()
) -> Run:
    """Start the launcher with its plan and stay until every process of the run is dead."""
    run = Run(Stream(limits.stdout_bytes), Stream(limits.stdout_bytes), Stream(CHUNK_BYTES))
    started = time.monotonic()
    with ExitStack() as open_files, selectors.DefaultSelector() as selector:
        run.records = tuple(
            Record(limits.record_bytes, open_files.enter_context(path.open("wb"))) for path in records
        )
        pipes = [os.pipe() for _ in (run.status, *run.records)]
        status_pipe, *record_pipes = (
            open_files.enter_context(open(end, "rb", buffering=0)) for end, _ in pipes
        )
        ends = [end for _, end in pipes]
        try:
            launcher = _start(ends)
        finally:
            for end in ends:
                os.close(end)
        with launcher:
            try:
                for pipe, stream in (
                    (launcher.stdout, run.stdout),
                    (launcher.stderr, run.stderr),
                    (status_pipe, run.status),
                    *zip(record_pipes, run.records, strict=True),
                ):
                    assert pipe is not None
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe, selectors.EVENT_READ, stream)
                for record_pipe in record_pipes:
                    with suppress(OSError):
                        fcntl.fcntl(record_pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
                _send(launcher, marshal.dumps({**plan, "records": ends[1:]}))
                _watch(launcher, selector, run, tree, limits, stop, 2 if plan["namespaces"] else 1, started)
            finally:
                _stop(launcher, run.usage)
                run.wall_seconds = time.monotonic() - started
                _read(selector, 0.0, run, limits)
    _conclude(run)
    return run


def _start(ends: Sequence[int]) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-I", "-S", "-c", _LAUNCH, str(ends[0]), _PACKAGE_FOLDER)
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={},
        cwd="/",
        pass_fds=ends,
        start_new_session=True,
    )


def _send(launcher: subprocess.Popen[bytes], plan: bytes) -> None:
    assert launcher.stdin is not None
    with suppress(BrokenPipeError), launcher.stdin as pipe:
        while plan:
            plan = plan[pipe.write(plan) :]


def _watch(
    launcher: subprocess.Popen[bytes],
    selector: selectors.BaseSelector,
    run: Run,
    tree: Path,
    limits: Limits,
    stop: Event,
    supervisors: int,
    started: float,
) -> None:
    """Read and sample until the launcher closes its status pipe, a limit is passed or the audit breaks off."""
    next_sample = next_walk = started
    tree_used = TreeUse()
    while _read(selector, POLL_SECONDS, run, limits):
        now = time.monotonic()
        if now >= next_sample:
            usage = usage_below(launcher.pid, supervisors)
            if usage.pids:  # a launcher that was killed has no children any more; keep who they were
                run.usage = usage
            run.cpu_seconds = max(run.cpu_seconds, usage.cpu_seconds)
            run.peak_memory_bytes = max(run.peak_memory_bytes, usage.memory_bytes)
            next_sample = now + POLL_SECONDS
        if now >= next_walk:
            tree_used = tree_use(tree, run.usage.pids)
            walk_seconds = time.monotonic() - now
            next_walk = now + max(TREE_POLL_SECONDS, walk_seconds * TREE_POLL_SHARE)
        if stop.is_set():
            run.ended, run.message = Ended.STOPPED, "the audit broke off"
            return
        passed = _passed_limit(run, limits, now - started, tree_used)
        if passed:
            run.ended, run.message = passed
            return


def _passed_limit(
    run: Run, limits: Limits, wall_seconds: float, tree_used: TreeUse
) -> tuple[Ended, str] | None:
    usage = run.usage
    written_limit = limits.tree_bytes * WRITTEN_SLACK
    for ended, value, limit, what in (
        (Ended.WALL_LIMIT, wall_seconds, limits.wall_seconds, "wall seconds"),
        (Ended.CPU_LIMIT, run.cpu_seconds, limits.cpu_seconds, "CPU seconds"),
        (Ended.MEMORY_LIMIT, usage.memory_bytes, limits.memory_bytes, "bytes of memory"),
        (Ended.PROCESS_LIMIT, usage.tasks, limits.processes, "processes and threads"),
        (Ended.DISK_LIMIT, tree_used.used_bytes, limits.tree_bytes, "bytes in the tree"),
        (Ended.DISK_LIMIT, tree_used.files, limits.tree_files, "files in the tree"),
        (Ended.DISK_LIMIT, usage.written_bytes, written_limit, "bytes written to disk"),
        (Ended.OUTPUT_LIMIT, run.output_bytes, limits.output_bytes, "bytes of output"),
        *(
            (Ended.OUTPUT_LIMIT, record.size_bytes, record.limit_bytes, "bytes of record")
            for record in run.records
        ),
    ):
        if value > limit:
            return ended, f"{value:.6g} {what}, limit {limit:.6g}"
    return None


def _read(selector: selectors.BaseSelector, timeout: float, run: Run, limits: Limits) -> bool:
    """Take what the pipes hold; False once the status pipe is closed, that is, everything has ended."""
    for key, _ in selector.select(timeout):
        stream: Stream | Record = key.data
        while _takes_more(run, stream, limits):
            try:
                data = os.read(key.fd, CHUNK_BYTES)
            except BlockingIOError:
                break
            if not data:
                selector.unregister(key.fileobj)
                break
            stream.add(data)
            if len(data) < CHUNK_BYTES:
                break
    return any(key.data is run.status for key in selector.get_map().values())


def _takes_more(run: Run, stream: Stream | Record, limits: Limits) -> bool:
    if isinstance(stream, Record):
        return stream.size_bytes <= stream.limit_bytes
    return run.output_bytes <= limits.output_bytes or stream is run.status


def _stop(launcher: subprocess.Popen[bytes], last: Usage) -> None:
    """Ask the launcher to end the run, and force it if it cannot; it returns once all of it is dead."""
    with suppress(ProcessLookupError):
        launcher.terminate()
    try:
        code = launcher.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        launcher.kill()
        code = launcher.wait()
    if code == -signal.SIGKILL:
        for pid in last.pids:
            with suppress(OSError):
                _kill(pid)


def _kill(pid: int) -> None:
    """Kill a process that is no child of this one, and wait for its end."""
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(STOP_SECONDS * 1000)
    finally:
        os.close(descriptor)


def _conclude(run: Run) -> None:
    """Read the launcher's report: one line for each event, the last of a kind wins."""
    events: dict[str, str] = {}
    for line in run.status.kept.decode(errors="replace").splitlines():
        key, _, value = line.partition(" ")
        events[key] = value
    run.shared_proc = "shared-proc" in events
    if "usage" in events:
        cpu_seconds, peak_bytes = events["usage"].split()
        run.cpu_seconds = max(run.cpu_seconds, float(cpu_seconds))
        run.peak_memory_bytes = max(run.peak_memory_bytes, int(peak_bytes))
    if run.ended is not Ended.EXIT:
        return
    if "failed" in events:
        run.ended, run.message = Ended.START_FAILED, events["failed"]
    elif "exit" in events and "usage" in events:
        run.exit_code = int(events["exit"])
    elif "ready" in events:
        run.ended, run.message = Ended.SUPERVISOR_LOST, "the launcher died before the command ended"
    else:
        run.ended, run.message = Ended.START_FAILED, run.stderr.kept.decode(errors="replace")[-1000:]
