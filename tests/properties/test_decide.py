"""The verdict follows its written rule: monotone, blind to order, and UNVERIFIED never counts as PASS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.profile import assert_refuted, examples
from verifier.finding import Finding, Grade, State
from verifier.verdict import GRADE_ORDER, POLICY, Call, Policy, Requirement, Verdict, decide

Decide = Callable[[Sequence[Finding], Policy], Verdict]
RANK = {Call.NON_COMPLIANT: 0, Call.NEEDS_REVIEW: 1, Call.COMPLIANT: 2}
CHECKS = ("R1", "R2", "R3", "R4", "X-advice")
GRADES = st.sampled_from(Grade)
POLICIES = st.just(POLICY) | st.builds(
    Policy,
    st.lists(
        st.builds(
            Requirement,
            st.sampled_from(["it was probed", "it fits"]),
            st.lists(st.sampled_from(CHECKS), min_size=1, max_size=2, unique=True).map(tuple),
            GRADES,
            st.booleans(),
        ),
        max_size=4,
    ).map(tuple),
    st.frozensets(st.tuples(st.sampled_from(CHECKS), st.sampled_from(["C1", "C3"])), max_size=3),
)


def known(policy: Policy) -> list[str]:
    required = {check for each in policy.requirements for check in each.any_of}
    return sorted(required | {check for check, _ in policy.advisory} | {"Z9-any"})


def passing(policy: Policy) -> list[Finding]:
    """What makes a submission COMPLIANT."""
    return [
        Finding(each.any_of[0], "t", ("C1",), State.PASS, Grade.DECODED, "shown")
        for each in policy.requirements
    ]


def findings(policy: Policy) -> st.SearchStrategy[Finding]:
    rules = st.sampled_from([("C1",), ("C1", "C3"), ("C3",), ()])
    return st.builds(
        Finding,
        st.sampled_from(known(policy)),
        st.just("t"),
        rules,
        st.sampled_from(State),
        GRADES,
        st.sampled_from(["", "a"]),
    )


@st.composite
def nearly_compliant(draw: st.DrawFn, policy: Policy) -> list[Finding]:
    """What makes a submission COMPLIANT, after at most two changes: another state or grade, or a finding more."""
    found = passing(policy)
    for _ in range(draw(st.integers(0, 2))):
        if found and draw(st.booleans()):
            at = draw(st.integers(0, len(found) - 1))
            found[at] = replace(found[at], state=draw(st.sampled_from(State)), grade=draw(GRADES))
        else:
            found.append(draw(findings(policy)))
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[Policy, list[Finding], Finding, list[Finding]]:
    """A policy, findings that are often a step from COMPLIANT, one finding more, and all in another order."""
    policy = draw(POLICIES)
    found = draw(nearly_compliant(policy) | st.lists(findings(policy), max_size=8))
    return policy, found, draw(findings(policy)), draw(st.permutations(found))


Case = tuple[Policy, list[Finding], Finding, list[Finding]]


def check_order(decide: Decide, case: Case) -> None:
    policy, found, _, shuffled = case
    assert decide(shuffled, policy) == decide(found, policy)


def check_monotone(decide: Decide, case: Case) -> None:
    policy, found, extra, _ = case

    def rank(*more: Finding) -> int:
        return RANK[decide([*found, *more], policy).call]

    def with_state(state: State) -> int:
        return rank(replace(extra, state=state))

    assert with_state(State.FAIL) == RANK[Call.NON_COMPLIANT] <= rank() <= with_state(State.PASS)
    for state in (State.WARN, State.UNVERIFIED, State.UNRULED, State.ERROR):
        assert with_state(state) <= rank()
    for state in State:
        if state is not State.NOT_APPLICABLE:
            assert with_state(state) <= with_state(State.PASS)
    stronger = GRADE_ORDER[GRADE_ORDER.index(extra.grade) :]
    weaker = replace(extra, state=State.PASS)
    assert all(rank(replace(weaker, grade=grade)) >= rank(weaker) for grade in stronger)


def check_unverified(decide: Decide, case: Case) -> None:
    """Evidence that is missing gives nothing: without the UNVERIFIED findings the verdict is as good or better."""
    policy, found, extra, _ = case
    for each in (found, [*found, replace(extra, state=State.UNVERIFIED)]):
        verified = [finding for finding in each if finding.state is not State.UNVERIFIED]
        assert RANK[decide(each, policy).call] <= RANK[decide(verified, policy).call]
        withdrawn = {finding.check for finding in each if finding.state is State.UNVERIFIED}
        if decide(each, policy).call is Call.COMPLIANT:
            assert all(set(requirement.any_of) - withdrawn for requirement in policy.requirements)
    nothing_known = [replace(finding, state=State.UNVERIFIED) for finding in found]
    assert decide(nothing_known, policy).call is Call.NEEDS_REVIEW


def check_rule(decide: Decide, case: Case) -> None:
    """The rule of verifier/verdict.py, written a second time."""
    policy, found, _, _ = case
    states = [finding.state for finding in found]
    if State.FAIL in states:
        expected = Call.NON_COMPLIANT
    elif (
        policy.requirements
        and not {State.ERROR, State.UNRULED} & set(states)
        and all(advisory(finding, policy) for finding in found if finding.state is State.WARN)
        and all(met(requirement, found) for requirement in policy.requirements)
    ):
        expected = Call.COMPLIANT
    else:
        expected = Call.NEEDS_REVIEW
    verdict = decide(found, policy)
    assert verdict.call is expected
    if policy.requirements:
        assert (verdict.call is Call.COMPLIANT) == (verdict.reasons == ())


def advisory(finding: Finding, policy: Policy) -> bool:
    if finding.grade is Grade.STATIC:
        return True
    return finding.rules != () and all((finding.check, rule) in policy.advisory for rule in finding.rules)


def met(requirement: Requirement, found: list[Finding]) -> bool:
    for check in requirement.any_of:
        said = [finding for finding in found if finding.check == check]
        if any(finding.state is State.UNVERIFIED for finding in said):
            continue
        for finding in said:
            order = list(Grade)
            strong = order.index(finding.grade) >= order.index(requirement.grade)
            if finding.state is State.PASS and strong:
                return True
            if finding.state is State.NOT_APPLICABLE and requirement.may_not_apply:
                return True
    return False


@examples(150)
@given(case=cases())
def test_the_order_of_findings_does_not_matter(case: Case) -> None:
    check_order(decide, case)


@examples(150)
@given(case=cases())
def test_more_evidence_against_never_helps_and_more_for_never_hurts(case: Case) -> None:
    check_monotone(decide, case)


@examples(150)
@given(case=cases())
def test_unverified_never_counts_as_pass(case: Case) -> None:
    check_unverified(decide, case)


@examples(400)
@given(case=cases())
def test_the_verdict_is_the_written_rule(case: Case) -> None:
    check_rule(decide, case)


def seen_as(change: Callable[[Finding], Finding | None]) -> Decide:
    """A `decide` that takes each finding for another one, or does not see it."""

    def changed(found: Sequence[Finding], policy: Policy) -> Verdict:
        return decide([each for each in map(change, found) if each is not None], policy)

    return changed


def first_of_each_check(found: Sequence[Finding], policy: Policy) -> Verdict:
    return decide(list({each.check: each for each in reversed(found)}.values()), policy)


def majority(found: Sequence[Finding], policy: Policy) -> Verdict:
    fails = [each for each in found if each.state is State.FAIL]
    return decide(
        [each for each in found if each not in fails] if 2 * len(fails) < len(found) else found, policy
    )


def reasons_in_order(found: Sequence[Finding], policy: Policy) -> Verdict:
    verdict = decide(found, policy)
    return replace(verdict, grade=found[0].grade if found else None)


def blesses_silence(found: Sequence[Finding], policy: Policy) -> Verdict:
    ran = {each.check for each in found if each.state is not State.UNVERIFIED}
    return decide(
        found, replace(policy, requirements=tuple(r for r in policy.requirements if ran & set(r.any_of)))
    )


def when(state: State, becomes: State | None) -> Decide:
    return seen_as(lambda each: each if each.state is not state else becomes and replace(each, state=becomes))


ILLEGAL: dict[str, tuple[Decide, Callable[[Decide, Case], None]]] = {
    "takes UNVERIFIED for PASS": (when(State.UNVERIFIED, State.PASS), check_unverified),
    "does not see UNVERIFIED": (when(State.UNVERIFIED, None), check_rule),
    "does not see ERROR": (when(State.ERROR, None), check_rule),
    "does not see WARN": (when(State.WARN, None), check_rule),
    "takes NOT_APPLICABLE for PASS": (when(State.NOT_APPLICABLE, State.PASS), check_rule),
    "takes every grade for the strongest": (
        seen_as(lambda each: replace(each, grade=Grade.DECODED)),
        check_rule,
    ),
    "takes WARN for FAIL": (when(State.WARN, State.FAIL), check_rule),
    "the first finding of a check decides": (first_of_each_check, check_monotone),
    "the first finding of a check decides, by order": (first_of_each_check, check_order),
    "passes outvote a FAIL": (majority, check_monotone),
    "the grade of whatever came first": (reasons_in_order, check_order),
    "requires only of checks that ran": (blesses_silence, check_unverified),
}


@pytest.mark.mutant
@pytest.mark.parametrize("name", ILLEGAL)
def test_another_way_to_decide_is_caught(name: str) -> None:
    other, check = ILLEGAL[name]
    assert_refuted(lambda case: check(other, case), case=cases())
