"""What the processes of a run use, read from outside, so that a limit holds for all of them together.

Sampled every few hundredths of a second: a peak between two samples is not seen. Memory that several
processes share counts once for each, so the sum errs on the high side.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own block
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Sums over the live processes of a run; `cpu_seconds` includes children that were waited for."""

    tasks: int = 0
    memory_bytes: int = 0
    cpu_seconds: float = 0.0
    written_bytes: int = 0
    pids: tuple[int, ...] = ()


def usage_below(pid: int, supervisors: int) -> Usage:
    """What runs below `pid`, less the first `supervisors` generations (`pid` is the first)."""
    tasks = memory_bytes = written_bytes = 0
    cpu_seconds = 0.0
    pids = []
    for process, depth in _tree(pid, 0):
        own = depth >= supervisors
        stat = _stat(process)
        if stat is None:
            continue
        cpu_seconds += (sum(stat[11:15]) if own else sum(stat[13:15])) / _TICKS_PER_SECOND
        if own:
            pids.append(process)
            tasks += stat[17]
            memory_bytes += _memory_bytes(process)
            written_bytes += _written_bytes(process)
    return Usage(tasks, memory_bytes, cpu_seconds, written_bytes, tuple(pids))


@dataclass(frozen=True)
class TreeUse:
    """Disk blocks and names below a folder, deleted files that a process still holds open included."""

    used_bytes: int = 0
    files: int = 0


def tree_use(folder: Path, pids: tuple[int, ...]) -> TreeUse:
    """Links are not followed; what vanishes meanwhile counts as nothing."""
    used_bytes = files = 0
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    files += 1
                    used_bytes += entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue
    deleted = _deleted_but_open(folder.stat().st_dev, pids)
    return TreeUse(used_bytes + sum(deleted.values()), files + len(deleted))


def _deleted_but_open(device: int, pids: tuple[int, ...]) -> dict[int, int]:
    found: dict[int, int] = {}
    for pid in pids:
        try:
            for name in os.listdir(f"/proc/{pid}/fd"):
                status = os.stat(f"/proc/{pid}/fd/{name}")
                if status.st_nlink == 0 and status.st_dev == device:
                    found[status.st_ino] = status.st_blocks * _BLOCK_BYTES
        except OSError:
            continue
    return found


def _tree(pid: int, depth: int) -> Iterator[tuple[int, int]]:
    pending = [(pid, depth)]
    while pending:
        process, depth = pending.pop()
        yield process, depth
        pending += [(child, depth + 1) for child in _children(process)]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    except OSError:
        return found
    return found


def _stat(pid: int) -> list[int] | None:
    """The fields of proc(5) from the third on, so that index 11 is utime; the state letter reads 0."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return [0, *map(int, text[text.rindex(")") + 1 :].split()[1:20])]


def _memory_bytes(pid: int) -> int:
    """Resident memory that is no page of a file on disk."""
    return 1024 * sum(_fields(f"/proc/{pid}/status", ("RssAnon", "RssShmem", "VmSwap")))


def _written_bytes(pid: int) -> int:
    """Bytes that the process and the children it waited for gave to disks; deleted files count too."""
    return sum(_fields(f"/proc/{pid}/io", ("write_bytes",)))


def _fields(path: str, names: tuple[str, ...]) -> Iterator[int]:
    try:
        lines = Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = line.partition(":")
        if name in names:
            yield int(value.split()[0])
