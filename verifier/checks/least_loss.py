"""X03-least-loss: the smaller of two losses is kept."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import calls, look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Label, Source, last_name


@check(
    "X03-least-loss",
    title="no expert or pass is chosen by its loss on the realised token",
    grade=Grade.STATIC,
    rules=("R-033", "C4"),
)
def least_loss(evidence: Evidence) -> Outcome:
    """Reads the source for the minimum of two losses, position by position or document by document:
    `torch.minimum(a, b)`, `np.minimum`, `torch.where(a < b, a, b)`, `stack(losses).min(0)`.

    Whoever takes the better of two predictions after seeing the token has sent a message that no decoder
    could read.

    WARN: such a choice among losses is live in a function that holds validation tokens or targets. No match is
    NOT_APPLICABLE.

    Cannot see: a choice that is made by index, or in another language; the entropy floor measures it.

    Ruling: #573, #614, #685 (minimum over passes); #659 (2026-03-25, "peeking").

    Violation: `nll = torch.minimum(model_nll, ngram_nll)`. Legal contrast: a fixed weight, or a gate on the
    model's entropy; `min` over the mean losses of two training runs, for a log line.
    """
    source = evidence.source
    if source is None:
        return unread()
    places = list(_choices(source))
    if not places:
        return nothing(source, "minimum over losses of tokens")
    return look("the smaller of two losses is kept: a choice made after the token is known", places)


_CHOOSERS = frozenset(("minimum", "fmin", "min", "amin", "where"))


def _choices(source: Source) -> Iterator[Where]:
    flow = source.flow
    for function, _, call in calls(source):
        name = last_name(call.func)
        if name not in _CHOOSERS:
            continue
        losses = [bool(flow.of(function, each) & Label.LOSS) for each in call.args]
        chosen = (
            name in ("minimum", "fmin") or (name == "min" and isinstance(call.func, ast.Attribute))
        ) and (len(losses) == 2 and all(losses))
        if name == "where" and len(losses) == 3:
            test = call.args[0]
            names = {each for each in ast.walk(test) if isinstance(each, ast.Name)}
            compared = isinstance(test, ast.Compare) and isinstance(
                test.ops[0], ast.Lt | ast.Gt | ast.LtE | ast.GtE
            )
            chosen = (
                losses[1] and losses[2] and compared and all(flow.of(function, n) & Label.LOSS for n in names)
            )
        if name in ("min", "amin") and isinstance(call.func, ast.Attribute) and not chosen:
            chosen = _stacked(call.func.value) and bool(flow.of(function, call.func.value) & Label.LOSS)
        if chosen and any(
            flow.name(function, n) & (Label.VAL | Label.TARGET)
            for n in (*flow.names[function], *function.parameters)
        ):
            yield source.program.where(function, call)


def _stacked(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) in ("stack", "cat")
