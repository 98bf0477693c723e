"""The one place that ranks findings: `decide(findings) -> Verdict`.

Exit code, terminal, JSON and Markdown all come from its result. The rules of the ranking:

- any FAIL is NON_COMPLIANT, whatever else passed;
- an ERROR, an UNRULED behaviour, a WARN that is not advisory, or a requirement that is not met is
  NEEDS_REVIEW. A WARN is advisory where the policy lists its check, and where it rests on nothing but the
  text of the source: what the script does when it runs is decided by what was measured;
- COMPLIANT needs every requirement of the policy to be met by a PASS of the stated grade. Absent
  evidence is not a PASS: a folder whose script was never run has no probed finding and so can never
  be COMPLIANT, and UNVERIFIED on a required check withdraws what another finding of that check gave.

What it cannot see: whether a check is right. It believes each finding's state and grade.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
        Requirement("scores stay above the exact entropy of a secret stream", ("E1-floor",), Grade.PROBED),
        Requirement("a later token never moves an earlier score", ("C1-flip",), Grade.PROBED),
        Requirement("probabilities sum to one", ("C2-mass",), Grade.PROBED),
        Requirement("every position is scored exactly once", ("C4-ledger",), Grade.PROBED),
        Requirement("the run reached the claimed number", ("N1-reached",), Grade.PROBED),
        Requirement("the byte count behind the claim is right", ("B1-denominator",), Grade.LOG),
        Requirement("the claim is what the logs say", ("B2-claim",), Grade.LOG),
        Requirement("the whole validation split is scored", ("D2-split",), Grade.LOG),
        Requirement("code and model fit in 16,000,000 bytes", ("A1-artifact",), Grade.LOG),
        Requirement("training kept to its time", ("T1-training",), Grade.LOG, may_not_apply=True),
        Requirement("evaluation kept to its time", ("T2-evaluation",), Grade.LOG, may_not_apply=True),
    ),
    advisory=frozenset(
        {
            "A1-artifact",  # raw code counted compressed is over the cap as shipped: merged from #1530 on
        }
    ),
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
    """NON_COMPLIANT: of the strongest FAIL. COMPLIANT: the weakest among the requirements that ask for the
    strongest evidence (what was executed, not what was counted). NEEDS_REVIEW: None."""

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.call]


def decide(findings: Iterable[Finding], policy: Policy = POLICY) -> Verdict:
    """Rank the findings. Pure; the order of the findings does not matter."""
    found = tuple(findings)

    fails = [finding for finding in found if finding.state is State.FAIL]
    if fails:
        strongest = max((finding.grade for finding in fails), key=GRADE_ORDER.index)
        return Verdict(Call.NON_COMPLIANT, _because(fails), strongest)

    met = {requirement: _met_at(requirement, found) for requirement in policy.requirements}
    open_findings = [finding for finding in found if _needs_a_reader(finding, policy)]
    missing = [_missing(requirement, found) for requirement, grade in met.items() if grade is None]
    if open_findings or missing or not policy.requirements:
        return Verdict(Call.NEEDS_REVIEW, tuple(sorted({*_because(open_findings), *missing})))

    hardest = max((requirement.grade for requirement in met), key=GRADE_ORDER.index)
    grades = [grade for requirement, grade in met.items() if grade and requirement.grade is hardest]
    weakest = min(grades, key=GRADE_ORDER.index)
    return Verdict(Call.COMPLIANT, (), weakest)


def _needs_a_reader(finding: Finding, policy: Policy) -> bool:
    if finding.state is State.WARN:
        return finding.check not in policy.advisory and finding.grade is not Grade.STATIC
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
    ran = any(finding.check in requirement.any_of for finding in findings)
    text = f"no evidence that {requirement.name}" + ("" if ran else " (the check did not run)")
    return Reason(" or ".join(requirement.any_of), State.UNVERIFIED, text)


def _because(findings: Iterable[Finding]) -> tuple[Reason, ...]:
    return tuple(sorted({Reason(finding.check, finding.state, finding.message) for finding in findings}))
