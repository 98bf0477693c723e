"""Where a script prints a logged line, and which data it hands on beside that print.

A log shows that a phase ran; the script shows what the phase read. Joining the two needs the call whose
text made the line: the constant parts of its string, in order, with anything in the gaps.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from enum import StrEnum

from verifier.intake.syntax import Broken, syntax_of

NEAR_LINES = 14
"""A phase's loader is built and handed on within this many source lines of the phase's first print."""
_ENOUGH_TEXT = 8
"""Constant characters that a print needs before its match with a line means anything."""
_TRAIN = re.compile(r"^train_(?:files|file|pattern|loader|shards?|stream|tokens|data|paths?|glob|dataset)$")
_VAL = re.compile(r"^val_(?:files|pattern|tokens|loader|data|stream|glob|tokens_\w+)$")
_GENERATED = re.compile(r"generat|self_?gen|selfgen|^ar_|synthetic", re.IGNORECASE)


class Data(StrEnum):
    """What a phase reads, by the names beside its print."""

    TRAIN = "train"
    VAL = "val"
    GENERATED = "generated"


_PATTERNS = {Data.TRAIN: _TRAIN, Data.VAL: _VAL, Data.GENERATED: _GENERATED}


@dataclass(frozen=True)
class Printed:
    """The place that printed a line, and the data named there: one line of the script for each kind."""

    line: int
    reads: dict[Data, int]

    @property
    def only(self) -> Data | None:
        """The one kind of data beside the print; None when there is none, or several."""
        return next(iter(self.reads)) if len(self.reads) == 1 else None


def printed(source: str, logged: str) -> tuple[Printed, ...]:
    """Every place in the script that can have printed the line. Empty where the script does not parse."""
    syntax = syntax_of(source)
    if isinstance(syntax, Broken):
        return ()
    found: list[Printed] = []
    for node in syntax.of(ast.Call):
        if not (isinstance(node, ast.Call) and node.args and _made(node.args[0], logged)):
            continue
        scope: ast.AST = node
        while not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            scope = syntax.parents[scope]
        found.append(Printed(node.lineno, _reads(scope, node.lineno)))
    return tuple(found)


def _made(text: ast.expr, logged: str) -> bool:
    """Can this string expression have made the logged line?"""
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        parts = [text.value]
    elif isinstance(text, ast.JoinedStr):
        parts = [v.value for v in text.values if isinstance(v, ast.Constant) and isinstance(v.value, str)]
    else:
        return False
    parts = [part.strip() for part in parts if part.strip()]
    if sum(map(len, parts)) < _ENOUGH_TEXT or len(parts[0]) < _ENOUGH_TEXT // 2:
        return False
    return re.search(".*?".join(map(re.escape, parts)), logged) is not None


def _reads(scope: ast.AST, line: int) -> dict[Data, int]:
    """Names of data among the arguments of the calls near the print, in its own function."""
    reads: dict[Data, int] = {}
    for node in ast.walk(scope):
        if not isinstance(node, ast.Call) or not 0 <= node.lineno - line <= NEAR_LINES:
            continue
        handed = [*node.args, *(keyword.value for keyword in node.keywords)]
        names = [_last_name(each) for each in (node.func, *handed)]
        for name in names:
            for data, pattern in _PATTERNS.items():
                if pattern.search(name):
                    reads.setdefault(data, node.lineno)
    return reads


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def calls_reading(source: str, data: Data, called: tuple[str, ...]) -> int | None:
    """The line of a call that hands this kind of data to a function whose name holds one of `called`."""
    syntax = syntax_of(source)
    if isinstance(syntax, Broken):
        return None
    for node in syntax.of(ast.Call):
        if not isinstance(node, ast.Call) or not any(w in _last_name(node.func).lower() for w in called):
            continue
        names = [_last_name(each) for each in (*node.args, *(keyword.value for keyword in node.keywords))]
        if any(_PATTERNS[data].search(name) for name in names):
            return node.lineno
    return None
