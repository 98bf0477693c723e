"""V1: validation tokens read before a reported pass, without being reported."""

from __future__ import annotations

from dataclasses import replace

from verifier.checks import check
from verifier.checks.probe_base import no_base, site_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, failed, not_applicable, passed, unverified
from verifier.probe.dirty import first_dirty_pass, last_clean_pass, noise_nats
from verifier.probe.influence import learned_before_scored, unreported_reads


@check(
    "V1-calibration",
    title="no validation token calibrates the model",
    grade=Grade.PROBED,
    rules=("R-017", "R-020", "C1"),
)
def validation_calibration(evidence: Evidence) -> Outcome:
    """Find the first reported number that moved under a flip, and what read validation tokens before it.

    Scripts report several numbers: after training, after quantization, with sliding windows, with
    adaptation. When one of them is the first whose earlier scores move with later tokens, the future
    came in between the last unmoved number and it. Forward passes over validation tokens in between
    whose scores fed no reported number, with no optimizer step, are calibration: Hessians, activation
    statistics, scales.

    FAIL: such a pass exists, the number after it moved, and two unchanged runs agree to the bit.
    PASS: no unreported forward pass over validation tokens came before the first number.

    Cannot see: statistics of token ids that never pass through the model (the flip sees their effect).

    Illegal: GPTQ Hessians from validation text (#1430: `using validation data for calibration`, #728).
    Legal contrast: self-generated calibration (#1019), training shards within the budget.

    Source: #728 (not on tokens "you haven't already scored"), 2026-03-28.
    """
    record = evidence.probes
    if record is None or record.base is None:
        return no_base(record)
    base = record.base
    dirty = first_dirty_pass(record, base)
    if dirty is None:
        if not record.flips or not any(run.finished for run in record.flips):
            return unverified("no flipped run finished, so no number can be called unmoved")
        first = next((each for each in base.passes if each.reconciled), None)
        if first is None:
            return unverified("no reported number was reconciled with recorded scores")
        return passed(
            "no reported number moved with later tokens, so nothing was calibrated on them", label=first.label
        )
    clean = last_clean_pass(record, base, dirty)
    start = clean.last_event if clean is not None else 0
    reads = unreported_reads(base.tape, base, start, dirty.first_event)
    learned = learned_before_scored(base.tape, dirty, base.stream.ids.size)
    if reads is None or any(learning.stage == "before" for learning in learned):
        return not_applicable(
            f"the first number that moved, {dirty.label}, was preceded by learning steps and not by silent reads; "
            "see C3-order"
            if learned
            else f"the first number that moved is {dirty.label}; nothing was read silently before it",
            label=dirty.label,
        )
    if noise_nats(record, base, dirty) != 0.0:
        return unverified(
            f"{dirty.label} moved, but two unchanged runs do not agree to the bit or were not made"
        )
    stack = base.tape.stacks.get(reads.first.site, ())
    # The call that the main program made names the stage better than the layer that met the ids.
    caller = stack[2] if len(stack) > 2 else stack[-1] if stack else None
    where = site_where(evidence, base, reads.first.site)
    if caller is not None:
        where = replace(where, line=caller.line, excerpt=None)
    after = f" after {clean.label}, which did not move" if clean is not None else ""
    return replace(
        failed(
            f"{reads.positions:,} validation tokens went through the model unreported{after}, and {dirty.label} then "
            f"moved with later tokens: stage calibration, in {caller.function if caller else '?'}",
            stage="calibration",
            label=dirty.label,
            unmoved=None if clean is None else clean.label,
            tokens=reads.positions,
            ranges=[list(r) for r in reads.ranges],
            call=[f"{f.file}:{f.line} {f.function}" for f in stack],
        ),
        where=(where,),
        replayable=True,
    )
