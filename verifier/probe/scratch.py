"""A run's scratch folder: locked while it is in use, and removed whatever a hostile run left in it.

An audit that is killed outright cannot clean up. The lock dies with its process, so the next audit on the
machine finds the folder unlocked and removes it.

Cannot see: folders of another user's audits, or on a file system without locks; those stay.
"""

from __future__ import annotations

import fcntl
import functools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "pgolf-verify-run-"
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder, gone afterwards."""
    _sweep_once(tempfile.gettempdir())
    path, lock = _make()
    try:
        yield path
    finally:
        with suppress(OSError):  # the next audit tries again
            remove_tree(path)
        os.close(lock)


def sweep(folder: Path) -> list[Path]:
    """Remove the scratch folders in `folder` that nobody holds any more; returns those."""
    removed = []
    for path in sorted(folder.glob(f"{PREFIX}*")):
        with suppress(OSError):
            descriptor = os.open(path, _OPEN)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(path)
                removed.append(path)
            finally:
                os.close(descriptor)
    return removed


def remove_tree(folder: Path) -> None:
    """Remove a folder of any depth and with any modes, following no link.

    One folder is open at a time and none is named by a path: a run can nest folders far beyond what a path,
    the open files of a process or a recursion can hold.

    Raises OSError where the system refuses; what was removed until then is gone.
    """
    descriptor = os.open(folder, _OPEN)
    names: list[str] = []
    try:
        while True:
            name = _empty_of_files(descriptor)
            if name is not None:
                below = _enter(descriptor, name)
                os.close(descriptor)
                descriptor = below
                names.append(name)
            elif names:
                above = os.open("..", _OPEN, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = above
                os.rmdir(names.pop(), dir_fd=descriptor)
            else:
                break
    finally:
        os.close(descriptor)
    os.rmdir(folder)


@functools.cache
def _sweep_once(folder: str) -> None:
    sweep(Path(folder))


def _make() -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        with suppress(FileNotFoundError):
            descriptor = os.open(path, _OPEN)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return path, descriptor
            os.close(descriptor)  # a sweep came between the two calls


def _empty_of_files(descriptor: int) -> str | None:
    """Remove what is no folder until the first folder, and return its name."""
    with suppress(PermissionError):
        os.fchmod(descriptor, 0o700)
    with os.scandir(descriptor) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                return entry.name
            os.unlink(entry.name, dir_fd=descriptor)
    return None


def _enter(descriptor: int, name: str) -> int:
    try:
        return os.open(name, _OPEN, dir_fd=descriptor)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=descriptor)
        return os.open(name, _OPEN, dir_fd=descriptor)
