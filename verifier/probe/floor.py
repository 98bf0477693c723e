"""The entropy floor: how far a score may fall below the source's entropy before it proves a breach.

For a source Q that is known exactly and any predictor p that keeps C1 to C4, the product over positions
of p(x)/Q(x) is a non-negative martingale that starts at 1. By Ville's inequality the chance that it ever
reaches 2^b is at most 2^-b. In bits: gain = sum(-ln Q(x) + ln p(x)) / ln 2 exceeds b with probability at
most 2^-b. Every price that keeps this sentence true is paid here and nowhere else.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from verifier.intake.metric import metrics_of_line
from verifier.probe.device import FLOAT32_ROUNDING
from verifier.probe.passes import Pass
from verifier.probe.record import Run
from verifier.probe.stream import Stream
from verifier.probe.tape import Print, Tape

THRESHOLD_BITS = 64.0
"""A false accusation has odds of at most 2^-64."""


@dataclass(frozen=True)
class Bits:
    """A printed number of bits per byte without a loss per token."""

    label: str
    bpb: float
    digits: int
    counts: frozenset[int]
    """Whole numbers on its line, among them often the bytes that it was divided by."""


LOG_SUM_NATS = 48.0
"""What a log-sum-exp may lose is a rounding of this much. Under a softcap of 30 it stays below 40; taken in
bfloat16 as the largest logit and the log of a sum, it was seen to lose up to 40 roundings' worth."""
BYTES_SLACK = 0.1
"""Of the entropy, given away where only bits per byte are known."""
_NUMBER = re.compile(r"\d+")
_WHOLE = re.compile(r"(?<![\d.])\d+(?![\d.])")


@dataclass(frozen=True)
class Floor:
    """One reported number against its stream's entropy."""

    gain_bits: float
    """Bits below the floor, after every deduction; negative when the number lies above it."""
    threshold_bits: float
    tokens: int
    """Positions that entered the sum, each once; for scores that were captured, the drawn ones among them."""
    floor_nats: float
    """Mean of -ln Q over these positions."""
    loss_nats: float
    """Mean score over these positions."""
    once_each: bool
    """True when the ledger gave each position's first score; False when only the printed mean is known."""

    @property
    def broken(self) -> bool:
        return self.gain_bits >= self.threshold_bits

    @property
    def sensitivity_nats(self) -> float:
        """The smallest mean leak per token that this number would have shown, every deduction paid."""
        return (self.threshold_bits - min(self.gain_bits, 0.0)) * math.log(2) / self.tokens


Nats = TypeVar("Nats", float, NDArray[np.float64])


def slack_nats(loss_nats: Nats, rounding: float) -> Nats:
    """How far a score may lie below the script's true one, from rounding alone; grows with the score.

    A score is a log-sum-exp less a logit. Rounded logits are still logits of some distribution, so they give
    nothing away; the log-sum-exp and the difference may each have been rounded in the script's favour. Linear
    in the score, so the slack of a mean is the mean of the slacks.
    """
    return rounding * (LOG_SUM_NATS + abs(loss_nats))


def floor_of_scores(
    reported: Pass, stream: Stream, numbers: int, rounding: float = FLOAT32_ROUNDING
) -> Floor:
    """The floor over the captured first score of each drawn position. `numbers` is how many numbers were tried.

    A BOS is left out: its place was fixed in advance and Q gives it all probability, so no predictor can gain
    on it. An untrained model loses ten bits on each, which would hide as many bits of a leak.
    """
    scored, gains_nats, losses = gains_of_scores(reported, stream, rounding)
    nats = stream.code_length_nats()[scored]
    tokens = int(scored.size)
    return Floor(
        gain_bits=float(gains_nats.sum()) / math.log(2),
        threshold_bits=threshold_bits(numbers),
        tokens=tokens,
        floor_nats=float(nats.mean()) if tokens else math.nan,
        loss_nats=float(losses.mean()) if tokens else math.nan,
        once_each=True,
    )


def gains_of_scores(
    reported: Pass, stream: Stream, rounding: float = FLOAT32_ROUNDING
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The drawn positions that were scored, how far each first score lies below -ln Q, and that score, in nats.

    Each score may have been rounded in the script's favour, which is deducted; one that is no number gains -inf.
    """
    committed = reported.committed(stream.ids.size)
    nats = stream.code_length_nats()
    scored = np.flatnonzero(committed.scored & (nats > 0.0))
    losses = committed.values[scored]
    highest = losses + slack_nats(losses, rounding)
    return scored, np.where(np.isfinite(losses), nats[scored] - highest, -np.inf), losses


def floor_of_print(
    reported: Pass,
    stream: Stream,
    numbers: int,
    repeats: int,
    dropped: int,
    rounding: float = FLOAT32_ROUNDING,
) -> Floor:
    """The floor over the printed mean alone.

    `repeats` bounds how often a position may have entered the mean, and `dropped` how many positions a
    tolerated tail may have left out; the printed digits cost half a unit of the last one, and the mean may have
    been rounded once more than its scores.
    """
    tokens = max(stream.targets - dropped, 1)
    unrounded = slack_nats(reported.loss_nats, rounding) + rounding * abs(reported.loss_nats)
    highest = reported.loss_nats + 0.5 * 10.0**-reported.loss_digits + unrounded
    nats = stream.code_length_nats()[1:]
    # The dropped positions are taken to be the dearest, so what is left of the entropy is not too much.
    left_nats = float(nats.sum()) - (stream.targets - tokens) * float(nats.max())
    return Floor(
        gain_bits=(left_nats - tokens * highest) / math.log(2),
        threshold_bits=threshold_bits(numbers, repeats),
        tokens=tokens,
        floor_nats=left_nats / tokens,
        loss_nats=reported.loss_nats,
        once_each=False,
    )


def floor_of_bits(claim: Bits, run: Run, numbers: int) -> Floor | None:
    """The floor over a printed number of bits per byte, when no loss a token was printed beside it.

    It is the entropy of the bytes: a predictor of bytes need not know which tokens spelled them. Where the line
    does not say that it counted the true bytes of the whole stream, a share of the entropy pays for tokens left
    out and bytes counted otherwise. None where the entropy of the bytes was not computed.
    """
    if run.bits_of_bytes is None:
        return None
    true_bytes = int(run.true_bytes.sum())
    slack = 0.0 if true_bytes in claim.counts else BYTES_SLACK
    spent_bits = (claim.bpb + 0.5 * 10.0**-claim.digits) * true_bytes
    tokens = run.stream.targets
    return Floor(
        gain_bits=run.bits_of_bytes * (1.0 - slack) - spent_bits,
        threshold_bits=threshold_bits(numbers),
        tokens=tokens,
        floor_nats=run.bits_of_bytes * math.log(2) / tokens,
        loss_nats=claim.bpb * true_bytes * math.log(2) / tokens,
        once_each=False,
    )


def printed_bits(tape: Tape, label: str | None) -> Bits | None:
    """The last bits per byte printed without a loss under `label`, whatever counts the label carries."""
    found = None
    for event in tape.of(Print):
        for metric in metrics_of_line(event.text, 0):
            same = label is not None and _NUMBER.sub("#", metric.label) == _NUMBER.sub("#", label)
            if same and metric.val_loss is None and metric.val_bpb is not None:
                counts = frozenset(int(number) for number in _WHOLE.findall(event.text))
                found = Bits(metric.label, metric.val_bpb, metric.bpb_digits, counts)
    return found


def threshold_bits(numbers: int, repeats: int = 1) -> float:
    """64 bits, and log2 R more for R reported numbers; k(64 + log2 k) where a position may count k times."""
    base = THRESHOLD_BITS + math.log2(max(numbers, 1))
    return repeats * (base + math.log2(repeats)) if repeats > 1 else base
