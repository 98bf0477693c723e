"""B3: the bytes behind the printed BPB, against a recount on the same scored tokens."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from verifier.checks import check
from verifier.checks.probe_base import no_base, stage_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Json, Outcome, failed, passed, unverified, warned

AGREE = 2e-4
"""Relative. A printed pair of four digits fixes bytes to 3e-5; a repeated tail moves them by up to 1e-4."""


@check(
    "B3-bytes",
    title="bits per byte counts the stream's own bytes",
    grade=Grade.PROBED,
    rules=("R-060", "R-061", "R-062"),
)
def probed_bytes(evidence: Evidence) -> Outcome:
    """Recount the bytes of the tokens that were scored and compare them with loss / ln 2 / BPB.

    The audit's tokenizer is a plain SentencePiece model, for which the contest's rule is exact: bytes of
    the piece without its marker, one for the marker unless the previous token is a boundary, one for a
    byte token, none for a control token. The script counts with its own code; the printed pair says what
    it counted.

    PASS: both agree to 2 parts in 10,000. FAIL: they do not, on a reconciled pass over the whole stream.

    Cannot see: a script that counts differently on the contest's own tokenizer file (B1-denominator does).

    Illegal: the leading space counted twice (#1698, #1734), byte tokens as three bytes (#1184).
    Legal contrast: raw bytes from a sidecar for a lossless transform (#1729).

    Source: root `train_gpt.py`; issue #1719; #1806.
    """
    record = evidence.probes
    if record is None or record.base is None:
        return no_base(record)
    base = record.base
    head = record.headline_pass(base)
    if head is None or not head.val_bpb or (head.derived and not head.reconciled):
        return unverified("no pair of loss and BPB was printed")
    implied = head.loss_nats / math.log(2) / head.val_bpb
    if head.reconciled:
        times = head.committed(base.stream.ids.size).times
        true = float(np.dot(times, base.true_bytes)) / max(int(times.sum()), 1)
    else:
        true = float(base.true_bytes.sum()) / base.stream.targets
    gap = implied / true - 1.0
    facts: dict[str, Json] = {"label": head.label, "implied": implied, "recounted": true, "relative_gap": gap}
    text = f"{implied:.5f} bytes a token behind {head.label}; the recount gives {true:.5f} ({gap:+.3%})"
    where = stage_where(evidence, base, head)
    if abs(gap) <= AGREE:
        return replace(passed(text, **facts), where=where)
    if head.reconciled:
        return replace(failed(text, **facts), where=where, replayable=True)
    return replace(warned(text, **facts), where=where)
