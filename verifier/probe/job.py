"""What to run in the sandbox, within which limits, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from verifier.probe.isolation import Mechanism
from verifier.probe.view import WORK

MiB = 1 << 20
GiB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """Bounds for all processes of a run together, unless said otherwise."""

    wall_seconds: float = 300.0
    cpu_seconds: float = 600.0
    memory_bytes: int = 4 * GiB
    """Resident memory that is no file page, summed. The address space stays unbounded, since torch reserves
    far more than it uses; a single process may reserve twice this as data."""
    scratch_bytes: int = 1 * GiB
    """/tmp, /var/tmp, /run and /dev/shm together; lies in memory and comes on top of `memory_bytes`."""
    tree_bytes: int = 2 * GiB
    """Disk use of the tree, inputs included, at any time."""
    tree_files: int = 100_000
    file_bytes: int = 1 * GiB
    """Each file."""
    open_files: int = 1024
    """Each process."""
    processes: int = 256
    """Threads count too."""
    stdout_bytes: int = 8 * MiB
    """Kept of stdout and of stderr, each; the rest is counted and dropped."""
    output_bytes: int = 64 * MiB
    """More than this on stdout and stderr together ends the run."""
    record_bytes: int = 512 * MiB
    """More than this in one of the job's records ends the run."""


@dataclass(frozen=True)
class Job:
    """One command. `WORK` in argv, env values and cwd means the tree, wherever the run finds it."""

    argv: tuple[str, ...]
    tree: Path
    """A private copy for this run; its contents are what the child finds, and changes, at `WORK`.

    Read it afterwards with `verifier.probe.harvest` only: names in it may be links, pipes or huge. Under
    root the tree has another owner during the run, files with a second hard link elsewhere too.
    """
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    network: bool = False
    read_only: tuple[str, ...] = ()
    """Paths inside the tree that the child may read only (kept by namespaces, not by the fallback)."""
    proc_writable: bool = False
    """Whether the run may write into its own /proc, as the CUDA driver does on start."""
    expose: tuple[Path, ...] = ()
    """Further host paths that the child may read, device files among them."""
    cwd: str = WORK
    records: tuple[Path, ...] = ()
    """Files of the host that receive what the run writes to its descriptors 3, 4, … through pipes: it can add
    to them, and never change what it wrote."""


class Ended(StrEnum):
    """Why a run ended."""

    EXIT = "exit"
    WALL_LIMIT = "wall-limit"
    CPU_LIMIT = "cpu-limit"
    MEMORY_LIMIT = "memory-limit"
    PROCESS_LIMIT = "process-limit"
    DISK_LIMIT = "disk-limit"
    OUTPUT_LIMIT = "output-limit"
    STOPPED = "stopped"
    """The audit itself broke off."""
    START_FAILED = "start-failed"
    SUPERVISOR_LOST = "supervisor-lost"
    """The process that watches over the run was killed from inside; only possible without namespaces."""


@dataclass(frozen=True)
class Outcome:
    """What one run did, as seen from outside. Bytes are as the child wrote them: untrusted."""

    ended: Ended
    message: str
    """What was measured against which limit, or why the start failed; empty after an exit."""
    exit_code: int | None
    """None unless the command itself exited or died of a signal; the latter as a negative number."""
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    stdout: bytes
    stderr: bytes
    stdout_dropped_bytes: int
    stderr_dropped_bytes: int
    work_path: Path
    """Where the child found its tree: `WORK`, or the tree's own path without namespaces."""
    mechanism: Mechanism
    isolation: Mapping[str, str]

    @property
    def ok(self) -> bool:
        return self.ended is Ended.EXIT and self.exit_code == 0
