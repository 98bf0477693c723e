"""A user's text as documents: files, folders and globs; plain text, or JSON lines as in docs_selected.jsonl.

Files are read a line at a time, so that a gigabyte of text takes the memory of one document. Nothing in
them is changed: line ends, spaces and control characters arrive as they are.
"""

from __future__ import annotations

import codecs
import glob
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgolf.corpus import split_lines

JSON_LINES = (".jsonl", ".ndjson")
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class TextFiles:
    """The files to read, in order, and how many in the folders were passed over because they are not text."""

    paths: tuple[Path, ...]
    not_text: int

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.paths)

    def documents(self) -> Iterator[str]:
        """Each document that is not blank: a line of JSON, or a piece of a text file of about 2 kB."""
        for path in self.paths:
            found = json_documents(path) if path.suffix in JSON_LINES else split_lines(lines(path))
            yield from (document for document in found if document.strip())


def find_texts(sources: list[Path], pattern: str = "**/*") -> TextFiles:
    """The files that `sources` name: files, globs, and folders with all files that match `pattern` in them.

    Each file once, those of one folder or glob sorted by path. A file found in a folder or by a glob that is
    not UTF-8, or holds a NUL, is passed over and counted; a file named itself must be text.

    Raises:
        FileNotFoundError: a source is not there.
        ValueError: a folder or glob holds no text.
    """
    chosen: dict[Path, None] = {}
    not_text = 0
    for source in sources:
        if source.is_file():
            chosen.setdefault(source)
            continue
        if source.is_dir():
            found, looked_for = list(source.glob(pattern)), f"{pattern} in {source}"
        elif glob.has_magic(str(source)):
            found = [Path(name) for name in glob.iglob(str(source), recursive=True)]
            looked_for = str(source)
        else:
            raise FileNotFoundError(f"{source}: no such file or folder")
        files = sorted(path for path in found if path.is_file())
        texts = [path for path in files if is_text(path)]
        if not texts:
            raise ValueError(
                f"no text among the {len(files)} files that match {looked_for}; "
                "expected UTF-8 files; check the folder or the glob"
            )
        not_text += len(files) - len(texts)
        chosen.update(dict.fromkeys(texts))
    return TextFiles(tuple(chosen), not_text)


def is_text(path: Path) -> bool:
    """Whether a file is UTF-8 without a NUL, and can be read."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                if b"\0" in chunk:
                    return False
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except (UnicodeDecodeError, OSError):
        return False
    return True


def lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file with their ends; a ValueError names the byte that is not UTF-8."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path} is not UTF-8: byte {offset + error.start}; convert it first"
                ) from None
            offset += len(line)


def json_documents(path: Path) -> Iterator[str]:
    """The `text` of each line, or the line's string; a ValueError names the line that has none."""
    for number, line in enumerate(lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{number} is not JSON: {error.msg}") from None
        text = record.get("text") if isinstance(record, dict) else record
        if not isinstance(text, str):
            raise ValueError(f'{path}:{number} has no text; expected {{"text": "..."}} on every line')
        yield text
