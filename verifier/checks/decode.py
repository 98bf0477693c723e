"""C0: a decoder that holds the artifact alone reproduces the tokens from the bits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from verifier.checks import check
from verifier.checks.probe_base import no_base
from verifier.evidence import Evidence
from verifier.finding import Grade, Json, Outcome, Where, failed, not_applicable, passed, unverified, warned
from verifier.probe.decoding import FLUSH_BITS, MASS_ERROR, PRECISION_BITS, Decoded, Decoding, Encoding
from verifier.probe.device import Device
from verifier.probe.floor import THRESHOLD_BITS
from verifier.probe.record import ProbeRecord, Run

RATIO = 1e-3
"""Relative gap between the bits written and the sum of -log2 p: the coder's rounding is a tenth of it."""
SAME_MEAN = 1e-3
"""Nats between the mean of the run's own scores and that of the step protocol's, over the same tokens."""
SAME_SCORE = 0.02
"""Nats between the two scores of one token: other shapes sum in another order, and a step of training carries that."""


@check(
    "C0-decode",
    title="the score can be decoded from the artifact alone",
    grade=Grade.DECODED,
    rules=("C1", "C2"),
)
def decodes(evidence: Evidence) -> Outcome:
    """Write tokens as bits with the submission's own predictor, and read them in a process that never had them.

    A score is a code length, so a decoder with the artifact alone must be able to make use of it. A script, or a
    `predictor.py` beside it, may expose its predictor, `predictor(artifact, tokenizer, predictions)` under a line
    `ARTIFACT = "its file"`, in the step protocol: `reset()`, `log_probs()` of the next token given all so far,
    `update(token)`. With `--decode N` a sandboxed child codes the first N tokens of the audit's stream with a range
    coder, from the predictor's distributions rounded to multiples of 2^-24. A fresh child, which holds the folder, the
    tokenizer, the artifact and the bits and no shard, decodes them. The audit compares the tokens with the stream that
    it drew, the bits with the sum of -log2 p (within 0.1%), and the run's own scores of the same tokens with the
    predictor's.

    FAIL: a distribution that sums to more than 1.001; bits so few that the stream's entropy leaves a legal predictor
    odds of at most 2^-64; tokens that come out otherwise, twice the same way, from bits that came out the same way
    twice. PASS: all of it agrees. A decoder that stops with an error, runs that do not repeat, and a process that could
    not be kept apart are UNVERIFIED. COMPLIANT never needs it: most submissions expose no predictor.

    Cannot see: tokens past N; what a run does outside its predictor, except that its scores differ (WARN).

    Illegal: distributions that were made with the file of the stream at hand, or that are filled in around the
    realised token. Legal contrast: score-first training on what was decoded (#549) and caches of decoded tokens,
    which the decoder repeats.

    Source: #1017 (the four conditions), #1172 and #1240 (decodability).
    """
    record = evidence.probes
    proof = None if record is None else record.decoding
    if record is None or proof is None:
        return not_applicable("no decode proof was asked for (`--decode N`)")
    if proof.exposed is None:
        return not_applicable(
            "no predictor is exposed: no `def predictor(artifact, tokenizer, predictions)` at the top level of the script, or "
            "of a predictor.py beside it"
        )
    if record.base is None:
        return no_base(record)
    place = Where(proof.exposed.file, proof.exposed.line)
    if proof.why:
        return unverified(proof.why, place)
    return replace(_judge(proof, record, record.base), where=(place,))


def _judge(proof: Decoding, record: ProbeRecord, base: Run) -> Outcome:
    first = proof.encodings[0]
    if first.total is not None:
        return _not_normalized(first.position, first.total, record.device)
    if first.error:
        return unverified(f"the encoder did not finish: {first.error}", **_facts(proof))
    entropy = float(base.stream.code_length_nats()[1 : proof.tokens + 1].sum()) / math.log(2)
    ids = base.stream.ids.astype(np.int64)
    known = Proof(proof, first, proof.decodings[0], entropy, ids)
    if first.bits < entropy - THRESHOLD_BITS:
        return known.too_short()
    if known.wrong_at is not None:
        return known.other_tokens(known.wrong_at)
    if known.decoded.error:
        return unverified(
            f"the decoder stopped after {known.decoded.ids.size - 1:,} of {proof.tokens:,} tokens: {known.decoded.error}",
            try_next="the decoder has the folder, the tokenizer and the artifact: what else the predictor needs "
            "belongs into the artifact",
            **_facts(proof),
        )
    return known.right_tokens(record, base)


def _not_normalized(position: int | None, total: float, device: Device) -> Outcome:
    text = f"the probabilities of all tokens at position {position} sum to {total:.6g}"
    if not math.isfinite(total):
        return unverified(f"{text}, which is no number", position=position)
    if total < 1.0:  # costs the submission, and so proves no gain
        return replace(warned(f"{text}, less than one", position=position, sum=total), rules=("C2",))
    # What the script's own precision may do to log-probabilities down to 2^-24; those below do not add up to much.
    if total <= (1.0 + MASS_ERROR) * math.exp(device.rounding * PRECISION_BITS * math.log(2)):
        return unverified(f"{text}, which rounding may do on this device", position=position, sum=total)
    return replace(failed(text, position=position, sum=total), rules=("C2",))


@dataclass(frozen=True)
class Proof:
    """A finished encoding and what the decoder made of it."""

    record: Decoding
    encoded: Encoding
    decoded: Decoded
    entropy_bits: float
    ids: NDArray[np.int64]

    @property
    def wrong_at(self) -> int | None:
        return self.decoded.first_difference(self.ids)

    def too_short(self) -> Outcome:
        read = self.wrong_at is None and not self.decoded.error
        gain = self.entropy_bits - self.encoded.bits
        why = (
            "and the decoder read them, so the artifact holds the stream"
            if read
            else f"and the decoder could not read them ({self.decoded.error or f'wrong from position {self.wrong_at}'})"
        )
        return replace(
            failed(
                f"{self.encoded.bits:,} bits for {self.record.tokens:,} tokens whose entropy is {self.entropy_bits:,.0f} bits, "
                f"{why}; odds of this from a legal predictor: at most 2^-{gain:,.0f}",
                **_facts(self.record),
                entropy_bits=round(self.entropy_bits, 3),
            ),
            rules=("C1",),
        )

    def other_tokens(self, position: int) -> Outcome:
        facts = _facts(self.record)
        if not self._repeats():
            return unverified(
                f"the decoder left the stream at position {position}, but second runs of encoder and decoder did not "
                f"repeat the first: {self._second()}",
                **facts,
            )
        return replace(
            failed(
                f"the decoder, which has the artifact and all tokens before position {position:,}, reads token "
                f"{int(self.decoded.ids[position])} there, where the encoder wrote "
                f"{int(self.ids[position])}; both repeat it to the bit, so the predictor used more than the past",
                **facts,
                position=position,
            ),
            rules=("C1",),
        )

    def _repeats(self) -> bool:
        """Whether both second runs gave what the first ones gave, so that nothing but their inputs can differ."""
        bits = {encoding.bitstream for encoding in self.record.encodings}
        tokens = {(decoded.ids.tobytes(), decoded.error) for decoded in self.record.decodings}
        twice = len(self.record.encodings) > 1 and len(self.record.decodings) > 1
        return twice and len(bits) == 1 and len(tokens) == 1

    def _second(self) -> str:
        """In what the second runs were not the first ones."""
        encodings, decodings = self.record.encodings, self.record.decodings
        if len(encodings) < 2 or len(decodings) < 2:
            return "they were not made"
        if encodings[1].error:
            return encodings[1].error
        if encodings[0].bitstream != encodings[1].bitstream:
            return "the encoder wrote other bits"
        return decodings[1].error or "the decoder read other tokens"

    def _is_near(self, model_bits: float) -> bool:
        return abs(self.encoded.bits - model_bits) <= RATIO * model_bits + FLUSH_BITS

    def right_tokens(self, record: ProbeRecord, base: Run) -> Outcome:
        facts = _facts(self.record)
        done = f"{self.record.tokens:,} tokens decoded from {len(self.encoded.bitstream):,} bytes and the artifact alone"
        if not self.record.apart:
            return unverified(
                f"{done}, but no namespaces are permitted here to keep encoder and decoder apart",
                try_next="see `pgolf-verify doctor`",
                **facts,
            )
        model_bits = self.encoded.model_bits
        if not (math.isfinite(model_bits) and self._is_near(model_bits)):
            return warned(
                f"{done}, but {self.encoded.bits:,} bits are not the predictor's own sum of -log2 p, {model_bits:,.1f}",
                **facts,
            )
        head = record.headline_pass(base)
        if head is None or not head.reconciled or not head.final:
            why = (
                "are not known token by token"
                if base.finished
                else f"never came: {base.status}, {base.reason}"
            )
            return unverified(f"{done}, but the run's own scores {why}", **facts)
        own = head.committed(base.stream.ids.size).values[1 : self.record.tokens + 1]
        scored = ~np.isnan(own)
        if not scored.any():
            return unverified(f"{done}, but {head.label} scored none of them", **facts)
        gap = self.encoded.nats[scored] - own[scored]
        facts |= {
            "label": head.label,
            "compared_tokens": int(scored.sum()),
            "mean_gap_nats": float(gap.mean()),
            "largest_gap_nats": float(np.abs(gap).max()),
        }
        compared = (
            f"{head.label} and the step protocol differ by {gap.mean():+.1e} nats a token in the mean, "
            f"{np.abs(gap).max():.1e} at most ({int(scored.sum()):,} tokens)"
        )
        if not (abs(gap.mean()) <= SAME_MEAN and np.abs(gap).max() <= SAME_SCORE):
            return warned(f"{done}, but it is another score: {compared}", **facts)
        return passed(
            f"{done}: {self.encoded.bits:,} bits, sum of -log2 p {model_bits:,.1f} "
            f"({self.encoded.bits / model_bits - 1:+.3%}); {compared}",
            **facts,
        )


def _facts(proof: Decoding) -> dict[str, Json]:
    first = proof.encodings[0]
    return {
        "tokens": proof.tokens,
        "artifact_bytes": proof.artifact_bytes,
        "bitstream_bytes": len(first.bitstream),
        "bits": first.bits,
        "model_bits": round(first.model_bits, 3) if math.isfinite(first.model_bits) else None,
        "encode_seconds": round(first.seconds, 3),
        "decode_seconds": round(proof.decodings[0].seconds, 3) if proof.decodings else None,
    }
