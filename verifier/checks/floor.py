"""E1: a reported loss under the exact entropy of the stream it was measured on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from verifier.checks import check
from verifier.checks.probe_base import no_base, stage_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Json, Outcome, failed, passed, unverified, warned
from verifier.probe.floor import (
    Bits,
    Floor,
    floor_of_bits,
    floor_of_print,
    floor_of_scores,
    printed_bits,
)
from verifier.probe.influence import stage_of
from verifier.probe.passes import Pass
from verifier.probe.record import ProbeRecord, Run
from verifier.probe.scale import SEQ_LEN
from verifier.probe.stress import SMALL_TABLES

REPEATS = 4
"""How often a position may enter a printed mean that the ledger could not take apart: a window slides by
at least a quarter of its length at audit scale."""
SAME_BYTES = 1e-3
"""Relative gap between implied and true bytes a token up to which a printed mean is over the whole stream."""


@check(
    "E1-floor",
    title="no loss under the entropy of its stream",
    grade=Grade.PROBED,
    rules=("C1", "C2", "C3", "C4"),
)
def entropy_floor(evidence: Evidence) -> Outcome | Sequence[Outcome]:
    """A loss below the entropy of the stream cannot come from a legal predictor, except with odds of 2^-64.

    The validation stream is drawn from a source that the verifier knows exactly: documents of ids drawn
    independently and uniformly from an alphabet A, with a seed that the submission cannot know. For every
    predictor that uses only the past (C1), gives probabilities that sum to one (C2), scores before it
    learns (C3) and scores once (C4), the product of p(x)/Q(x) over the tokens is a non-negative martingale
    that starts at 1, so by Ville's inequality it reaches 2^b with probability at most 2^-b. The gain in
    bits is the sum of (-ln Q(x) - loss) / ln 2 over the drawn positions, each position's first score once;
    document starts are given, nothing can be gained on them, and they are left out.

    FAIL: the gain is at least 64 bits, plus log2 R for the R numbers that were tried. Where the ledger
    could not take the printed mean apart, rounding, k possible repeats (threshold k(64 + log2 k)) and a
    dropped tail are paid for, and the bytes implied by the printed pair must be those of the whole stream.

    A script with hashed tables runs once more with tables that are loaded as over the whole validation set
    (40 million tokens in 4,194,304 buckets are 8,192 in 1,024 here), and with the chunks and counts that delay a
    cache made small too; every number that was changed is listed. A normalised predictor stays one whatever
    its sizes are, so the bound holds there as well; the scores must cover the stream.

    A claim in bits per byte alone, as mixtures over bytes print it, is held against the entropy of the stream's
    bytes: -log2 of the sum of Q over all token streams that spell them. A tenth of it pays for tokens left out
    and bytes counted otherwise, unless the line names these very bytes.

    On a GPU the script keeps its own precision, and each score is taken to be rounded in its favour by
    2^-8 of itself and of the 48 nats that stand for the log-sum-exp, 0.21 nats at a score of 7: a PASS
    there sees less.

    Cannot see: a leak smaller than the model's own excess over the floor (the PASS says how small), a
    mechanism that is off at this scale, tables in C.

    Illegal: scoring positions on which a delta was optimised (#1176, #1229, #1430); counts of hashed
    contexts and targets that collide (#779, #886). Legal contrast: score a chunk, then learn from it
    (#549), and any cache that gives every token its share, which stay above the floor on any random stream.

    Source: #1017 (the four conditions); Ville, 1939; the rule book's P11.
    """
    record = evidence.probes
    if record is None or record.base is None:
        return no_base(record)
    streams = [run for run in record.runs if run.name in ("uniform", "small alphabet", SMALL_TABLES)]
    whole = [run for run in streams if run.name != SMALL_TABLES]
    bits = [(run, claim) for run in whole if (claim := printed_bits(run.tape, record.headline)) is not None]
    numbers = max(1, sum(len(run.passes) for run in streams) + len(bits))
    claimed = [_claimed_bits(run, claim, numbers) for run, claim in bits]
    return [
        *(_one_stream(evidence, record, run, numbers) for run in streams),
        *(outcome for outcome in claimed if outcome is not None),
    ]


def _claimed_bits(run: Run, claim: Bits, numbers: int) -> Outcome | None:
    """A claim in bits per byte that has no loss beside it, such as a mixture over bytes; None when above."""
    floor = floor_of_bits(claim, run, numbers)
    if floor is None or not floor.broken:
        return None
    true_bytes, bits = int(run.true_bytes.sum()), run.bits_of_bytes or 0.0
    return replace(
        failed(
            f"{floor.gain_bits:,.0f} bits under the floor: {claim.label} is {claim.bpb:.5f} bits a byte on the "
            f"{run.name} stream, or {claim.bpb * true_bytes:,.0f} bits for its {true_bytes:,} bytes, whose own entropy is "
            f"{bits:,.0f} bits; odds of this from a legal predictor: at most 2^-{floor.gain_bits - math.log2(numbers):,.0f}",
            stream=run.name,
            label=claim.label,
            gain_bits=round(floor.gain_bits, 3),
            threshold_bits=round(floor.threshold_bits, 3),
            val_bpb=claim.bpb,
            true_bytes=true_bytes,
            entropy_bits=bits,
            tokens=floor.tokens,
        ),
        replayable=True,
    )


def _one_stream(evidence: Evidence, record: ProbeRecord, run: Run, numbers: int) -> Outcome:
    head = record.headline_pass(run)
    if head is None:
        why = run.reason or "no loss was printed"
        return unverified(
            f"{run.name}: no number to hold against the floor: {run.status}, {why}", stream=run.name
        )
    if head.reconciled:
        floor = floor_of_scores(head, run.stream, numbers, record.device.rounding)
        sound = True
    else:
        floor = floor_of_print(head, run.stream, numbers, REPEATS, SEQ_LEN, record.device.rounding)
        sound = _whole_stream(head, run)
    facts = _facts(run, head, floor)
    place = stage_where(evidence, run, head)
    if not floor.broken and record.same_headline(run) is None:
        return unverified(
            f"{run.name}: ended before the number that stands for the claim: {run.status}, {run.reason}",
            stream=run.name,
            label=head.label,
        )
    if not floor.broken:
        return replace(passed(_above(run, head, floor), **facts), where=place)
    if run.name == SMALL_TABLES and head.reconciled:
        # A changed size may have changed what is scored, which the script's own sizes answer for elsewhere.
        sound = floor.tokens >= int((run.stream.code_length_nats() > 0.0).sum()) - SEQ_LEN
    if sound:
        stage = stage_of(run.tape, head, run.stream.ids.size)
        facts["stage"] = stage
        message = (
            f"{floor.gain_bits:,.0f} bits under the floor: {head.label} is {floor.loss_nats:.5f} nats a token on "
            f"{_stream(run)}, whose entropy is {floor.floor_nats:.5f} ({floor.tokens:,} tokens); "
            f"odds of this from a legal predictor: at most 2^-{floor.gain_bits - math.log2(numbers):,.0f}; stage: {stage}"
        )
        return replace(failed(message, **facts), where=place, replayable=True)
    return warned(
        f"{head.label} prints {head.loss_nats:.5f} on {_stream(run)} (entropy {floor.floor_nats:.5f}), but the "
        "number is no mean of recorded scores and its bytes are not the stream's: the average may be wrong instead",
        *place,
        **facts,
    )


def _above(run: Run, head: Pass, floor: Floor) -> str:
    return (
        f"{floor.loss_nats - floor.floor_nats:+.5f} nats over the floor on {_stream(run)} "
        f"({head.label} {floor.loss_nats:.5f}, entropy {floor.floor_nats:.5f}, {floor.tokens:,} tokens); "
        f"a mean leak under {floor.sensitivity_nats:.5f} nats a token would not show"
    )


def _stream(run: Run) -> str:
    if run.name != SMALL_TABLES:
        return f"the {run.name} stream"
    return f"the uniform stream with tables at their real load ({'; '.join(run.resized[:3])})"


def _facts(run: Run, head: Pass, floor: Floor) -> dict[str, Json]:
    resized: dict[str, Json] = {"resized": list(run.resized)} if run.name == SMALL_TABLES else {}
    return resized | {
        "stream": run.name,
        "label": head.label,
        "gain_bits": round(floor.gain_bits, 3) if math.isfinite(floor.gain_bits) else None,
        "threshold_bits": round(floor.threshold_bits, 3),
        "p_value_log2": -round(floor.gain_bits, 3) if floor.broken else None,
        "tokens": floor.tokens,
        "floor_nats": floor.floor_nats,
        "loss_nats": floor.loss_nats if math.isfinite(floor.loss_nats) else None,
        "once_each": floor.once_each,
        "sensitivity_nats": floor.sensitivity_nats if math.isfinite(floor.sensitivity_nats) else None,
    }


def _whole_stream(head: Pass, run: Run) -> bool:
    """Whether the printed pair implies the bytes a token of the whole stream."""
    if not head.val_bpb or head.derived:
        return False
    implied = head.loss_nats / math.log(2) / head.val_bpb
    true = float(run.true_bytes.sum()) / run.stream.targets
    return abs(implied / true - 1.0) <= SAME_BYTES
