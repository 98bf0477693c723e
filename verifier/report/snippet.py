"""Cut the lines around the places that findings name, so that a report can be read without the folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from verifier.finding import Finding, State
from verifier.intake.text import decode_text
from verifier.report.model import Snippet
from verifier.submission import Submission

AROUND = 4
"""Lines shown on each side."""
LONGEST_LINE = 200
PLACES_OF_FINDING = 3
MOST_SNIPPETS = 64
LARGEST_FILE = 4_000_000
"""Bytes; a place in a larger file is named and not shown."""
SHOWN = (State.FAIL, State.WARN, State.UNRULED)


def cut_snippets(submission: Submission, findings: Iterable[Finding]) -> tuple[Snippet, ...]:
    """In order of file and line. A place whose file is not at hand, or not text, has none."""
    places = {
        (where.file, where.line): None
        for finding in findings
        if finding.state in SHOWN
        for where in finding.where[:PLACES_OF_FINDING]
        if where.line is not None
    }

    @cache
    def lines_of(file: str) -> Sequence[str]:
        return _lines(submission, file)

    cut = (_around(file, line, lines_of(file)) for file, line in list(places)[:MOST_SNIPPETS])
    return tuple(sorted((each for each in cut if each.lines), key=lambda each: (each.file, each.line)))


def _around(file: str, line: int, lines: Sequence[str]) -> Snippet:
    first = max(line - AROUND, 1)
    shown = lines[first - 1 : line + AROUND] if line <= len(lines) else ()
    return Snippet(file, first, tuple(_shortened(each.rstrip()) for each in shown))


def _shortened(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def _lines(submission: Submission, file: str) -> Sequence[str]:
    """The opened text of the script; of another file, what was shipped."""
    if submission.script is not None and file == submission.script.path:
        return submission.script.source.split("\n")
    shipped = {each.path for each in submission.files if each.size_bytes <= LARGEST_FILE}
    path = submission.root / file
    if file not in shipped or not path.is_file():
        return ()
    text = decode_text(path.read_bytes())
    return () if text is None else text.text.split("\n")
