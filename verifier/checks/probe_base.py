"""What the probe checks share: is there a base run, and which lines of the script belong to a pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from verifier.evidence import Evidence
from verifier.finding import Outcome, Where, unverified
from verifier.probe.passes import Pass
from verifier.probe.record import ProbeRecord, Run

_ABSENT = re.compile(r"No module named '(\w+)")


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
        try_next=_next_step(reasons),
        attempts=list(record.attempts),
    )


def _next_step(reasons: Sequence[str]) -> str:
    absent = next((found[1] for found in map(_ABSENT.search, reasons) if found), None)
    if absent is not None:
        return (
            f"a module of the submission's own belongs into its folder; for a public package, install {absent} "
            "where pgolf-verify is installed, and audit again"
        )
    return "the report lists the environment and substitutions of the run; see `pgolf-verify doctor`"


class Head(NamedTuple):
    """The run that all others are compared with, and its pass behind the claim, score by score."""

    record: ProbeRecord
    base: Run
    reported: Pass


def captured_head(evidence: Evidence, unknown: str) -> Head | Outcome:
    """The reported pass with its scores, or UNVERIFIED with the reason; `unknown` says what cannot be told then."""
    record = evidence.probes
    if record is None or record.base is None:
        return no_base(record)
    reported = record.headline_pass(record.base)
    if reported is None or not reported.reconciled:
        label = "none" if reported is None else reported.label
        return unverified(
            f"the scores behind the reported number ({label}) could not be captured, so {unknown}"
        )
    return Head(record, record.base, reported)


def stage_where(evidence: Evidence, run: Run, reported: Pass | None) -> tuple[Where, ...]:
    """The line that committed the scores of a pass."""
    if reported is None or not reported.scores:
        return ()
    return (site_where(evidence, run, reported.scores[-1].site),)


def site_where(evidence: Evidence, run: Run, site: int) -> Where:
    return run.tape.where(site, evidence.submission.script)
