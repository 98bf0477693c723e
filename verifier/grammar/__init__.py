"""Python 3.12 f-strings (PEP 701) made readable for Python 3.11.

About one submission in thirty nests equal quotes, backslashes, line breaks or comments inside the
replacement fields of an f-string, which 3.11 refuses. `downgrade` rewrites just those f-strings:
inner strings get other quotes, characters that no 3.11 field may hold become `{chr(n)}`, comments
go, and line breaks move behind the string, so that every statement keeps its line and its value.
Stdlib only: the sandboxed child imports this package alone.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from typing import NamedTuple

from verifier.grammar.scan import Formatted, NotPossible, Scanner
from verifier.grammar.spell import is_old, spelled

_REBINDS_CHR = re.compile(r"\bchr\s*(?:=(?!=)|:=)|\b(?:def|class|as|import|global|nonlocal|for)\s+chr\b")


class Parsed(NamedTuple):
    """A syntax tree and the lowest grammar that its source needs, `3.11` or `3.12`."""

    tree: ast.Module
    grammar: str


def parse(source: str) -> Parsed:
    """The syntax tree of 3.11 or 3.12 source, without the warnings that foreign code would print.

    Raises what `ast.parse` raises: SyntaxError, ValueError, RecursionError or MemoryError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source)
        except SyntaxError:
            rewritten = rewrite(source)
            if rewritten == source:
                raise
            return Parsed(ast.parse(rewritten), "3.12")
    plain = sys.version_info < (3, 12) or rewrite(source) == source
    return Parsed(tree, "3.11" if plain else "3.12")


def downgrade(source: str) -> str:
    """Source that Python 3.11 parses, with the same values and the same line for every statement.

    Returned unchanged when the running interpreter parses it as it is, or when nothing can be done.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for spelling in (str, rewrite):
            candidate = spelling(source)
            try:
                ast.parse(candidate)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            return candidate
    return source


def rewrite(source: str) -> str:
    """Rewrite every f-string that needs PEP 701, whatever the running interpreter parses."""
    try:
        chunks, end = Scanner(source).code(0, in_field=False)
        if end != len(source):
            return source
        out: list[str] = []
        for chunk in chunks:
            if not isinstance(chunk, Formatted) or is_old(chunk):
                out.append(chunk.raw)
                continue
            if _REBINDS_CHR.search(source):
                return source
            text = spelled(chunk)
            out.append(text + "\\\n" * (chunk.raw.count("\n") - text.count("\n")))
        if out and out[-1].endswith("\\\n"):
            out.append("\n")  # a continuation may not be the end of a file
        return "".join(out)
    except (NotPossible, RecursionError, SyntaxError, ValueError):
        return source
