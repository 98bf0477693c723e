"""N0: two runs on the same stream, the noise floor of every comparison."""

from __future__ import annotations

from verifier.checks import check
from verifier.checks.probe_base import no_base
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, passed, unverified, warned
from verifier.probe.dirty import noise_nats


@check("N0-null", title="two runs on the same stream agree", grade=Grade.PROBED, rules=("R-086",))
def null_run(evidence: Evidence) -> Outcome:
    """Run the script twice on the same stream and compare all scores of the reported pass.

    The clock is virtual, the hash seed is fixed, one thread is used and each run has private temporary
    folders, so an honest script repeats to the bit and a flip needs no tolerance.

    PASS: bit-equal. WARN: not; comparisons then have a noise floor, and a flip cannot FAIL.

    Cannot see: randomness that only a GPU brings.

    Source: the causality checks of #1240 had no null run on the submission itself; this is the repair.
    """
    record = evidence.probes
    if record is None or record.base is None:
        return no_base(record)
    head = record.headline_pass(record.base)
    noise = None if head is None else noise_nats(record, record.base, head)
    if head is None or noise is None:
        return unverified("no second run on the same stream reached the reported number")
    if noise == 0.0:
        return passed(
            f"bit-equal: {head.label} of two runs on the same stream", label=head.label, noise_nats=0.0
        )
    finite = noise if noise < float("inf") else None
    return warned(
        f"two runs on the same stream differ by up to {noise:.3g} nats ({head.label})",
        label=head.label,
        noise_nats=finite,
    )
