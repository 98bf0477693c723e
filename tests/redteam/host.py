"""Audit one attack as a user would, and see whether the host is as it was before.

The audit is a process of its own with a scratch folder of its own. This process is the reaper of orphans
meanwhile, so whatever the audit leaves running becomes its child and is found.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.redteam.attack import Attack
from verifier.verdict import EXIT_CODES, Call

SEED = 20260502
GRACE_SECONDS = 90.0
"""On top of an audit's time limit: reading the folder, checking, and the removal of what a run left."""
POLL_SECONDS = 0.2
DISK_BYTES = 6 << 30
"""Of two runs at a time, with the bound of `Limits.tree_bytes` on each, and what is written between two looks."""
ROOT = Path(__file__).resolve().parents[2]
_SUBREAPER = 36
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LIVE_LINK = re.compile(r"(?<!\\)\]\(javascript:")
_lock = threading.Lock()
_audits: set[int] = set()
_earlier: set[int] = set()


@dataclass(frozen=True)
class Row:
    """What came of one attack."""

    attack: Attack
    call: str
    """The verdict, or what stood in its place."""
    by: tuple[str, ...]
    """The checks behind the verdict."""
    seconds: float
    harm: tuple[str, ...]
    """What is not as it was before, in words; empty when the host is unharmed."""
    report: dict[str, Any]

    @property
    def wrong(self) -> str | None:
        """Why this row is a defect of the verifier, when it is one."""
        if self.harm:
            return "; ".join(self.harm)
        if self.call == Call.COMPLIANT and self.attack.survives is None:
            return "ends COMPLIANT, and no reason is on record"
        return None


def audit(attack: Attack, folder: Path, *options: str) -> Row:
    """Audit one attack in `folder`, which must not exist yet; call it inside `adopting_orphans`."""
    submission, scratch, reports = folder / "submission", folder / "scratch", folder / "reports"
    scratch.mkdir(parents=True)
    attack.write(submission)
    before = _listing(submission)
    command = [sys.executable, "-m", "verifier", str(submission), "--output", str(reports), "--quiet"]
    command += ["--seed", str(SEED), "--time-limit", str(attack.seconds), *options]
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started, largest = time.monotonic(), 0
    with _lock:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        _audits.add(process.pid)
    try:
        with process:
            output, largest = _wait(process, scratch, attack.seconds + GRACE_SECONDS)
    finally:
        with _lock:
            _audits.discard(process.pid)
    seconds = time.monotonic() - started
    saved = reports / "report.json"
    report = json.loads(saved.read_text()) if saved.is_file() else {}
    harm = [
        *_bad_ending(process.returncode, output, report),
        *(
            f"{kind} left: {found}"
            for kind, found in (("processes", orphans()), ("scratch files", os.listdir(scratch)))
            if found
        ),
        *(["the submitted folder changed"] if _listing(submission) != before else []),
        *([f"{largest:,} bytes of disk in use"] if largest > DISK_BYTES else []),
        *_markup(reports),
    ]
    by = tuple(dict.fromkeys(reason["check"] for reason in report.get("reasons", ())))
    return Row(attack, report.get("verdict", f"exit {process.returncode}"), by, seconds, tuple(harm), report)


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Make this process the parent of what its children leave behind, so that it can be found.

    Children that it had before, such as a pool's server, are nobody's orphans.
    """
    prctl = ctypes.CDLL(None).prctl
    earlier = set(_children())
    _earlier.update(earlier)
    prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SUBREAPER, 0, 0, 0, 0)
        _earlier.difference_update(earlier)


def _children() -> list[int]:
    tasks = (Path(f"/proc/self/task/{task}/children") for task in os.listdir("/proc/self/task"))
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def _wait(process: subprocess.Popen[bytes], scratch: Path, limit: float) -> tuple[str, int]:
    """The audit's output and the most disk space that its scratch folder took; kills what takes too long."""
    deadline, largest, parts = time.monotonic() + limit, 0, []
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    while True:
        ended = process.poll() is not None
        parts.append(process.stdout.read() or b"")
        largest = max(largest, _used(scratch))
        if ended:
            return b"".join(parts).decode(errors="replace"), largest
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return "the audit did not end in time", largest
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _used(folder: Path) -> int:
    total, pending = 0, [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue
    return total


def _bad_ending(code: int, output: str, report: dict[str, Any]) -> Iterable[str]:
    if not report:
        yield f"no report: exit code {code}, {output.strip()[-300:]!r}"
    elif code != EXIT_CODES[Call(report["verdict"])]:
        yield f"exit code {code} with {report['verdict']}"
    if "Traceback" in output:
        yield "a traceback was printed"
    for finding in report.get("findings", ()):
        if finding["state"] == "ERROR":
            yield f"{finding['check']} ended in an error: {finding['message'][:200]}"
    if "\x1b" in output or "\x1b" in json.dumps(report, ensure_ascii=False):
        yield "a terminal code reached the output"


def _markup(reports: Path) -> Iterable[str]:
    """Live markup of the attack in a report that a browser or a forge shows."""
    for name, shown in (("report.html", live_in_page), ("report.md", live_in_comment)):
        path = reports / name
        for bad in shown(path.read_text() if path.is_file() else ""):
            yield f"{bad!r} is live in {name}"


def live_in_page(text: str) -> list[str]:
    """Markup of the attacks that an HTML page would act on."""
    return [bad for bad in ("<script>alert", "<img src=x", "\x1b") if bad in text]


def live_in_comment(text: str) -> list[str]:
    """The same for Markdown, where a code span shows markup as text."""
    spoken = _CODE_SPAN.sub("", text)
    return [*live_in_page(spoken), *_LIVE_LINK.findall(spoken)]


def orphans() -> list[str]:
    """Processes that the audits left behind: children of this process that it did not start."""
    found = []
    for pid in _children():
        with _lock:
            if pid in _audits or pid in _earlier:
                continue
        try:
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                continue  # it had ended; an orphan that was killed waits for its reaper
            found.append(f"{pid} {Path(f'/proc/{pid}/comm').read_text().strip()}")
        except (OSError, ChildProcessError):
            continue
    return found


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of all that is in a folder."""
    found = []
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            status = os.lstat(os.path.join(parent, name))
            found.append((os.path.join(parent, name), status.st_size, status.st_mtime_ns))
    return sorted(found)
