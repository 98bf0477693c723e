"""Examples in the documentation that are run: fenced console blocks under a `<!-- run … -->` line.

    <!-- run -->               each command must exit with 0
    <!-- run exit 1 -->        the last command exits with 1
    <!-- run slow -->          audits, left out of the quick tests
    <!-- write NAME -->        no command: the block is written to a file for the blocks below it

All blocks of a page run in one scratch folder, in order. Under a command stands its output; `…` stands for anything,
inside a line or as a line, and a command with nothing under it may print what it likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = re.compile(r"<!-- (run|write)((?: [\w.]+)*) -->\n+```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANYTHING = "…"


@dataclass(frozen=True)
class Command:
    text: str
    output: str
    """As the page shows it; empty where the page shows none."""
    exit_code: int = 0

    def shows(self, printed: str) -> bool:
        """Whether the page's output is what was printed."""
        if not self.output.strip():
            return True
        wanted = "\n".join(line.rstrip() for line in self.output.strip().splitlines())
        pattern = re.escape(wanted).replace(re.escape(ANYTHING), ".*?")
        told = "\n".join(line.rstrip() for line in printed.strip().splitlines())
        return re.fullmatch(pattern, told, re.DOTALL) is not None


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    commands: tuple[Command, ...] = ()
    slow: bool = False
    file: str = ""
    """Where `text` is written, for a block that is no console."""
    text: str = ""


def read_blocks(page: Path) -> list[Block]:
    """The marked blocks of a page, in order. Raises ValueError for a mark that this module does not know."""
    text = page.read_text(encoding="utf-8")
    if text.count("<!-- run") + text.count("<!-- write") != len(MARK.findall(text)):
        raise ValueError(f"{page.name} has a mark without a block under it")
    return [_block(page.name, text, match) for match in MARK.finditer(text)]


def _block(page: str, text: str, match: re.Match[str]) -> Block:
    line = text.count("\n", 0, match.start()) + 1
    words = match.group(2).split()
    if match.group(1) == "write":
        return Block(page, line, file=words[0], text=match.group(3))
    slow = "slow" in words
    words = [word for word in words if word != "slow"]
    if words and (words[0] != "exit" or len(words) != 2):
        raise ValueError(f"{page}:{line}: {' '.join(words)} is no way to run a block")
    return Block(page, line, tuple(_commands(match.group(3), int(words[1]) if words else 0)), slow)


def _commands(text: str, exit_code: int) -> Iterator[Command]:
    starts = [match.start() for match in re.finditer(r"^\$ ", text, re.MULTILINE)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        lines = text[start + 2 : end].splitlines()
        count = 1
        while lines[count - 1].endswith("\\"):
            count += 1
        command, output = "\n".join(lines[:count]), "\n".join(lines[count:])
        yield Command(command, output, exit_code if end == len(text) else 0)
