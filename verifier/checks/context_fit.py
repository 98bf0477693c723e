"""C3: a delta of the hidden states or logits that was fitted to scored context alone; nobody ruled on it."""

from __future__ import annotations

from verifier.checks import check
from verifier.checks.probe_base import captured_head, site_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, not_applicable, unruled
from verifier.probe.dirty import flip_results
from verifier.probe.tape import Step


@check(
    "C3-context",
    title="no delta is fitted to the scored context of its window",
    grade=Grade.PROBED,
    rules=("C3", "R-041", "R-042"),
)
def context_fit(evidence: Evidence) -> Outcome:
    """Look for optimizer steps within scoring that move nothing but one vector a sequence.

    Context-only SLOT fits a delta of the hidden states (and a bias of the logits), of shape (B, 1, D), to the
    tokens of a window that are already scored, and scores the window's new tokens with it. Each score still
    comes before anything learns from it, so the flip and the floor pass. Whether it is allowed was asked in
    #1336 and never answered.

    UNRULED: such steps were seen, and no earlier score moved with a later token. NOT_APPLICABLE: none was, or
    earlier scores moved, of which C1-flip and C3-order speak.

    Cannot see: a delta that is fitted without an optimizer, or that has another shape.

    Unruled: #1306, #1350 in part. Legal contrast: steps on weights or per-document LoRA matrices after the
    score (#549, #1530). Illegal contrast: the same delta fitted to the positions that it scores (#1176, #1430).

    Source: #1336.
    """
    found = captured_head(evidence, "what was fitted between them is unknown")
    if isinstance(found, Outcome):
        return found
    record, base, head = found
    last = max(score.number for score in head.scores)
    fits = [
        step
        for step in base.tape.of(Step)
        if 0 < step.shifts == step.tensors and head.first_event < step.number < last
    ]
    if not fits:
        return not_applicable(f"no optimizer step within {head.label} moved one vector a sequence alone")
    results = flip_results(record, base, head)
    if any(result.influence.moved.size for result in results):
        return not_applicable(
            "earlier scores moved with later tokens, so more than context was fitted: see C3-order"
        )
    many = "s" if fits[0].tensors > 1 else ""
    return unruled(
        f"{len(fits):,} {fits[0].optimizer} steps within {head.label} fitted {fits[0].tensors} vector{many} a sequence "
        f"({fits[0].values:,} values), and no earlier score moved in {len(results)} flips: what was fitted is scored "
        "context; asked in #1336, never ruled",
        site_where(evidence, base, fits[0].site),
        steps=len(fits),
        values=fits[0].values,
        label=head.label,
    )
