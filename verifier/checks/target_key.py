"""X01-target-key: a table read at a key that the realised token went into."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import calls, look, nothing, only_in_training, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Function, Label, Source, last_name


@check(
    "X01-target-key",
    title="no table is looked up at the realised token alone",
    grade=Grade.STATIC,
    rules=("R-051", "R-052", "C2"),
)
def target_key(evidence: Evidence) -> Outcome:
    """Reads the source for a count or cache whose key contains the token being scored, by XOR, by sum or as
    the last index, and whose entry is read (not only updated).

    A probability that is looked up at the realised token alone was never a distribution: nothing makes the
    other tokens' entries sum with it to one, and with few buckets every token gets a high count.

    WARN: such a read is live under the submitted environment. No match is NOT_APPLICABLE.

    Cannot see: keys made in C or CUDA, keys passed through object attributes, or whether the entries are
    normalised afterwards; the mass probe and the entropy floor measure that.

    Ruling: the same closing comment on #688, #779, #944 and 20 more (2026-03-27); #1185.

    Violation: `full_key = (ctx_hash ^ (tgt * prime)) & mask` and then `full_table[full_key]`. Legal contrast:
    the same key to update the table after scoring, a key over all `arange(vocab_size)` candidates that are
    then normalised, and hashes of input tokens (#1047's BigramHash).
    """
    source = evidence.source
    if source is None:
        return unread()
    places = list(_reads(source))
    if not places:
        return nothing(source, "table is read at a key made from the realised token")
    return look("a table is read at a key made from the realised token, not for the whole vocabulary", places)


def _reads(source: Source) -> Iterator[Where]:
    flow = source.flow
    for function in source.program.functions:
        for index in function.of(ast.Subscript):
            node = function.nodes[index]
            assert isinstance(node, ast.Subscript)
            found = (
                isinstance(node.ctx, ast.Load)
                and flow.of(function, node) & Label.LOOKUP
                and not flow.of(function, node.value) & Label.LOOKUP
            )
            if found and not _updates(function, index, node) and not only_in_training(source, function):
                yield source.program.where(function, node)
    for function, index, call in calls(source):
        if isinstance(call.func, ast.Attribute) and last_name(call.func) in (
            "get",
            "take",
            "index_select",
            "gather",
        ):
            found = (
                flow.of(function, call) & Label.LOOKUP
                and not flow.of(function, call.func.value) & Label.LOOKUP
            )
            if found and not _updates(function, index, call.func.value):
                yield source.program.where(function, call)


def _updates(function: Function, index: int, node: ast.expr) -> bool:
    """Is the read part of storing into the same table: `counts[key] = counts[key] + 1`?"""
    table = ast.dump(node.value if isinstance(node, ast.Subscript) else node)
    for above in function.above(index):
        statement = function.nodes[above]
        if isinstance(statement, ast.Assign):
            return any(
                isinstance(target, ast.Subscript) and ast.dump(target.value) == table
                for target in statement.targets
            )
        if isinstance(statement, ast.stmt):
            return False
    return False
