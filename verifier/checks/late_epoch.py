"""X06-late-epoch: scores are kept inside a loop over epochs that learns from the same tokens."""

from __future__ import annotations

from verifier.checks import check
from verifier.checks.static_base import look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome
from verifier.static import Order


@check(
    "X06-late-epoch",
    title="the reported score is the first one",
    grade=Grade.STATIC,
    rules=("R-032", "C3", "C4"),
)
def late_epoch(evidence: Evidence) -> list[Outcome]:
    """Reads the source for a loop over epochs or passes that holds both a backward pass on validation tokens and
    the sum of losses that the function returns: from the second epoch on, the tokens were learned from.

    WARN: both are live in one loop whose counter or range is named for epochs or passes. No match is
    NOT_APPLICABLE.

    Cannot see: an epoch loop under another name; a condition that keeps the first epoch's score only (that is
    legal: read the lines).

    Ruling: #512, #548, #568, #605, #642 (2026-03-24): only the first score counts; #1004 is the corrected shape.

    Violation: `for epoch in range(3): ...; if epoch == 2: loss_sum += loss; loss.backward()`. Legal contrast: one
    scored pass, with several epochs of training on each chunk after its score (#549).
    """
    source = evidence.source
    if source is None:
        return [unread()]
    late = [
        site
        for site in source.learning.sites
        if site.offset is None and site.order is Order.SCORED_IN_LATER_EPOCH
    ]
    if not late:
        return [nothing(source, "score kept in a loop over epochs that learns")]
    return [
        look(
            f"{site.function.name} keeps scores inside the loop over epochs that learns from the same tokens",
            [
                source.program.where(site.function, site.function.nodes[index])
                for index in (site.score, site.index)
                if index is not None
            ],
        )
        for site in late
    ]
