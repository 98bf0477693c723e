"""Reading a submission's source without executing it: the live program, and what its values are.

`read_program(submission)` parses the opened script and the shipped files that it names, once for all
static checks. Nothing here decides anything: a static match is a place for a reviewer to look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from verifier.intake.folder import MAX_PARSED_BYTES
from verifier.intake.syntax import Broken, syntax_of
from verifier.intake.text import decode_python, decode_text
from verifier.static.flow import Flow, last_name
from verifier.static.labels import Label
from verifier.static.learning import Learning, Order, Site
from verifier.static.program import LOOPS, MODULE, Function, Program, build_program
from verifier.submission import Submission

__all__ = [
    "LOOPS",
    "MODULE",
    "Flow",
    "Function",
    "Label",
    "Learning",
    "Order",
    "Program",
    "Site",
    "Source",
    "build_program",
    "last_name",
    "read_source",
]

SOURCE_SUFFIXES = (".py", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".rs")
MAX_NODES = 400_000
"""Of a syntax tree that is read at all; the largest real one has 25,000."""


@dataclass(frozen=True)
class Source:
    """The live program, what its values are, and where it learns from validation tokens."""

    program: Program
    flow: Flow
    learning: Learning


def read_source(submission: Submission) -> Source | None:
    """None when there is no script that parses, or one nested too deeply to be read."""
    script = submission.script
    if script is None:
        return None
    syntax = syntax_of(script.source)
    if isinstance(syntax, Broken) or len(syntax.nodes) > MAX_NODES:
        return None
    siblings: dict[str, str] = {}
    for path in script.siblings:
        if not path.endswith(SOURCE_SUFFIXES) or (data := _read(submission.root, path)) is None:
            continue
        text = decode_python(data) if path.endswith(".py") else decode_text(data)
        if text is not None:
            siblings[path] = text.text
    try:
        program = build_program(script.path, script.source, submission.command.env, siblings)
        if program is None:
            return None
        flow = Flow(program)
        return Source(program, flow, Learning(program, flow))
    except RecursionError:
        return None


def _read(root: Path, path: str) -> bytes | None:
    """A regular file inside the folder that is small enough to parse."""
    real = (root / path).resolve()
    try:
        if real.is_relative_to(root.resolve()) and real.is_file() and real.stat().st_size <= MAX_PARSED_BYTES:
            return real.read_bytes()
    except OSError:
        pass
    return None
