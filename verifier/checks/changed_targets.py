"""X14-changed-targets: target ids are clamped, wrapped or replaced."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Function, Label, Source, last_name

_VOCABULARY = re.compile(r"vocab|(?:^|_)V$|num_tokens|n_tok", re.IGNORECASE)


@check(
    "X14-changed-targets",
    title="targets are scored as they are",
    grade=Grade.STATIC,
    rules=("R-064",),
)
def changed_targets(evidence: Evidence) -> Outcome:
    """Reads the source for targets that are forced into the vocabulary: `y.clamp(max=V - 1)`, `np.minimum(tgt, V - 1)`,
    `y % vocab_size`. Another token than the split's is scored then.

    WARN: such code is live. No match is NOT_APPLICABLE.

    Cannot see: a remapping by table, or a tokenizer that differs from the split's.

    Source: #144 (fixed by its author), #1723 (closed).

    Violation: `targets = targets.clamp(max=vocab_size - 1)`. Legal contrast: clamping positions or indices at the end
    of the stream; `ignore_index` on padding.
    """
    source = evidence.source
    if source is None:
        return unread()
    places = list(_changes(source))
    if not places:
        return nothing(source, "target that is forced into the vocabulary")
    return look("targets are forced into the vocabulary before they are scored", places)


def _changes(source: Source) -> Iterator[Where]:
    flow = source.flow
    for function in source.program.functions:
        for index in function.of(ast.Call, ast.BinOp):
            node = function.nodes[index]
            match node:
                case ast.Call(func=ast.Attribute(value=base, attr="clamp" | "clamp_" | "clip" | "clamp_max")):
                    changed = _is_target(source, function, base) and _mentions(node)
                case ast.Call(
                    func=ast.Attribute(attr="minimum" | "clip" | "clamp" | "remainder"), args=[first, *_]
                ):
                    changed = _is_target(source, function, first) and _mentions(node)
                case ast.BinOp(left=left, op=ast.Mod(), right=right):
                    changed = _is_target(source, function, left) and bool(
                        _VOCABULARY.search(last_name(right))
                    )
                case _:
                    continue
            if changed and not flow.of(function, node if isinstance(node, ast.expr) else None) & Label.MIXED:
                yield source.program.where(function, node)


def _is_target(source: Source, function: Function, node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and bool(source.flow.name(function, node.id) & Label.TARGET)


def _mentions(node: ast.AST) -> bool:
    return any(
        _VOCABULARY.search(last_name(each))
        for each in ast.walk(node)
        if isinstance(each, ast.Name | ast.Attribute)
    )
