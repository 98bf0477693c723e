"""Run one command of a submission with its doors shut, bounded in everything it can use.

The child sees its tree read-write at `WORK`, private scratch folders, and the system and interpreter
read-only; no network, no other process, no variable that the job does not name. Whatever it leaves
running dies before `run_sandboxed` returns. `Outcome.isolation` says in words what really was in force.

Cannot see: what the submission computed. Its files and output are untrusted data for the caller to parse.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

from verifier.probe import kernel
from verifier.probe.isolation import Mechanism, describe
from verifier.probe.job import Ended, Job, Limits, Outcome
from verifier.probe.supervise import Run, supervise
from verifier.probe.syscalls import NAMESPACED_FAMILIES, landlock_rules, landlock_version, syscall_filter
from verifier.probe.view import DEVICES, HOME, SCRATCH, WORK, View, view

__all__ = [
    "HOME",
    "WORK",
    "Ended",
    "Job",
    "Limits",
    "Mechanism",
    "Outcome",
    "best_mechanism",
    "run_sandboxed",
]

DATA_SLACK = 2  # one process may reserve this many times the memory limit: the sampled sum ends it earlier
SCRATCH_FILES = 100_000
FIRST_FREE_UID = 1_900_000_000
UIDS_PER_PROCESS = 64
NOBODY = 65534
NPROC_PER_NAMESPACE = (5, 14)  # before this Linux, RLIMIT_NPROC counted the user's tasks on the whole host

_ALWAYS_OWN = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWCGROUP
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWPID
)
_WORK_NAME = re.compile(re.escape(WORK) + r"(?![\w.-])")
_run_numbers = itertools.count()


def run_sandboxed(job: Job, mechanism: Mechanism | None = None, stop: Event | None = None) -> Outcome:
    """Run the job to its end, its first limit or until `stop` is set; every process of it is dead on return, and on a
    raise."""
    chosen = mechanism or best_mechanism()
    tree = _checked_tree(job)
    uid, gid = _identity(chosen)
    work = tree if chosen is Mechanism.PROCESS else Path(WORK)
    plan = _plan(job, chosen, tree, work, uid, gid)
    with _owned_by(tree, uid, gid, chosen is Mechanism.ROOT):
        run = supervise(plan, tree, job.limits, stop or Event(), job.records)
    return _outcome(job, chosen, work, plan, run)


@functools.cache
def best_mechanism() -> Mechanism:
    """The strongest mechanism that starts a program here, found by trying."""
    with tempfile.TemporaryDirectory() as folder:
        job = Job((sys.executable, "-I", "-S", "-c", ""), Path(folder), limits=Limits(wall_seconds=30))
        for candidate in (Mechanism.ROOT, Mechanism.USER):
            if (candidate is Mechanism.USER or os.geteuid() == 0) and run_sandboxed(job, candidate).ok:
                return candidate
    return Mechanism.PROCESS


def _checked_tree(job: Job) -> Path:
    tree = job.tree.resolve(strict=True)
    if not tree.is_dir():
        raise NotADirectoryError(f"{job.tree} is no folder; a run needs one as its tree")
    if not job.argv or not os.path.isabs(job.argv[0]):
        raise ValueError(f"argv must start with an absolute path, not {job.argv[:1]}: no PATH is searched")
    for name in job.read_only:
        path = tree / name
        if path.resolve() != path or not path.is_relative_to(tree) or not path.exists():
            raise ValueError(f"read-only path {name!r} must exist inside the tree, without links on the way")
    return tree


def _identity(mechanism: Mechanism) -> tuple[int, int]:
    """The user and group that the submission runs as; under root, one that no other run has."""
    if mechanism is not Mechanism.ROOT:
        return os.geteuid(), os.getegid()
    wanted = FIRST_FREE_UID + os.getpid() * UIDS_PER_PROCESS + next(_run_numbers) % UIDS_PER_PROCESS
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= wanted < first + count:
            return wanted, wanted
    return NOBODY, NOBODY


@contextmanager
def _owned_by(tree: Path, uid: int, gid: int, change: bool) -> Iterator[None]:
    """Give the tree to the run's user, and what is in it afterwards back to its owner."""
    if not change:
        yield
        return
    before = tree.stat()
    _chown_tree(tree, uid, gid)
    try:
        yield
    finally:
        # Folders nested past what can be walked are an attack on the audit; root reads without owning them.
        with suppress(OSError, RecursionError):
            _chown_tree(tree, before.st_uid, before.st_gid)


def _chown_tree(tree: Path, uid: int, gid: int) -> None:
    for _, folders, files, descriptor in os.fwalk(tree, follow_symlinks=False):
        for name in (*folders, *files):
            os.chown(name, uid, gid, dir_fd=descriptor, follow_symlinks=False)
    os.chown(tree, uid, gid)


def _plan(job: Job, mechanism: Mechanism, tree: Path, work: Path, uid: int, gid: int) -> dict[str, Any]:
    """All that the launcher does, decided here: it only carries out."""
    namespaces = mechanism is not Mechanism.PROCESS
    shown = view(job.network, job.expose, uid, gid)
    families = None if job.network else NAMESPACED_FAMILIES if namespaces else ()
    read_only = [(str(tree / name), f"{WORK}/{name}", "ro") for name in job.read_only]
    return {
        "parent": os.getpid(),
        "namespaces": namespaces,
        "unshare": _ALWAYS_OWN
        | (0 if job.network else kernel.CLONE_NEWNET)
        | (kernel.CLONE_NEWUSER if mechanism is Mechanism.USER else 0),
        "uid": uid,
        "gid": gid,
        "switch_user": mechanism is Mechanism.ROOT,
        "scratch": list(SCRATCH),
        "scratch_bytes": job.limits.scratch_bytes,
        "scratch_files": SCRATCH_FILES,
        "binds": [*shown.binds, (str(tree), WORK, "rw"), *read_only],
        "symlinks": shown.symlinks,
        "files": shown.files,
        "folders": [HOME],
        "proc_writable": job.proc_writable,
        "rlimits": _rlimits(job.limits, mechanism),
        "seccomp": syscall_filter(families),
        "landlock": None if namespaces else _landlock(job, tree, shown),
        "argv": [_at(work, word) for word in job.argv],
        "env": {name: _at(work, value) for name, value in job.env.items()},
        "cwd": _at(work, job.cwd),
    }


def _at(work: Path, text: str) -> str:
    return text if str(work) == WORK else _WORK_NAME.sub(lambda _: str(work), text)


def _landlock(job: Job, tree: Path, shown: View) -> dict[str, Any] | None:
    readable = (*shown.readable, "/etc", "/proc")
    writable = (str(tree), "/tmp", "/dev/shm", *DEVICES)
    return landlock_rules(landlock_version(), readable, writable, job.network)


def _rlimits(limits: Limits, mechanism: Mechanism) -> list[tuple[int, int]]:
    bounds = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, max(1, round(limits.cpu_seconds + 1))),
        (resource.RLIMIT_DATA, limits.memory_bytes * DATA_SLACK),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
    ]
    release = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
    if mechanism is Mechanism.ROOT or (mechanism is Mechanism.USER and release >= NPROC_PER_NAMESPACE):
        bounds.append((resource.RLIMIT_NPROC, limits.processes))
    return bounds


def _outcome(job: Job, mechanism: Mechanism, work: Path, plan: dict[str, Any], run: Run) -> Outcome:
    landlock = landlock_version() if plan["landlock"] else 0
    return Outcome(
        ended=run.ended,
        message=run.message,
        exit_code=run.exit_code,
        wall_seconds=run.wall_seconds,
        cpu_seconds=run.cpu_seconds,
        peak_memory_bytes=run.peak_memory_bytes,
        stdout=run.stdout.kept,
        stderr=run.stderr.kept,
        stdout_dropped_bytes=run.stdout.dropped_bytes,
        stderr_dropped_bytes=run.stderr.dropped_bytes,
        work_path=work,
        mechanism=mechanism,
        isolation=describe(mechanism, job.network, bool(plan["seccomp"]), landlock, run.shared_proc),
    )
