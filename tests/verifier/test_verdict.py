"""`decide` ranks findings: examples for each rule, then the properties that must hold for all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.finding import Finding, Grade, State
from verifier.verdict import GRADE_ORDER, POLICY, Call, Policy, Requirement, decide

RANK = {Call.NON_COMPLIANT: 0, Call.NEEDS_REVIEW: 1, Call.COMPLIANT: 2}
SMALL = Policy(
    requirements=(
        Requirement("it was probed", ("R1",), Grade.PROBED),
        Requirement("either of two was logged", ("R2", "R3"), Grade.LOG),
        Requirement("it fits where it applies", ("R4",), Grade.STATIC, may_not_apply=True),
    ),
    advisory=frozenset({"X-advice"}),
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


findings = st.builds(
    finding,
    st.sampled_from(["R1", "R2", "R3", "R4", "X-advice", "Z9-any"]),
    st.sampled_from(State),
    st.sampled_from(Grade),
    st.sampled_from(["", "a", "b"]),
)
found_lists = st.lists(findings, max_size=8) | st.lists(findings, max_size=3).map(
    lambda extra: [*passing(SMALL), *extra]
)


def rank(found: list[Finding]) -> int:
    return RANK[decide(found, SMALL).call]


@given(found_lists, findings)
def test_adding_a_fail_never_improves(found: list[Finding], extra: Finding) -> None:
    assert rank([*found, replace(extra, state=State.FAIL)]) == RANK[Call.NON_COMPLIANT] <= rank(found)


@given(found_lists, findings)
def test_adding_a_pass_never_worsens(found: list[Finding], extra: Finding) -> None:
    assert rank([*found, replace(extra, state=State.PASS)]) >= rank(found)


@given(found_lists, findings, st.sampled_from([s for s in State if s is not State.PASS]))
def test_only_pass_or_not_applicable_can_improve(found: list[Finding], extra: Finding, state: State) -> None:
    if state is not State.NOT_APPLICABLE:
        assert rank([*found, replace(extra, state=state)]) <= rank(found)


@given(found_lists, st.randoms())
def test_order_does_not_matter(found: list[Finding], random) -> None:
    shuffled = random.sample(found, len(found))
    assert decide(shuffled, SMALL) == decide(found, SMALL)


@given(found_lists, findings)
def test_replacing_unverified_by_pass_never_worsens(found: list[Finding], extra: Finding) -> None:
    before = [*found, replace(extra, state=State.UNVERIFIED)]
    assert rank([*found, replace(extra, state=State.PASS)]) >= rank(before)


@given(found_lists, findings, st.sampled_from(State))
def test_replacing_pass_by_anything_never_improves(
    found: list[Finding], extra: Finding, state: State
) -> None:
    at_grade = replace(extra, grade=Grade.DECODED)
    before = rank([*found, replace(at_grade, state=State.PASS)])
    assert rank([*found, replace(at_grade, state=state)]) <= before


@given(found_lists, findings, st.sampled_from(Grade))
def test_a_stronger_pass_never_worsens(found: list[Finding], extra: Finding, grade: Grade) -> None:
    weaker, stronger = sorted((extra.grade, grade), key=GRADE_ORDER.index)
    before = rank([*found, replace(extra, state=State.PASS, grade=weaker)])
    assert rank([*found, replace(extra, state=State.PASS, grade=stronger)]) >= before


@given(found_lists)
def test_compliant_means_no_fail_no_error_and_every_requirement_passed(found: list[Finding]) -> None:
    verdict = decide(found, SMALL)
    states = {each.state for each in found}
    assert (verdict.call is Call.NON_COMPLIANT) == (State.FAIL in states)
    if verdict.call is Call.COMPLIANT:
        assert not states & {State.FAIL, State.ERROR, State.UNRULED}
        assert any(each.check == "R1" and each.state is State.PASS for each in found)
        assert verdict.grade is not None
    else:
        assert verdict.reasons
