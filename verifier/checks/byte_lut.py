"""X13-byte-lut: bytes per token counted in a way that is known to be wrong."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Function, Source, last_name

_BYTES = re.compile(
    r"base_?bytes|bytes_?(?:np|lut|table)|token_?bytes|(?:^|_)bb(?:_|$)|byte_?(?:len|count)s?", re.IGNORECASE
)
_RATIO = re.compile(
    r"^(?:avg_|mean_|average_)?(?:bytes_?per_?tok(?:en)?|tok(?:en)?s?_?per_?bytes?|bpt|chars_?per_?tok(?:en)?)$",
    re.IGNORECASE,
)
_SPACE = re.compile(r"leading_?space|has_?space|(?:^|_)hs(?:_|$)", re.IGNORECASE)


@check(
    "X13-byte-lut",
    title="bytes are counted once, from the text",
    grade=Grade.STATIC,
    rules=("R-060", "R-061", "R-062"),
)
def byte_lut(evidence: Evidence) -> list[Outcome]:
    """Reads the source for three ways to count bytes wrongly: the leading space added to the table (`len(piece[1:]) +
    1`) and added again where targets are scored; the length of a decoded single token, which is 3 for a byte that
    is no character by itself; a number in the source that stands for bytes per token.

    WARN: such code is live. No match is NOT_APPLICABLE.

    Cannot see: tables from files (`meta.npz`); B1 and B3 check the arithmetic of the logs and of a run.

    Ruling: #1719, #1734 and #1804 (space twice, 1.167 times the bytes); #1184 removed by #1806 (U+FFFD as 3);
    #2009 (a constant).

    Violation: `base[i] = len(piece[1:].encode()) + 1` with `bytes += has_leading_space[y]`. Legal contrast: the root
    script's table without the space, with `has_leading_space[y] & ~is_boundary[prev]` at the target; `+ 1` where
    nothing is added later; `bytes_per_token = n_bytes / n_tokens`.
    """
    source = evidence.source
    if source is None:
        return [unread()]
    outcomes: list[Outcome] = []
    twice = list(_plus_one(source))
    again = list(_space_again(source)) if twice else []
    if twice and again:
        message = "the table counts the leading space and scoring adds it again"
        outcomes.append(look(message, [*twice, *again], rules=("R-061",)))
    if decoded := list(_decoded_singly(source)):
        message = "bytes are the length of a single decoded token: 3 for each byte token"
        outcomes.append(look(message, decoded, rules=("R-062",)))
    if constants := list(_constants(source)):
        outcomes.append(
            look("a number in the source stands for bytes per token", constants, rules=("R-060",))
        )
    return outcomes or [nothing(source, "byte count that is known to be wrong")]


def _plus_one(source: Source) -> Iterator[Where]:
    """`len(...) + 1` stored into a table of bytes, of a piece whose marker was cut off."""
    for function in source.program.functions:
        for index in function.of(ast.Assign):
            node = function.nodes[index]
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
                continue
            table = last_name(node.targets[0].value)
            match node.value:
                case ast.BinOp(
                    left=ast.Call(func=ast.Name(id="len")), op=ast.Add(), right=ast.Constant(value=1)
                ) if _BYTES.search(table):
                    yield source.program.where(function, node)


def _space_again(source: Source) -> Iterator[Where]:
    for function in source.program.functions:
        for index in function.of(ast.AugAssign, ast.BinOp):
            node = function.nodes[index]
            if isinstance(node, ast.AugAssign):
                value: ast.expr = node.value
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                value = node.right
            else:
                continue
            if any(
                isinstance(each, ast.Subscript) and _SPACE.search(last_name(each.value))
                for each in ast.walk(value)
            ):
                yield source.program.where(function, node)


def _decoded_singly(source: Source) -> Iterator[Where]:
    """`len(tokenizer.decode([i]).encode())` into a table of bytes."""
    for function in source.program.functions:
        for index in function.of(ast.Call):
            node = function.nodes[index]
            match node:
                case ast.Call(
                    func=ast.Name(id="len"),
                    args=[
                        ast.Call(
                            func=ast.Attribute(
                                value=ast.Call(
                                    func=ast.Attribute(attr="decode" | "DecodeIds"), args=[argument, *_]
                                ),
                                attr="encode",
                            )
                        )
                    ],
                ) if isinstance(argument, ast.List) and len(argument.elts) == 1:
                    yield source.program.where(function, node)


def _constants(source: Source) -> Iterator[Where]:
    """`BYTES_PER_TOKEN = 2.75`, or the same through an environment default, in live arithmetic."""
    for function in source.program.functions:
        for index in function.of(ast.Assign, ast.AnnAssign):
            node = function.nodes[index]
            if isinstance(node, ast.Assign):
                name, value = last_name(node.targets[0]), node.value
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                name, value = last_name(node.target), node.value
            else:
                continue
            if not _RATIO.match(name):
                continue
            number = source.program.switches.fold(value)
            if isinstance(number, float) and number > 0.05 and _divides(source, name):
                yield source.program.where(function, node)


def _divides(source: Source, name: str) -> bool:
    """Is the name a factor or divisor anywhere live?"""
    return any(
        isinstance(node := function.nodes[index], ast.BinOp)
        and isinstance(node.op, ast.Div | ast.Mult)
        and name in (last_name(node.left), last_name(node.right))
        for function in source.program.functions
        for index in function.of(ast.BinOp)
    )


__all__ = ["Function", "byte_lut"]
