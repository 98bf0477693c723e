"""What the probe checks share: is there a base run, and which lines of the script belong to a pass."""

from __future__ import annotations

from verifier.evidence import Evidence
from verifier.finding import Outcome, Where, unverified
from verifier.probe.passes import Pass
from verifier.probe.record import ProbeRecord, Run


def no_base(record: ProbeRecord | None) -> Outcome:
    """UNVERIFIED, with the reason why there is no run to look at."""
    if record is None:
        return unverified("no probe was run", try_next="audit with `--level probes`")
    reasons = [*record.attempts]
    if record.runs and not reasons:
        reasons = [
            f"{run.name}: {run.status}: {run.reason or 'no loss was printed'}" for run in record.runs[:1]
        ]
    return unverified(
        f"the script did not reach a reported number at audit scale: {'; '.join(reasons) or 'no run was made'}",
        try_next="the report lists the environment and substitutions of the run; see `pgolf-verify doctor`",
        attempts=list(record.attempts),
    )


def stage_where(evidence: Evidence, run: Run, reported: Pass | None) -> tuple[Where, ...]:
    """The line that committed the scores of a pass."""
    if reported is None or not reported.scores:
        return ()
    return (site_where(evidence, run, reported.scores[-1].site),)


def site_where(evidence: Evidence, run: Run, site: int) -> Where:
    return run.tape.where(site, evidence.submission.script)
