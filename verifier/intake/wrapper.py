"""Packed scripts, opened without running them.

A wrapper is a short script that decodes a literal and executes it: `exec(lzma.decompress(
base64.b85decode("…")))` and its relatives, nested or not, through `compile`, a temporary file or
`runpy`. Opening folds the literal (`verifier.intake.fold`); what cannot be folded stays closed and
is reported. Cannot see: payloads built by arithmetic, by marshalled bytecode or from the network.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from verifier.finding import Where
from verifier.intake.codec import TooLarge, Unreadable
from verifier.intake.fold import Folded, Scope, Unknown
from verifier.intake.syntax import Broken, Syntax, syntax_of
from verifier.intake.text import decode_python
from verifier.submission import Problem

_MAX_NESTING = 8
_MAX_PACKED_FILES = 50
_EXECUTORS = {
    "exec",
    "eval",
    "compile",
    "run_path",
    "run_module",
    "exec_module",
    "run",
    "Popen",
    "check_call",
}
_WRITERS = {"write", "write_text", "write_bytes", "writelines"}
_TAKERS = _EXECUTORS | _WRITERS
_LONG_LITERAL = 200  # characters; longer literals are payload, not code
_BLOB_SHARE = 0.5  # a script that is mostly one literal and executes something is a wrapper
_PROGRAM_LINES = 5
_DENSE = 60  # characters without a blank: base-encoded text, never prose
_SMALLEST_PAYLOAD = 200
_WRAPPER_CODE = 2_000  # characters; a script with more beside its payload does something of its own


@dataclass(frozen=True)
class Opened:
    """The program text inside a script, and how it was packed (None when it was plain)."""

    source: str
    wrapper: str | None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class _Payload:
    text: str
    layers: tuple[str, ...]
    line: int
    executed: bool


def open_wrapper(source: str, path: str) -> Opened:
    """Open a script's layers until plain program text remains."""
    names: list[str] = []
    problems: list[Problem] = []
    for _ in range(_MAX_NESTING):
        syntax = syntax_of(source)
        if isinstance(syntax, Broken) or not _looks_packed(syntax):
            break
        payload, found = _find_payload(syntax, path)
        problems += found
        rest = len(source) - sum(_literal_lengths(syntax))
        if payload is None:
            held = _code_in_strings(syntax)
            if held:
                message = (
                    f"{path} executes text and holds {held} characters of Python in string literals; "
                    "they are read as text. Ship modules as files, or as plain code"
                )
                problems.append(Problem("code-in-strings", message, Where(path)))
            elif not found and _is_mostly_literal(source, syntax):
                problems.append(
                    Problem(
                        "wrapper-closed",
                        f"{path} is mostly one literal that it executes, and no known codec opens it; "
                        "expected a base encoding with lzma, zlib, bz2, brotli, zstd. Ship plain source.",
                        Where(path),
                    )
                )
            break
        if max(len(payload.text), _WRAPPER_CODE) <= rest:
            problems.append(
                Problem(
                    "packed-part",
                    f"{path}:{payload.line} unpacks {len(payload.text)} characters of code "
                    f"({'+'.join(payload.layers)}) beside {rest} characters of plain code: read as plain",
                    Where(path, payload.line),
                )
            )
            break
        partial = "(partial)" if rest > _WRAPPER_CODE else ""
        names.append("+".join(payload.layers) + partial)
        source = payload.text
    return Opened(source, " > ".join(names) or None, tuple(problems))


def _looks_packed(syntax: Syntax) -> bool:
    """True when the script executes text, or carries enough dense literal to hide a program."""
    if any(_runs_text(node, "exec", "eval") for node in syntax.of(ast.Call)):
        return True
    dense = 0
    for node in syntax.of(ast.Constant):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str | bytes)
            and len(node.value) >= _DENSE
        ):
            head = node.value[:_DENSE]
            dense += len(node.value) if len(head.split()) == 1 else 0
    return dense >= _SMALLEST_PAYLOAD


def _runs_text(node: ast.AST, *functions: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _find_payload(syntax: Syntax, path: str) -> tuple[_Payload | None, list[Problem]]:
    scope, problems = Scope(), []
    best: _Payload | None = None
    handing = _statements_that_hand(syntax)
    for statement in _statements(syntax.tree.body):
        try:
            _bind(scope, statement)
        except (Unreadable, TooLarge) as error:
            problems.append(_unopened(error, path, statement.lineno))
        for call in _calls(statement) if statement in handing else ():
            executed = _called(call) in _EXECUTORS
            if not executed and _called(call) not in _WRITERS:
                continue
            for argument in _arguments(call):
                try:
                    folded = scope.fold(argument)
                except Unknown:
                    continue
                except (Unreadable, TooLarge) as error:
                    problems.append(_unopened(error, path, call.lineno))
                    continue
                candidate = _as_program(folded, call.lineno, executed)
                if candidate is not None and (best is None or len(candidate.text) > len(best.text)):
                    best = candidate
    if best is None and (files := _packed_files(scope, syntax)):
        best = max(files, key=lambda payload: len(payload.text))
        message = f"{path} unpacks {len(files)} Python files; the longest is read as the script"
        problems.append(Problem("packed-files", message, Where(path)))
    return best, problems[:4]


def _packed_files(scope: Scope, syntax: Syntax) -> list[_Payload]:
    """The programs among the parts of a decoded text that was split, to be written out as files."""
    texts = [
        Folded(text, bound.layers)
        for bound in scope.names.values()
        if isinstance(bound, Folded) and bound.layers and isinstance(bound.value, list)
        for text in bound.value
        if isinstance(text, str)
    ]
    programs = [_as_program(text, 1, executed=False) for text in texts[:_MAX_PACKED_FILES]]
    writes = any(isinstance(node, ast.Call) and _called(node) in _WRITERS for node in syntax.of(ast.Call))
    return [program for program in programs if program is not None] if writes else []


def _statements_that_hand(syntax: Syntax) -> set[ast.AST]:
    """The innermost statements around calls that may be given a program: few, and every other one needs no walk."""
    found: set[ast.AST] = set()
    for node in syntax.of(ast.Call):
        if isinstance(node, ast.Call) and _called(node) in _TAKERS:
            around: ast.AST = node
            while not isinstance(around, ast.stmt):
                around = syntax.parents[around]
            found.add(around)
    return found


def _unopened(error: Exception, path: str, line: int) -> Problem:
    code = "archive-bomb" if isinstance(error, TooLarge) else "wrapper-broken"
    return Problem(
        code, f"{path}:{line} holds a packed literal that does not open: {error}", Where(path, line)
    )


def _as_program(folded: Folded, line: int, executed: bool) -> _Payload | None:
    value = folded.value
    if not folded.layers:
        return None
    if isinstance(value, bytes):
        decoded = decode_python(value)
        if decoded is None:
            return None
        value = decoded.text
    if not isinstance(value, str) or (not executed and value.count("\n") < _PROGRAM_LINES):
        return None
    if not executed and isinstance(syntax_of(value), Broken):
        return None
    return _Payload(value.replace("\r\n", "\n").removeprefix("\ufeff"), folded.layers, line, executed)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement in source order, into every block: both arms of an `if` may run."""
    for statement in body:
        yield statement
        for name in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, name, []))
        for handler in getattr(statement, "handlers", []):
            yield from _statements(handler.body)


def _bind(scope: Scope, statement: ast.stmt) -> None:
    match statement:
        case ast.Import() | ast.ImportFrom():
            scope.bind_import(statement)
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                scope.bind(target, value)
        case ast.AnnAssign(target=target, value=value) if value is not None:
            scope.bind(target, value)
        case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
            scope.bind(target, ast.BinOp(ast.Name(name), op, value))


def _calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """Calls in the statement's own expressions, not in its blocks."""
    for _, value in ast.iter_fields(statement):
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.expr | ast.withitem):
                yield from (each for each in ast.walk(node) if isinstance(each, ast.Call))


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    for argument in call.args[:2]:
        if isinstance(argument, ast.List | ast.Tuple):
            yield from argument.elts
        else:
            yield argument
    yield from (each.value for each in call.keywords if each.arg in ("source", "data", "init_globals"))


def _literal_lengths(syntax: Syntax) -> list[int]:
    return [
        len(node.value)
        for node in syntax.of(ast.Constant)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str | bytes)
        and len(node.value) > _LONG_LITERAL
    ]


def _code_in_strings(syntax: Syntax) -> int:
    """Characters of Python held in string literals of a script that executes text."""
    executes = any(_runs_text(node, "exec") for node in syntax.of(ast.Call))
    texts = (
        [node.value for node in syntax.of(ast.Constant) if isinstance(node, ast.Constant)] if executes else []
    )
    return sum(
        len(text)
        for text in texts
        if isinstance(text, str)
        and len(text) > _LONG_LITERAL
        and text.count("\n") >= _PROGRAM_LINES
        and ("import " in text or "def " in text)
        and not isinstance(syntax_of(text), Broken)
    )


def _is_mostly_literal(source: str, syntax: Syntax) -> bool:
    executes = any(isinstance(node, ast.Call) and _called(node) in _EXECUTORS for node in syntax.of(ast.Call))
    return executes and sum(_literal_lengths(syntax)) > _BLOB_SHARE * len(source)
