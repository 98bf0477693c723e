"""The one place that ranks findings: `decide(findings) -> Verdict`.

Exit code, terminal, JSON and Markdown all come from its result. The rules of the ranking:

- any FAIL is NON_COMPLIANT, whatever else passed;
- an ERROR, an UNRULED behaviour, a WARN that is not listed as advisory, or a requirement that is not
  met is NEEDS_REVIEW;
- COMPLIANT needs every requirement of the policy to be met by a PASS of the stated grade. Absent
  evidence is not a PASS: a folder whose script was never run has no probed finding and so can never
  be COMPLIANT, and UNVERIFIED on a required check withdraws what another finding of that check gave.

What it cannot see: whether a check is right. It believes each finding's state and grade.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from verifier.finding import Finding, Grade, State

GRADE_ORDER: tuple[Grade, ...] = tuple(Grade)
"""Weakest first, as `Grade` lists them."""


class Call(StrEnum):
    """What the audit says about the folder as a whole."""

    COMPLIANT = "COMPLIANT"
    NON_COMPLIANT = "NON_COMPLIANT"
    NEEDS_REVIEW = "NEEDS_REVIEW"


EXIT_CODES: dict[Call, int] = {Call.COMPLIANT: 0, Call.NON_COMPLIANT: 1, Call.NEEDS_REVIEW: 3}
"""2 is a usage error and 130 an interrupt; neither is a verdict."""


@dataclass(frozen=True)
class Requirement:
    """Evidence that COMPLIANT cannot do without."""

    name: str
    """What was shown when it is met, in words that fit `no evidence that …`."""
    any_of: tuple[str, ...]
    """Check ids. One of them must PASS at `grade` or better and have no UNVERIFIED beside it."""
    grade: Grade
    may_not_apply: bool = False
    """True where NOT_APPLICABLE from one of the checks is an answer, not an absence."""


@dataclass(frozen=True)
class Policy:
    """What is required, and which warnings are only advice. Data, so that a change is one line."""

    requirements: tuple[Requirement, ...] = ()
    advisory: frozenset[str] = frozenset()
    """Checks whose WARN is a practice that merged records share: shown, and never a reason."""


POLICY = Policy(
    requirements=(
        Requirement("no score beats the exact entropy of a secret stream", ("E1-floor",), Grade.PROBED),
        Requirement("no score moves when a later token changes", ("C1-flip",), Grade.PROBED),
        Requirement("every position is scored exactly once", ("M2-ledger",), Grade.PROBED),
        Requirement("the byte count of the reported BPB is right", ("M1-denominator",), Grade.LOG),
        Requirement("the artifact is within 16,000,000 bytes", ("A1-artifact",), Grade.STATIC),
    ),
    advisory=frozenset(),
)


@dataclass(frozen=True, order=True)
class Reason:
    """One line of why the verdict is what it is."""

    check: str
    """The check, or the checks that would have met a requirement."""
    state: State
    text: str


@dataclass(frozen=True)
class Verdict:
    call: Call
    reasons: tuple[Reason, ...] = ()
    """Why it is not COMPLIANT, sorted by check; empty when it is."""
    grade: Grade | None = None
    """NON_COMPLIANT: of the strongest FAIL. COMPLIANT: of the weakest requirement. Else None."""
    counts: dict[State, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.call]


def decide(findings: Iterable[Finding], policy: Policy = POLICY) -> Verdict:
    """Rank the findings. Pure; the order of the findings does not matter."""
    found = tuple(findings)
    tally = Counter(finding.state for finding in found)
    counts = {state: tally[state] for state in State if tally[state]}

    fails = [finding for finding in found if finding.state is State.FAIL]
    if fails:
        strongest = max((finding.grade for finding in fails), key=GRADE_ORDER.index)
        return Verdict(Call.NON_COMPLIANT, _because(fails), strongest, counts)

    met = {requirement: _met_at(requirement, found) for requirement in policy.requirements}
    open_findings = [finding for finding in found if _needs_a_reader(finding, policy)]
    missing = [_missing(requirement, found) for requirement, grade in met.items() if grade is None]
    if open_findings or missing or not policy.requirements:
        return Verdict(Call.NEEDS_REVIEW, tuple(sorted({*_because(open_findings), *missing})), None, counts)

    weakest = min((grade for grade in met.values() if grade is not None), key=GRADE_ORDER.index)
    return Verdict(Call.COMPLIANT, (), weakest, counts)


def _needs_a_reader(finding: Finding, policy: Policy) -> bool:
    if finding.state is State.WARN:
        return finding.check not in policy.advisory
    return finding.state in (State.ERROR, State.UNRULED)


def _met_at(requirement: Requirement, findings: tuple[Finding, ...]) -> Grade | None:
    """The best grade at which the requirement is met, or None."""
    unsure = {finding.check for finding in findings if finding.state is State.UNVERIFIED}
    answers = [
        finding.grade
        for finding in findings
        if finding.check in requirement.any_of
        and finding.check not in unsure
        and (
            (finding.state is State.PASS and _at_least(finding.grade, requirement.grade))
            or (finding.state is State.NOT_APPLICABLE and requirement.may_not_apply)
        )
    ]
    return max(answers, key=GRADE_ORDER.index, default=None)


def _at_least(grade: Grade, wanted: Grade) -> bool:
    return GRADE_ORDER.index(grade) >= GRADE_ORDER.index(wanted)


def _missing(requirement: Requirement, findings: tuple[Finding, ...]) -> Reason:
    """Say which evidence is missing, in the words of the check that could not give it."""
    unsure = sorted(
        finding.message
        for finding in findings
        if finding.check in requirement.any_of and finding.state is State.UNVERIFIED
    )
    why = f": {unsure[0]}" if unsure else ""
    return Reason(
        " or ".join(requirement.any_of), State.UNVERIFIED, f"no evidence that {requirement.name}{why}"
    )


def _because(findings: Iterable[Finding]) -> tuple[Reason, ...]:
    return tuple(sorted({Reason(finding.check, finding.state, finding.message) for finding in findings}))
