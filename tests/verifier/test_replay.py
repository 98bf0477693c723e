"""A replay agrees when the state is the same and every number is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.verifier.report import samples
from verifier.finding import Finding, State
from verifier.replay import AGREEMENT, compare, replayable_checks

FLOOR = samples.FLOOR_FAIL


def compared(*replayed: Finding) -> bool:
    comparisons = compare(samples.report(FLOOR), samples.report(*replayed), "E1-floor")
    return all(comparison.agrees for comparison in comparisons)


def with_bits(bits: float) -> Finding:
    return replace(FLOOR, evidence={**FLOOR.evidence, "gain_bits": bits, "p_value_log2": -bits})


def test_the_same_finding_agrees() -> None:
    assert compared(FLOOR)


@pytest.mark.parametrize(("factor", "agrees"), [(1 + AGREEMENT / 2, True), (1 - AGREEMENT * 2, False)])
def test_numbers_agree_within_the_tolerance(factor: float, agrees: bool) -> None:
    assert compared(with_bits(31844.0 * factor)) is agrees


@pytest.mark.parametrize("state", [state for state in State if state is not State.FAIL])
def test_another_state_differs(state: State) -> None:
    assert not compared(replace(FLOOR, state=state))


def test_a_check_that_falls_silent_differs() -> None:
    assert not compared(samples.FLIP_FAIL)


def test_a_number_that_is_gone_differs() -> None:
    assert not compared(replace(FLOOR, evidence={}))


def test_a_clock_is_not_compared() -> None:
    timed = [replace(FLOOR, evidence={"probe_seconds": value, "train_ms": value}) for value in (1.0, 9.0)]
    (comparison,) = compare(samples.report(timed[0]), samples.report(timed[1]), "E1-floor")
    assert comparison.agrees
    assert comparison.pairs == ()


def test_findings_of_one_check_are_compared_in_their_order() -> None:
    two = (FLOOR, with_bits(7.0))
    comparisons = compare(samples.report(*two), samples.report(*reversed(two)), "E1-floor")
    assert [comparison.agrees for comparison in comparisons] == [False, False]
    assert len(compare(samples.report(*two), samples.report(FLOOR), "E1-floor")) == 2


def test_fails_are_replayed_first_and_each_check_once() -> None:
    passing = samples.finding("A0-first", "t", State.PASS, "m", replayable=True)
    report = samples.report(passing, samples.SLOT_WARN, FLOOR, FLOOR, samples.FLIP_FAIL)
    assert replayable_checks(report) == ("E1-floor", "C1-flip", "A0-first")
