"""C4: no reported score is the better of several for the same token."""

from __future__ import annotations

from dataclasses import replace

from verifier.checks import check
from verifier.checks.probe_base import captured_head, site_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Json, Outcome, failed, passed
from verifier.probe.tape import Pick


@check(
    "C4-pick",
    title="no score is the better of several for the same token",
    grade=Grade.PROBED,
    rules=("C2", "C4", "R-033"),
)
def pick(evidence: Evidence) -> Outcome:
    """Follow the reported scores back to a minimum over several scores of the same token.

    Which of two predictions is the better one is known only once the token is: a decoder could not make
    the same choice, and the two "best" probabilities, summed over the vocabulary, exceed one wherever the
    predictions differ. So min over passes, epochs or experts is not a code length.

    FAIL: scores behind the reported number went through a minimum of two scores of the same tokens that
    differ; the finding shows a token with both, and the line that took the lower one.
    PASS: none did. UNVERIFIED: the reported number could not be taken apart.

    Cannot see: a choice made by other means than a minimum of the two (a branch in Python or C on the
    realised losses); the entropy floor covers those.

    Illegal: the lowest loss of three passes (#573, #614), of two experts by the realised token (#659).
    Legal contrast: a fixed weight, or one chosen from the model's own entropy before the token is known; a
    minimum that is only printed as a diagnostic.

    Source: #573, #614, #685 and #659 (closed for it); #1017 C4.
    """
    found = captured_head(evidence, "their origin is unknown")
    if isinstance(found, Outcome):
        return found
    _, base, head = found
    better = sum(score.picked for score in head.scores)
    notes = [note for note in base.tape.of(Pick) if note.number <= head.last_event]
    if not better or not notes:
        return passed(f"0 of {len(head.scores):,} commits of {head.label} hold the better of two scores")
    note = notes[-1]
    position, one, other = note.pairs[0]
    facts: dict[str, Json] = {
        "label": head.label,
        "picked": better,
        "differing": sum(each.positions for each in notes),
        "position": position,
        "scores_nats": [one, other],
        "pairs": [list(pair) for pair in note.pairs],
    }
    return replace(
        failed(
            f"{better:,} scores behind {head.label} are the lower of several for the same token: token {position} "
            f"was scored {one:.6f} and {other:.6f} nats, and {min(one, other):.6f} was kept",
            **facts,
        ),
        where=(site_where(evidence, base, note.site), site_where(evidence, base, head.scores[-1].site)),
        replayable=True,
    )
