"""X17-boundary-smear: a one-token look back that crosses into the previous document."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Function, Source

_ISOLATED = re.compile(r"cu_seqlens|varlen|doc_mask|document_mask|seq_?idx", re.IGNORECASE)
_MASK = re.compile(r"bos|boundary|doc_start|same_doc|not_first|is_start", re.IGNORECASE)
_SMEAR = re.compile(r"smear", re.IGNORECASE)


@check(
    "X17-boundary-smear",
    title="the look back stops at a document's start",
    grade=Grade.STATIC,
    rules=("R-070",),
)
def boundary_smear(evidence: Evidence) -> Outcome:
    """Reads the source, where attention is kept within documents, for a gate that adds the previous position's
    embedding (`x[:, 1:] + g * x[:, :-1]`, SmearGate) with nothing named for the document's start beside it.

    The last token of one document then enters the first position of the next.

    WARN: such a gate is live beside attention by document. No match is NOT_APPLICABLE.

    Cannot see: a mask that is applied elsewhere; the flip of a document's last token measures it.

    Ruling: #1797 (2026-04-27, blocked); fixed in #1851 and #1855.

    Violation: `x = cat([x[:, :1], x[:, 1:] + g * x[:, :-1]], 1)` in a stack with `cu_seqlens`. Legal contrast: the same
    times `(ids[:, 1:] != BOS)`; SmearGate over one flat stream (#1019).
    """
    source = evidence.source
    if source is None:
        return unread()
    if not any(_ISOLATED.search(name) for name in source.program.names):
        return nothing(source, "attention by document")
    places = list(_smears(source))
    if not places:
        return nothing(source, "unmasked look back across documents")
    return look(
        "a look back by one position has no mask at document starts, and attention is by document", places
    )


def _smears(source: Source) -> Iterator[Where]:
    for function in source.program.functions:
        words = {each.id for each in function.nodes if isinstance(each, ast.Name)}
        words |= {each.attr for each in function.nodes if isinstance(each, ast.Attribute)}
        named = _SMEAR.search(function.class_name or "") or any(_SMEAR.search(word) for word in words)
        if not named or any(_MASK.search(word) for word in words):
            continue
        for index in function.of(ast.BinOp, ast.Call):
            if _looks_back(function, index):
                yield source.program.where(function, function.nodes[index])
                break


def _looks_back(function: Function, index: int) -> bool:
    """`x[:, 1:] + g * x[:, :-1]`, or a shift by concatenation or padding of `x[:, :-1]`."""
    node = function.nodes[index]
    back = _sliced(node, None, -1)
    if not back:
        return False
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return bool(back & _sliced(node.left, 1, None))
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("cat", "pad")
    )


def _sliced(node: ast.AST, lower: int | None, upper: int | None) -> set[str]:
    """What is cut to `[:, lower:upper]` anywhere below a node."""
    return {
        ast.dump(each.value)
        for each in ast.walk(node)
        if isinstance(each, ast.Subscript) and _is_cut(each, lower, upper)
    }


def _is_cut(node: ast.Subscript, lower: int | None, upper: int | None) -> bool:
    """A subscript whose last-but-batch index is `lower:upper`."""
    if not isinstance(node.slice, ast.Tuple):
        return False
    for part in node.slice.elts:
        if isinstance(part, ast.Slice) and (part.lower is not None or part.upper is not None):
            return _bound(part.lower) == lower and _bound(part.upper) == upper
    return False


def _bound(node: ast.expr | None) -> object:
    match node:
        case None:
            return None
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
            return -value
    return "computed"
