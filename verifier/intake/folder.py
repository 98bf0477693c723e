"""The folder itself: which regular files it ships, their sizes and hashes, and what was refused.

Nothing outside the folder is ever read: symbolic links that leave it are reported and skipped, and
so are sockets, pipes and devices. Limits keep a hostile folder from holding the auditor up.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from verifier.finding import Where
from verifier.submission import Problem, ShippedFile

MAX_FILES = 5_000  # the largest real folder holds a few hundred
MAX_DEPTH = 16
MAX_HASHED_BYTES = 2 << 30  # a 16 MB artifact, its checkpoint and every log fit many times over
MAX_PARSED_BYTES = 32 << 20  # the largest real script is 1.6 MB, the largest real log below 10 MB
_CHUNK = 1 << 20


class IntakeError(Exception):
    """The path cannot be read as a submission folder at all."""


@dataclass(frozen=True)
class Folder:
    """What was found. `read` gives the bytes of a file that is small enough to parse."""

    root: Path
    files: tuple[ShippedFile, ...]
    real_paths: Mapping[str, Path]
    problems: tuple[Problem, ...]

    def read(self, path: str) -> bytes | None:
        """The bytes of a shipped file, or None when it is over the parsing cap or unreadable."""
        real = self.real_paths.get(path)
        if real is None:
            return None
        try:
            with os.fdopen(_open_regular(real), "rb") as handle:
                data = handle.read(MAX_PARSED_BYTES + 1)
        except OSError:
            return None
        return data if len(data) <= MAX_PARSED_BYTES else None


def open_folder(root: Path) -> Folder:
    """List and hash a folder. Raises IntakeError when there is nothing to list."""
    if not root.exists():
        raise IntakeError(f"{root}: found nothing there; expected a contest folder. Check the path.")
    if not root.is_dir():
        raise IntakeError(
            f"{root}: found a file; expected the folder that holds train_gpt.py. Pass its parent folder."
        )
    root = root.resolve()
    try:
        os.scandir(root).close()
    except OSError as error:
        raise IntakeError(
            f"{root}: found an unreadable folder ({error.strerror}); expected read access. Check permissions."
        ) from error
    walk = _Walk(root)
    walk.visit(root, "", 0)
    if not walk.files and not walk.problems:
        raise IntakeError(
            f"{root}: found an empty folder; expected train_gpt.py, submission.json and logs. "
            "Check that the submission was checked out."
        )
    walk.files.sort(key=lambda file: file.path)
    return Folder(root, tuple(walk.files), walk.real_paths, tuple(walk.problems))


class _Walk:
    """One traversal: collects files and problems, stops at the limits."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: list[ShippedFile] = []
        self.real_paths: dict[str, Path] = {}
        self.problems: list[Problem] = []
        self.full = False

    def problem(self, code: str, message: str, path: str) -> None:
        self.problems.append(Problem(code, message, Where(path or ".")))

    def visit(self, folder: Path, prefix: str, depth: int) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self.problem("unreadable", f"{prefix or '.'} cannot be listed: {error.strerror}", prefix)
            return
        for entry in entries:
            if self.full:
                return
            path = prefix + _printable(entry.name)
            if entry.is_symlink():
                self.link(entry, path)
            elif entry.is_dir(follow_symlinks=False):
                if entry.name == ".git":
                    continue
                if depth + 1 >= MAX_DEPTH:
                    self.problem("too-deep", f"{path}/ is nested over {MAX_DEPTH} levels: not read", path)
                else:
                    self.visit(Path(entry.path), path + "/", depth + 1)
            else:
                self.file(Path(entry.path), path)

    def link(self, entry: os.DirEntry[str], path: str) -> None:
        try:
            target = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):
            self.problem("symlink-broken", f"{path} is a symbolic link to nothing: ignored", path)
            return
        if not target.is_relative_to(self.root):
            self.problem(
                "symlink-outside", f"{path} is a symbolic link out of the folder: not followed", path
            )
        elif target.is_dir():
            self.problem("symlink-folder", f"{path} is a symbolic link to a folder: not followed", path)
        else:
            self.file(target, path)

    def file(self, real: Path, path: str) -> None:
        if len(self.files) >= MAX_FILES:
            self.full = True
            self.problem("too-many-files", f"over {MAX_FILES} files: the rest were not read", path)
            return
        try:
            shipped, hashed = _hash(real, path)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EINVAL, errno.ENXIO):
                self.problem("not-a-file", f"{path} is not a regular file: ignored", path)
            else:
                self.problem("unreadable", f"{path} cannot be read: {error.strerror}", path)
            return
        self.files.append(shipped)
        if shipped.size_bytes <= MAX_PARSED_BYTES:
            self.real_paths[path] = real
        else:
            extent = "hashed but not parsed" if hashed else "neither hashed nor parsed"
            self.problem(
                "file-too-large",
                f"{path} has {shipped.size_bytes} bytes, over the cap of {MAX_PARSED_BYTES}: {extent}",
                path,
            )


def _hash(real: Path, path: str) -> tuple[ShippedFile, bool]:
    with os.fdopen(_open_regular(real), "rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        if size > MAX_HASHED_BYTES:
            return ShippedFile(path, size, ""), False
        digest, seen = hashlib.sha256(), 0
        while seen <= MAX_HASHED_BYTES and (chunk := handle.read(_CHUNK)):
            digest.update(chunk)
            seen += len(chunk)
    return ShippedFile(path, seen, digest.hexdigest()), True


def _open_regular(real: Path) -> int:
    """Open without following a link and without blocking on a pipe; EINVAL when not a regular file."""
    descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return descriptor


def _printable(name: str) -> str:
    """The name as text that every report can write: bytes that are not UTF-8 become escapes."""
    return name.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="backslashreplace")
