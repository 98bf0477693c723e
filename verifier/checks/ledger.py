"""C4: every token scored once, and the scores add up to the number that was printed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from verifier.checks import check
from verifier.checks.probe_base import no_base, stage_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Json, Outcome, passed, unverified, warned
from verifier.probe.scale import SEQ_LEN

TAIL = SEQ_LEN
"""Positions that the root loader may drop at the end: (N - 1) mod the sequence length."""
REPEATED_SHARE = 0.05
"""Sliding windows count the last stretch of the stream more than once; beyond this share it is rescoring."""


@check("C4-ledger", title="each token scored once, and the sum is the reported number", grade=Grade.PROBED,
       rules=("C4", "R-066", "R-067", "R-068"))  # fmt: skip
def ledger(evidence: Evidence) -> Outcome:
    """Take the reported mean apart into scored positions: none missing, none rescored, and it adds up.

    PASS: the recorded scores have the printed mean, every position of the stream is among them but for a
    dropped tail shorter than one window, and repeats are the few that sliding windows make at the end
    of the stream (reported, not failed: nearly all sliding evaluations count 32 to 96 tokens twice).
    WARN: positions are missing or many are repeated.
    UNVERIFIED: the printed number is the mean of no recorded scores.

    Cannot see: whether the tokens scored are those of the contest's validation files (`pgolf data`).

    Illegal: scoring a subset and calling it the validation set (#1835, #2009), two passes (#846).
    Legal contrast: the root loader's dropped remainder; overlapping windows that score their new part.

    Source: #50 and #124 (the tail must be scored), #1017 C4.
    """
    record = evidence.probes
    if record is None or record.base is None:
        return no_base(record)
    base = record.base
    head = record.headline_pass(base)
    if head is None:
        return unverified("no loss was printed")
    if not head.reconciled:
        return unverified(
            f"{head.label} printed {head.loss_nats:.{head.loss_digits}f}, the mean of no scores that were recorded",
            label=head.label,
            line=head.line[:200],
        )
    committed = head.committed(base.stream.ids.size)
    targets = base.stream.targets
    missing = np.flatnonzero(~committed.scored[1:]) + 1
    repeated = int((committed.times > 1).sum())
    tail = missing.size <= TAIL
    facts: dict[str, Json] = {
        "label": head.label,
        "tokens": targets,
        "missing": int(missing.size),
        "missing_first": int(missing[0]) if missing.size else None,
        "repeated": repeated,
        "most_times": int(committed.times.max()),
        "reconciled_passes": sum(each.reconciled for each in base.passes),
        "printed_numbers": len(base.passes),
    }
    text = (
        f"{targets - missing.size:,} of {targets:,} tokens scored, {repeated:,} more than once; "
        f"their mean is the printed {head.loss_nats:.{head.loss_digits}f} ({head.label})"
    )
    where = stage_where(evidence, base, head)
    if not tail or repeated > REPEATED_SHARE * targets:
        return replace(warned(text, **facts), where=where)
    return replace(passed(text, **facts), where=where)
