"""The objects of a git repository, read through one long-lived `git cat-file --batch`.

An audit of a pull request asks for some dozen commits and trees and for every blob of its folder; a process
for each question cost more than all checks together. What a partial clone lacks is reported as missing, and
nothing is fetched. Names and contents come from pull requests and are untrusted.
"""

from __future__ import annotations

import re
import subprocess
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

TREE_MODE = "040000"
MAX_OBJECT_BYTES = 64 << 20
"""Of a commit or tree; the largest real one has a megabyte."""
MAX_ENTRIES = 200_000
MAX_DEPTH = 200
"""Of the folders of a commit. A tree may name itself's parts many times over, and a path has 4,096 bytes."""
_FULL_NAME = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})(?:\^\{commit\})?")
_CHUNK = 1 << 20


_Item = TypeVar("_Item")


class GitError(Exception):
    """The repository cannot give what was asked for. `facts` say what was found, tried and what to do."""

    def __init__(self, what: str, **facts: str) -> None:
        super().__init__(what)
        self.facts = facts


class Commit(NamedTuple):
    name: str
    tree: str
    parents: tuple[str, ...]


class Entry(NamedTuple):
    """One file of a commit's tree."""

    mode: str
    blob: str
    path: str


class _Header(NamedTuple):
    """What git says of an object before its bytes."""

    name: str
    kind: str
    size_bytes: int


class Objects:
    """A repository's objects by full name. `command` starts git in it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command, self._environment = (*command, "cat-file", "--batch"), environment
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[..., Objects] | None = None
        self._commits: dict[str, Commit | None] = {}

    def commit(self, name: str) -> Commit | None:
        """A commit, or the one that a tag points at; None where the repository holds none under this name."""
        if name not in self._commits:
            self._commits[name] = self._commit(name)
        return self._commits[name]

    def tree(self, name: str) -> tuple[Entry, ...]:
        """The entries of a tree or of a commit's tree, subtrees among them. `path` is the name alone."""
        header, data = self._read(name) or (_Header(name, "missing", 0), b"")
        if header.kind == "commit":
            return self.tree(_parse_commit(name, data).tree)
        if header.kind != "tree":
            raise GitError(f"{name} is {header.kind}, not a tree")
        return tuple(_entries(data, len(name) // 2))

    def walk(self, tree: str, prefix: str = "") -> Iterator[Entry]:
        """Everything below a tree but its subtrees, in path order."""
        return _bounded(self._walk(tree, prefix, 0))

    def changed(self, old: str | None, new: str) -> Iterator[tuple[Entry, bool]]:
        """What a tree has that an older one has not, in path order; False where the path was no folder there."""
        return _bounded(self._changed(old, new, "", 0))

    def write(self, blob: str, path: Path, limit_bytes: int) -> int | None:
        """Write a blob to a new file; its size, or None where it is missing. One over the limit is not written."""
        header, stream = self._ask(blob)
        if header is None:
            return None
        size = header.size_bytes
        if size > limit_bytes:
            _drain(stream, size, lambda chunk: None)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "xb") as file:
                _drain(stream, size, file.write)
        stream.read(1)
        return size

    # ---- inside ---------------------------------------------------------------------------------

    def _commit(self, name: str) -> Commit | None:
        read = self._read(f"{name}^{{commit}}")
        return None if read is None else _parse_commit(read[0].name, read[1])

    def _walk(self, tree: str, prefix: str, depth: int) -> Iterator[Entry]:
        for entry in self._below(tree, depth):
            path = prefix + entry.path
            if entry.mode == TREE_MODE:
                yield from self._walk(entry.blob, f"{path}/", depth + 1)
            else:
                yield entry._replace(path=path)

    def _changed(self, old: str | None, new: str, prefix: str, depth: int) -> Iterator[tuple[Entry, bool]]:
        before = {} if old is None else {entry.path: entry for entry in self._below(old, depth)}
        for entry in self._below(new, depth):
            was = before.get(entry.path)
            if was == entry:
                continue
            path = prefix + entry.path
            was_tree = was is not None and was.mode == TREE_MODE
            if entry.mode == TREE_MODE:
                inside = was.blob if was is not None and was_tree else None
                yield from self._changed(inside, entry.blob, f"{path}/", depth + 1)
            else:
                yield entry._replace(path=path), was is None or was_tree

    def _below(self, tree: str, depth: int) -> tuple[Entry, ...]:
        if depth > MAX_DEPTH:
            raise GitError(f"folders are nested over {MAX_DEPTH} levels")
        return self.tree(tree)

    def _read(self, name: str) -> tuple[_Header, bytes] | None:
        header, stream = self._ask(name)
        if header is None:
            return None
        if header.size_bytes > MAX_OBJECT_BYTES:
            _drain(stream, header.size_bytes + 1, lambda chunk: None)
            raise GitError(f"{name} has {header.size_bytes} bytes, over {MAX_OBJECT_BYTES}")
        data = stream.read(header.size_bytes + 1)
        return header, data[:-1]

    def _ask(self, name: str) -> tuple[_Header | None, IO[bytes]]:
        """The header of an object, None where it is missing, and the stream that its bytes and a newline come from next."""
        if _FULL_NAME.fullmatch(name) is None:  # a line break in it would put question and answer out of step
            raise GitError(f"{name!r} is not the full name of an object")
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(name.encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            self.close()
            return None, process.stdout
        words = process.stdout.readline().split()
        if not words:
            self.close()  # it died of this object; the next question starts another
        header = _Header(words[0].decode(), words[1].decode(), int(words[2])) if len(words) == 3 else None
        return header, process.stdout

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
            )
            self._end = weakref.finalize(self, _end, self._process)
        return self._process

    def close(self) -> None:
        """End git. Also done when the object goes; the next question would start it again."""
        if self._end is not None:
            self._end()
        self._process = self._end = None


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(BrokenPipeError), process:
        process.kill()  # half a large blob may still be in the pipe


def _parse_commit(name: str, data: bytes) -> Commit:
    header = data.partition(b"\n\n")[0].decode("ascii", "replace").split("\n")
    named = [line.partition(" ") for line in header]
    tree = next((value for key, _, value in named if key == "tree"), "")
    return Commit(name, tree, tuple(value for key, _, value in named if key == "parent"))


def _entries(data: bytes, name_bytes: int) -> Iterator[Entry]:
    at = 0
    while at < len(data):
        end = data.find(b"\0", at)
        mode, blank, path = data[at:end].partition(b" ")
        at = end + 1 + name_bytes
        if end < 0 or not blank or at > len(data):
            raise GitError("a tree is cut off")
        name = data[end + 1 : at].hex()
        yield Entry(mode.decode("ascii", "replace").zfill(6), name, path.decode("utf-8", "surrogateescape"))


def _bounded(items: Iterator[_Item]) -> Iterator[_Item]:
    for count, item in enumerate(items):
        if count >= MAX_ENTRIES:
            raise GitError(f"over {MAX_ENTRIES} files")
        yield item


def _drain(stream: IO[bytes], size: int, take: Callable[[bytes], object]) -> None:
    while size > 0:
        chunk = stream.read(min(size, _CHUNK))
        if not chunk:
            raise GitError("git cat-file ended early")
        take(chunk)
        size -= len(chunk)
