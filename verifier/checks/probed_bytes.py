"""B3: the bytes behind the printed BPB, against a recount on the same scored tokens."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from verifier.checks import check
from verifier.checks.probe_base import no_base, stage_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Json, Outcome, failed, passed, unverified, warned
from verifier.probe.passes import Pass
from verifier.probe.record import Run

AGREE = 2e-4
"""Relative. A printed pair of four digits fixes bytes to 3e-5; a repeated tail moves them by up to 1e-4."""

OWN_TOKENIZER = re.compile(r"\.model$|\.vocab$|tokenizer[^/]*\.json$|[^/]*meta\.npz$|candidate[^/]*\.npz$")
"""Files that a script may build its own byte counts from."""


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
    WARN: they do not, and the folder ships a tokenizer: the script may count with that one, and the audit's
    stream is not written in it. Or they do elsewhere in the same run: then the script counts rightly, and the
    BPB is not that of the loss beside it, as where a mixture over bytes is printed next to the model's loss.

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
    implied, true = _implied(head, head.val_bpb), _bytes_a_token(head, base)
    gap = implied / true - 1.0
    facts: dict[str, Json] = {"label": head.label, "implied": implied, "recounted": true, "relative_gap": gap}
    text = f"{implied:.5f} bytes a token behind {head.label}; the recount gives {true:.5f} ({gap:+.3%})"
    where = stage_where(evidence, base, head)
    if abs(gap) <= AGREE:
        return replace(passed(text, **facts), where=where)
    own = next((file.path for file in evidence.submission.files if OWN_TOKENIZER.search(file.path)), None)
    if own is not None:
        return replace(warned(f"{text}; the folder ships {own}", **facts), where=where)
    right = next((p.label for p in base.passes if p is not head and _counts_right(p, base)), None)
    if right is not None:
        text = f"{text}; {right} counts them rightly, so this BPB is not that of the loss beside it"
        return replace(warned(text, **facts), where=where)
    if head.reconciled:
        return replace(failed(text, **facts), where=where, replayable=True)
    return replace(warned(text, **facts), where=where)


def _implied(printed: Pass, val_bpb: float) -> float:
    """Bytes a token that a printed pair was divided by."""
    return printed.loss_nats / math.log(2) / val_bpb


def _bytes_a_token(printed: Pass, run: Run) -> float:
    """True bytes a token over the positions that a number is the mean of, or over the whole stream."""
    if not printed.reconciled:
        return float(run.true_bytes.sum()) / run.stream.targets
    times = printed.committed(run.stream.ids.size).times
    return float(np.dot(times, run.true_bytes)) / max(int(times.sum()), 1)


def _counts_right(printed: Pass, run: Run) -> bool:
    if not printed.val_bpb or not printed.reconciled:
        return False
    return abs(_implied(printed, printed.val_bpb) / _bytes_a_token(printed, run) - 1.0) <= AGREE
