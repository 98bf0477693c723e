"""`decide` ranks findings: examples for each rule; tests/properties has what holds of any findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from verifier.finding import Finding, Grade, State
from verifier.verdict import POLICY, Call, Policy, Requirement, decide

SMALL = Policy(
    requirements=(
        Requirement("it was probed", ("R1",), Grade.PROBED),
        Requirement("either of two was logged", ("R2", "R3"), Grade.LOG),
        Requirement("it fits where it applies", ("R4",), Grade.STATIC, may_not_apply=True),
    ),
    advisory=frozenset({("X-advice", "C1")}),
)


def finding(check: str, state: State, grade: Grade = Grade.PROBED, message: str = "") -> Finding:
    return Finding(check, f"title of {check}", ("C1",), state, grade, message)


def passing(policy: Policy = POLICY) -> list[Finding]:
    return [finding(requirement.any_of[0], State.PASS) for requirement in policy.requirements]


def test_all_required_evidence_passing_is_compliant() -> None:
    verdict = decide(passing())
    assert (verdict.call, verdict.exit_code, verdict.reasons) == (Call.COMPLIANT, 0, ())


def test_no_findings_at_all_needs_review() -> None:
    verdict = decide([])
    assert verdict.call is Call.NEEDS_REVIEW
    assert verdict.exit_code == 3
    assert len(verdict.reasons) == len(POLICY.requirements)


def test_one_fail_outweighs_every_pass() -> None:
    verdict = decide([*passing(), finding("Z9-any", State.FAIL, Grade.LOG, "16,000,001 bytes")])
    assert (verdict.call, verdict.exit_code, verdict.grade) == (Call.NON_COMPLIANT, 1, Grade.LOG)
    assert [reason.text for reason in verdict.reasons] == ["16,000,001 bytes"]


@pytest.mark.parametrize("state", [State.ERROR, State.UNRULED, State.WARN])
def test_an_open_question_blocks_compliant(state: State) -> None:
    verdict = decide([*passing(), finding("Z9-any", state)])
    assert verdict.call is Call.NEEDS_REVIEW
    assert [reason.check for reason in verdict.reasons] == ["Z9-any"]


def test_source_that_was_only_read_warns_and_decides_nothing() -> None:
    warning = finding("Z9-any", State.WARN, Grade.STATIC)
    assert decide([*passing(), warning]).call is Call.COMPLIANT
    assert decide([warning]).call is Call.NEEDS_REVIEW
    assert decide([*passing(), finding("Z9-any", State.ERROR, Grade.STATIC)]).call is Call.NEEDS_REVIEW


@pytest.mark.parametrize("state", [State.UNVERIFIED, State.NOT_APPLICABLE, State.PASS])
def test_a_check_that_is_not_required_may_stay_silent(state: State) -> None:
    assert decide([*passing(), finding("Z9-any", state)]).call is Call.COMPLIANT


def test_an_advisory_warning_does_not_block() -> None:
    assert decide([*passing(SMALL), finding("X-advice", State.WARN)], SMALL).call is Call.COMPLIANT


def test_a_warning_that_cites_another_rule_too_blocks() -> None:
    both = replace(finding("X-advice", State.WARN), rules=("C1", "C3"))
    none = replace(both, rules=())
    assert decide([*passing(SMALL), both], SMALL).call is Call.NEEDS_REVIEW
    assert decide([*passing(SMALL), none], SMALL).call is Call.NEEDS_REVIEW


def test_an_advisory_check_that_raised_still_blocks() -> None:
    assert decide([*passing(SMALL), finding("X-advice", State.ERROR)], SMALL).call is Call.NEEDS_REVIEW


@pytest.mark.parametrize("requirement", POLICY.requirements, ids=lambda requirement: requirement.any_of[0])
def test_each_requirement_is_needed(requirement: Requirement) -> None:
    verdict = decide([each for each in passing() if each.check not in requirement.any_of])
    assert verdict.call is Call.NEEDS_REVIEW
    assert [reason.check for reason in verdict.reasons] == [" or ".join(requirement.any_of)]


def test_documents_alone_are_never_compliant() -> None:
    documents = [replace(each, grade=Grade.LOG) for each in passing()]
    assert decide(documents).call is Call.NEEDS_REVIEW


def test_a_required_pass_beside_an_unverified_of_the_same_check_is_not_enough() -> None:
    verdict = decide([*passing(), finding("E1-floor", State.UNVERIFIED, message="stream 2 did not finish")])
    assert verdict.call is Call.NEEDS_REVIEW
    assert [reason.check for reason in verdict.reasons] == ["E1-floor"]


def test_an_alternative_may_speak_for_a_silent_check() -> None:
    found = [each for each in passing(SMALL) if each.check != "R2"]
    assert decide([*found, finding("R2", State.UNVERIFIED), finding("R3", State.PASS)], SMALL).call is (
        Call.COMPLIANT
    )


def test_not_applicable_answers_only_where_the_policy_says_so() -> None:
    found = [each for each in passing(SMALL) if each.check != "R4"]
    assert decide([*found, finding("R4", State.NOT_APPLICABLE)], SMALL).call is Call.COMPLIANT
    found = [each for each in passing(SMALL) if each.check != "R1"]
    assert decide([*found, finding("R1", State.NOT_APPLICABLE)], SMALL).call is Call.NEEDS_REVIEW


def test_the_grade_of_a_compliant_verdict_is_the_weakest_of_what_was_executed() -> None:
    by_log = [finding("R2", State.PASS, Grade.LOG), finding("R4", State.PASS, Grade.STATIC)]
    assert decide([*by_log, finding("R1", State.PASS, Grade.PROBED)], SMALL).grade is Grade.PROBED
    assert decide([*by_log, finding("R1", State.PASS, Grade.DECODED)], SMALL).grade is Grade.DECODED


def test_a_policy_that_requires_nothing_cannot_bless() -> None:
    assert decide([finding("R1", State.PASS)], Policy()).call is Call.NEEDS_REVIEW
