"""X02-target-blend: probabilities of the realised token alone are blended."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Function, Label, Source

_EXPERT = re.compile(
    r"ppm|ngram|n_gram|(?:^|_)ng(?:_|$)|bigram|trigram|cache|hist|knn|byte|count|(?:^|_)pl?p$", re.IGNORECASE
)


@check(
    "X02-target-blend",
    title="experts are not blended at the realised token alone",
    grade=Grade.STATIC,
    rules=("R-052", "R-056", "C2"),
)
def target_blend(evidence: Evidence) -> Outcome:
    """Reads the source for `w * p + (1 - w) * q` where p is the model's probability of the realised token
    (`exp(-nll)`, a gather at the target) and q comes from a table or an expert called n-gram, PPM or cache.

    A blend of two numbers per position is a mixture of distributions only if both are distributions over the
    whole vocabulary. Byte experts and hashed counts are not.

    WARN: such a blend is live. No match is NOT_APPLICABLE.

    Cannot see: blends in C, in the logarithm over three experts, or whether q is normalised; the mass probe
    adds the probabilities up.

    Ruling: #1185 (renormalise "over the whole vocab size"); #1902 (2026-04-28) and #2083 (2026-05-02) on bytes.

    Violation: `p = lam * exp(-nll) + (1 - lam) * ppm_p`. Legal contrast: `(1 - w) * softmax(logits) + w * counts /
    counts.sum(-1)` over the vocabulary and then the gather (#1642); the closed-form tilt by Z (#1514).
    """
    source = evidence.source
    if source is None:
        return unread()
    places = list(_blends(source))
    if not places:
        return nothing(source, "blend at the realised token")
    return look("an expert is blended with the model's probability of the realised token alone", places)


def _blends(source: Source) -> Iterator[Where]:
    for function in source.program.functions:
        for index in function.of(ast.BinOp):
            node = function.nodes[index]
            assert isinstance(node, ast.BinOp)
            pair = _convex(node)
            if pair is None:
                continue
            labels = [source.flow.of(function, each) for each in pair]
            for model, expert, other in ((labels[0], labels[1], pair[1]), (labels[1], labels[0], pair[0])):
                if model & Label.AT_TARGET and not expert & Label.ALL_TOKENS:
                    named = any(_EXPERT.search(name) for name in _names(other))
                    if expert & Label.LOOKUP or (named and not _same(function, source, expert)):
                        yield source.program.where(function, node)
                        break


def _same(function: Function, source: Source, expert: int) -> bool:
    """Two gathers of the model's own distributions are a mixture like any other."""
    return bool(expert & Label.AT_TARGET) and not expert & Label.LOOKUP and bool(expert & Label.LOSS)


def _convex(node: ast.BinOp) -> tuple[ast.expr, ast.expr] | None:
    """The two operands of `w * a + (1 - w) * b`, whichever way round."""
    if not isinstance(node.op, ast.Add):
        return None
    left, right = _factors(node.left), _factors(node.right)
    for one in left:
        for other in right:
            if _complement(one[0], other[0]) or _complement(other[0], one[0]):
                return one[1], other[1]
    return None


def _factors(node: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [(node.left, node.right), (node.right, node.left)]
    return []


def _complement(weight: ast.expr, rest: ast.expr) -> bool:
    match rest:
        case ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Sub(), right=right):
            return ast.dump(right) == ast.dump(weight)
    return False


def _names(node: ast.expr) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute):
            yield each.attr
