"""The embedded text corpus: this Python's own standard library, cut into documents.

Training, tests and audits need text without a download. The standard library is on every machine that
can run us, is natural enough (prose, code, tables), and comes with the interpreter, so it costs no bytes
in the repository. The text differs between Python versions; `fingerprint()` says which text this is, and
every cache that is built from it carries that fingerprint in its name.

Not FineWeb: numbers measured here say nothing about the contest's leaderboard.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal

Split = Literal["train", "val"]

PACKAGES = (
    "asyncio", "collections", "concurrent", "ctypes", "curses", "dbm", "email", "html", "http", "importlib",
    "json", "logging", "multiprocessing", "pydoc_data", "re", "sqlite3", "tomllib", "unittest", "urllib",
    "venv", "wsgiref", "xml", "xmlrpc", "zoneinfo",
)  # fmt: skip
"""Packages whose sources are read, besides the top-level modules. `encodings` is tables; `distutils`,
`lib2to3`, `idlelib` and `tkinter` are missing from many installations."""

SKIPPED_PARTS = frozenset({"test", "tests", "site-packages", "dist-packages", "__pycache__"})
SKIPPED_PREFIXES = ("_sysconfigdata", "sitecustomize", "usercustomize")  # differ between machines
DOCUMENT_BYTES = 2048  # a FineWeb document is about 3 kB
VAL_ONE_IN = 16  # files; about 6% of the text
SMALLEST_CORPUS = 1_000_000  # bytes; a full standard library has about 8,000,000


class CorpusError(RuntimeError):
    """The standard library's sources are not readable here (a zipped or stripped Python)."""


def documents(split: Split, max_bytes: int | None = None) -> Iterator[str]:
    """Yield the documents of one split, always in the same order, up to `max_bytes` of UTF-8.

    A file belongs to exactly one split and repeated documents are dropped, so the splits share none.
    Documents come in a fixed shuffled order, so that a short prefix is a fair sample. Yields whole
    documents; at least one.

    Raises:
        ValueError: unknown split, or a `max_bytes` that is not positive.
        CorpusError: the sources are not there.
    """
    if split not in ("train", "val"):
        raise ValueError(f"unknown split {split!r}; expected 'train' or 'val'")
    if max_bytes is not None and max_bytes <= 0:
        raise ValueError(f"max_bytes must be positive, got {max_bytes}")
    produced_bytes = 0
    for document in _documents()[split]:
        size = len(document.encode())
        if max_bytes is not None and produced_bytes and produced_bytes + size > max_bytes:
            return
        yield document
        produced_bytes += size


def split_documents(text: str, document_bytes: int = DOCUMENT_BYTES) -> Iterator[str]:
    """Cut a text into documents of about `document_bytes`: at blank lines, else at line ends.

    Joining the documents gives the text back. A line is never cut, so one long line is one document.
    """
    return split_lines(text.splitlines(keepends=True), document_bytes)


def split_lines(lines: Iterable[str], document_bytes: int = DOCUMENT_BYTES) -> Iterator[str]:
    """`split_documents` for a text that arrives in lines, each with its end."""
    held: list[str] = []
    held_bytes = 0
    for line in lines:
        blank = not line.strip()
        if held_bytes >= (document_bytes // 2 if blank else document_bytes):
            yield "".join(held)
            held, held_bytes = [], 0
        held.append(line)
        held_bytes += len(line.encode())
    if held:
        yield "".join(held)


@cache
def fingerprint() -> str:
    """Sixteen hex digits that name this corpus: the same text gives the same digits on any machine."""
    digest = hashlib.sha256()
    for name, text in _sources():
        digest.update(f"{name}\0{len(text)}\0".encode())
        digest.update(text.encode())
    return digest.hexdigest()[:16]


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _split_of(name: str) -> Split:
    return "val" if _hash(name)[0] % VAL_ONE_IN == 0 else "train"


@cache
def _documents() -> dict[Split, tuple[str, ...]]:
    held: dict[Split, list[str]] = {"train": [], "val": []}
    seen: set[str] = set()
    for name, text in _sources():
        for document in split_documents(text):
            if document.strip() and document not in seen:
                seen.add(document)
                held[_split_of(name)].append(document)
    return {split: tuple(sorted(found, key=_hash)) for split, found in held.items()}


@cache
def _sources() -> tuple[tuple[str, str], ...]:
    """(name relative to the standard library, text) of every selected file, sorted by name."""
    root = Path(sysconfig.get_path("stdlib"))
    found: list[tuple[str, str]] = []
    for path in [*root.glob("*.py"), *(p for package in PACKAGES for p in (root / package).rglob("*.py"))]:
        relative = path.relative_to(root)
        if SKIPPED_PARTS.intersection(relative.parts) or path.name.startswith(SKIPPED_PREFIXES):
            continue
        try:
            text = path.read_bytes().decode("utf-8").replace("\r\n", "\n").replace("\0", " ")
        except (OSError, UnicodeDecodeError):
            continue
        found.append((relative.as_posix(), text))
    total_bytes = sum(len(text) for _, text in found)
    if total_bytes < SMALLEST_CORPUS:
        raise CorpusError(
            f"{total_bytes:,} bytes of Python sources under {root}, expected over {SMALLEST_CORPUS:,}; "
            "use a Python that ships its standard library as .py files, or pass your own text"
        )
    return tuple(sorted(found))
