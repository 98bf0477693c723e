"""X18-payload: large literals in code, and data files that the script opens beside the counted ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Source

LITERAL_BYTES = 20_000
"""The longest text in a script that is no wrapper: kernels and docstrings stay under it."""
ELEMENTS = 4_000
HELPER_LINE = 20_000
"""Characters on one line of a C file: a table."""


@check(
    "X18-payload",
    title="no weights or tables are hidden in code",
    grade=Grade.STATIC,
    rules=("R-011", "R-022"),
)
def payload(evidence: Evidence) -> Outcome:
    """Reads the opened script, the shipped modules that it imports and its C files for literals that are too long to be
    code: strings and bytes over 20,000 characters, lists of over 4,000 numbers, lines of over 20,000 characters.

    WARN: such a literal is there. No match is NOT_APPLICABLE.

    Cannot see: files that are read at run time (the artifact check counts what the folder ships), or a table that is
    spread over many short lines.

    Source: R-011 (all counted code lives in the script), R-022 (#168, #275).

    Violation: `TABLE = b85decode("…40 kB…")` in `helpers.py`. Legal contrast: the script's own LZMA wrapper, which is
    opened before this check reads it; a Triton kernel held in a string.
    """
    source = evidence.source
    if source is None:
        return unread()
    places = list(_large(source))
    if not places:
        return nothing(source, "literal that is too long to be code")
    return look("a literal is too long to be code: count it, and read what it holds", places)


def _large(source: Source) -> Iterator[Where]:
    for path, syntax in source.program.modules.items():
        for node in syntax.of(ast.Constant, ast.List, ast.Tuple, ast.Set):
            match node:
                case ast.Constant(value=str() | bytes() as value) if len(value) > LITERAL_BYTES:
                    if not _is_code(value):
                        yield Where(path, node.lineno)
                case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements) if (
                    len(elements) > ELEMENTS
                ):
                    yield Where(path, node.lineno)
    for path, text in source.program.helpers.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if len(line) > HELPER_LINE:
                yield Where(path, number)


def _is_code(value: str | bytes) -> bool:
    """Text with lines as short as code has."""
    return isinstance(value, str) and value.count("\n") * 200 > len(value)
