"""C3: scored first, learned from later; the order tape names the stage that broke it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from verifier.checks import check
from verifier.checks.probe_base import captured_head, site_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Json, Outcome, failed, passed, warned
from verifier.probe.dirty import flip_results, noise_nats
from verifier.probe.influence import STAGES, Learning, could_show, learned_before_scored
from verifier.probe.passes import Pass
from verifier.probe.record import ProbeRecord, Run
from verifier.probe.tape import Step

_RULES = {"before": ("C3", "R-031"), "within": ("C1", "C3", "R-040")}


@check("C3-order", title="each token is scored before it is learned from", grade=Grade.PROBED, rules=("C3",))
def score_before_update(evidence: Evidence) -> Outcome | Sequence[Outcome]:
    """Follow the tape of scores, backward passes and optimizer steps through the reported pass.

    Every loss whose gradient is taken is taken apart into stream positions. A position that was in such
    a loss, with an optimizer step after it, before its own score was committed, has been learned from
    too early. The tape names the stage: before the pass began (a TTT pass whose weights then score the
    stream again, adaptation before quantization), or within it (a delta optimised on the positions that
    it then scores).

    FAIL: positions were learned from before their score, and the flip probe saw scores of that same pass
    move with later tokens, so the learned state did reach the score.
    WARN: positions were, and no flip could have shown whether it reached a score; or validation tokens were in
    training steps before the first number of the run that trains for longer.
    PASS: no position was, or the steps fell on weights that the pass did not use (no earlier score moved).

    Cannot see: learning without torch gradients (counts, closed-form solves): the flip and the floor do.

    Illegal: #1430 (TTT over the whole stream, then scoring it again; 24 AdamW steps on each scored
    window), #1376 (ten epochs before quantization). Legal contrast: #549, chunk scored, then trained on;
    any number of epochs over what is already scored.

    Source: README FAQ of the contest ("already evaluated"); #402, #568, #1972.
    """
    found = captured_head(evidence, "their order is unknown")
    if isinstance(found, Outcome):
        return found
    record, base, head = found
    trained = _trained_on_validation(evidence, record)
    learnings = learned_before_scored(base.tape, head, base.stream.ids.size)
    steps = base.tape.of(Step)
    if not learnings and trained is not None:
        return trained
    if not learnings:
        return passed(
            f"0 of {len(head.scores):,} commits of {head.label} came after a step on their own tokens; "
            f"{len(steps):,} optimizer steps used validation tokens that were already scored"
            if steps
            else f"no optimizer step used a validation token ({head.label})",
            steps=len(steps),
            label=head.label,
        )
    results = flip_results(record, base, head)
    moved = any(result.influence.moved.size for result in results) and noise_nats(record, base, head) == 0.0
    committed = head.committed(base.stream.ids.size)
    outcomes = [
        # Only where a flip would have shown that what was learned reached a score does its silence acquit.
        _outcome(
            evidence,
            base,
            head,
            learning,
            moved,
            any(could_show(learning, committed, each.block) for each in results),
        )
        for learning in learnings
    ]
    return outcomes if trained is None else [*outcomes, trained]


def _trained_on_validation(evidence: Evidence, record: ProbeRecord) -> Outcome | None:
    """Steps on validation tokens before the first number of the run that trains for longer.

    The base run makes one training step, and a loader that draws validation tokens now and then may not draw
    one in it. No flip was made on this stream, so nothing proves that the steps reached a score.
    """
    run = record.run("small alphabet")
    first = None if run is None else next((each for each in run.passes if each.reconciled), None)
    if run is None or first is None:
        return None
    for learning in learned_before_scored(run.tape, first, run.stream.ids.size):
        if learning.stage == "before":
            return warned(
                f"{learning.positions.size:,} validation tokens were learned from in {len(learning.steps)} "
                f"{learning.steps[0].optimizer} steps before the first number ({first.label}) of the run that trains for "
                "longer; no flip was made there",
                site_where(evidence, run, learning.first_backward.site),
                stage="training",
                label=first.label,
                positions=int(learning.positions.size),
                steps=len(learning.steps),
            )
    return None


def _outcome(
    evidence: Evidence, base: Run, head: Pass, learning: Learning, moved: bool, flipped: bool
) -> Outcome:
    scored = int(head.committed(base.stream.ids.size).scored.sum())
    kept = learning.weights is not None and learning.weights.same > 0
    facts: dict[str, Json] = {
        "stage": STAGES[learning.stage],
        "label": head.label,
        "positions": int(learning.positions.size),
        "scored": scored,
        "steps": len(learning.steps),
        "optimizer": learning.steps[0].optimizer,
        "tensors": learning.tensors,
        "backward_line": site_where(evidence, base, learning.first_backward.site).line,
        "weights_unchanged_at_next_score": None if learning.weights is None else learning.weights.same,
    }
    where = (
        site_where(evidence, base, learning.first_backward.site),
        site_where(evidence, base, learning.steps[0].site),
        site_where(evidence, base, head.scores[-1].site),
    )
    message = (
        f"{learning.positions.size:,} of {scored:,} tokens were learned from before {head.label} scored them: "
        f"{len(learning.steps)} {learning.steps[0].optimizer} steps, stage: {STAGES[learning.stage]}"
    )
    if learning.stage == "before" and kept and learning.weights is not None:
        message += f"; {learning.weights.same} stepped tensors were unchanged when scoring began"
    if moved:
        return replace(failed(message, **facts), where=where, rules=_RULES[learning.stage], replayable=True)
    if flipped:
        return replace(
            passed(f"{message}; no earlier score moved in any flip, so those weights did not score", **facts),
            where=where,
        )
    return replace(
        warned(f"{message}; no flip could say whether it reached the scores", **facts),
        where=where,
    )
