"""Read what a run left in its tree without being led elsewhere, blocked or flooded.

The submission could have replaced any name by a link to a file of the host, by a named pipe that nobody
writes to, or by terabytes of zeros. What is returned is still its own claim: parse it as untrusted data.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath


class HarvestError(Exception):
    """A file of the tree is not what an honest run leaves; the message says how."""


def read_from_tree(tree: Path, name: str, limit_bytes: int) -> bytes:
    """The bytes of a regular file below the tree, reached without any link.

    Raises FileNotFoundError when it is not there and HarvestError when it cannot be trusted to be a file.
    """
    *folders, last = PurePosixPath(name).parts
    if last in ("/", "..") or not {"/", ".."}.isdisjoint(folders):
        raise ValueError(f"{name!r} must be a relative path that stays below the tree")
    descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            descriptor = _step(descriptor, folder, os.O_DIRECTORY, name)
        descriptor = _step(descriptor, last, os.O_NONBLOCK | os.O_NOCTTY, name)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise HarvestError(f"{name} is no regular file")
        if status.st_size > limit_bytes:
            raise HarvestError(f"{name} has {status.st_size} bytes, at most {limit_bytes} are read")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit_bytes)
    finally:
        os.close(descriptor)


def _step(descriptor: int, name: str, flags: int, path: str) -> int:
    """Open one name in an open folder, close the folder, and never follow a link."""
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise HarvestError(f"{path} cannot be opened without following links: {error.strerror}") from error
    os.close(descriptor)
    return opened
