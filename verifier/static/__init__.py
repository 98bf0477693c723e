"""Reading a submission's source without executing it: the live program, and what its values are.

`read_program(submission)` parses the opened script and the shipped files that it names, once for all
static checks. Nothing here decides anything: a static match is a place for a reviewer to look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from verifier.intake.folder import MAX_PARSED_BYTES
from verifier.intake.text import decode_python, decode_text
from verifier.static.flow import Flow
from verifier.static.learning import Learning
from verifier.static.program import Program, build_program
from verifier.submission import Submission

SOURCE_SUFFIXES = (".py", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".rs")


@dataclass
class Source:
    """The live program and what was derived from it, each made when a check first asks."""

    program: Program

    @cached_property
    def flow(self) -> Flow:
        return Flow(self.program)

    @cached_property
    def learning(self) -> Learning:
        return Learning(self.program, self.flow)


def read_source(submission: Submission) -> Source | None:
    """None when there is no script that parses."""
    script = submission.script
    if script is None:
        return None
    siblings: dict[str, str] = {}
    for path in script.siblings:
        if not path.endswith(SOURCE_SUFFIXES) or (data := _read(submission.root, path)) is None:
            continue
        text = decode_python(data) if path.endswith(".py") else decode_text(data)
        if text is not None:
            siblings[path] = text.text
    program = build_program(script.path, script.source, submission.command.env, siblings)
    return None if program is None else Source(program)


def _read(root: Path, path: str) -> bytes | None:
    """A regular file inside the folder that is small enough to parse."""
    real = (root / path).resolve()
    try:
        if real.is_relative_to(root.resolve()) and real.is_file() and real.stat().st_size <= MAX_PARSED_BYTES:
            return real.read_bytes()
    except OSError:
        pass
    return None
