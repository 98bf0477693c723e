"""Is one submission a record over another: the answer by each rule, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.verifier.report import samples
from verifier.challenge import Answer, challenge
from verifier.finding import Grade, State
from verifier.report.model import Report
from verifier.seedrun import SeedRun
from verifier.verdict import Call, decide

SP1024, CASEOPS = 2.4359 * math.log(2), 3.1573 * math.log(2)
"""Nats a token that one bit per byte stands for."""
HOLDER = (1.0800, 1.0810, 1.0805)
STATIC_WARN = samples.finding(
    "X01-target-key", "a table", State.WARN, "a table is read at the realised token", grade=Grade.STATIC
)


def made(values: Sequence[float], rate: float | None = SP1024, base: Report | None = None) -> Report:
    runs = tuple(
        SeedRun(f"{seed}.log", seed, bpb, None if rate is None else bpb * rate)
        for seed, bpb in enumerate(values)
    )
    return replace(base or samples.honest(), seed_runs=runs)


def answers(one: Report, other: Report) -> tuple[Answer, Answer]:
    found = challenge(one, other)
    return found.written.answer, found.practice.answer


def test_a_compliant_submission_far_below_is_a_record_by_both_rules() -> None:
    assert answers(made([1.0600, 1.0610, 1.0605]), made(HOLDER)) == (Answer.YES, Answer.YES)


def test_a_breach_is_no_record_however_low_its_number_is() -> None:
    found = challenge(made([0.3964, 0.3965, 0.3966], base=samples.cheat()), made(HOLDER))
    assert (found.written.answer, found.practice.answer) == (Answer.NO, Answer.NO)
    assert "C1-flip" in found.practice.why
    assert found.better is not None
    assert found.better.p < 1e-6


def test_code_that_only_looks_illegal_does_not_cost_the_record() -> None:
    base = samples.honest()
    findings = (*base.findings, STATIC_WARN)
    looks_illegal = replace(base, findings=findings, verdict=decide(findings))
    assert looks_illegal.verdict.call is Call.COMPLIANT
    assert answers(made([1.0600, 1.0610, 1.0605], base=looks_illegal), made(HOLDER)) == (
        Answer.YES,
        Answer.YES,
    )


def test_a_small_gap_is_enough_in_practice_and_not_by_the_written_rule() -> None:
    found = challenge(made([1.0790, 1.0800, 1.0795]), made(HOLDER))
    assert (found.written.answer, found.practice.answer) == (Answer.NO, Answer.YES)
    assert found.gap_bpb == pytest.approx(0.001)
    assert found.gap_nats == pytest.approx(0.001 * SP1024)
    assert found.margins_bpb == pytest.approx((0.005 / SP1024, 0.005 / SP1024))


def test_a_mean_over_the_margin_that_is_not_shown_to_be_is_open() -> None:
    """0.0033 BPB are 0.0056 nats: better at p<0.01, but not by 0.005 at p<0.01."""
    found = challenge(made([1.0770, 1.0772, 1.0774]), made([1.0804, 1.0805, 1.0806]))
    assert found.written.answer is Answer.OPEN
    assert found.better is not None
    assert found.better_by_margin is not None
    assert found.better.p < 0.01 <= found.better_by_margin.p


def test_a_margin_in_nats_depends_on_whose_tokens_they_are() -> None:
    found = challenge(made([1.0600, 1.0610, 1.0605], rate=CASEOPS), made(HOLDER))
    assert found.margins_bpb == pytest.approx((0.005 / CASEOPS, 0.005 / SP1024))
    between = challenge(made([1.0780, 1.0781, 1.0779], rate=CASEOPS), made(HOLDER))
    assert between.gap_bpb == pytest.approx(0.0025)
    assert between.written.answer is Answer.OPEN


def test_without_nats_the_written_rule_is_open_and_the_practice_is_not() -> None:
    assert answers(made([1.0600, 1.0610, 1.0605], None), made(HOLDER, None)) == (Answer.OPEN, Answer.YES)


def test_one_seed_on_a_side_leaves_the_test_undefined() -> None:
    found = challenge(made([1.06]), made(HOLDER))
    assert (found.better, found.practice.answer) == (None, Answer.OPEN)
    assert "the challenger has one value" in found.practice.why
    assert "the holder has one value" in challenge(made([1.06, 1.061, 1.062]), made([1.08])).practice.why


def test_two_seeds_are_one_too_few_for_a_record() -> None:
    found = challenge(made([1.0600, 1.0601]), made(HOLDER))
    assert found.practice.answer is Answer.NO
    assert "3 are needed" in found.practice.why


def test_no_spread_on_either_side_is_no_test() -> None:
    found = challenge(made([1.06] * 3), made([1.08] * 3))
    assert found.practice.answer is Answer.OPEN
    assert "spread" in found.practice.why


def test_a_mean_that_is_not_lower_is_no_record_even_where_no_test_is_defined() -> None:
    assert answers(made([1.09]), made([1.08])) == (Answer.NO, Answer.NO)
    assert answers(made(HOLDER), made(HOLDER)) == (Answer.NO, Answer.NO)


def test_a_review_leaves_a_yes_open_and_a_no_as_it_is() -> None:
    review = samples.documents()
    found = challenge(made([1.0600, 1.0610, 1.0605], base=review), made(HOLDER))
    assert found.practice.answer is Answer.OPEN
    assert "NEEDS_REVIEW" in found.practice.why
    assert answers(made([1.09, 1.091, 1.092], base=review), made(HOLDER)) == (Answer.NO, Answer.NO)


def test_the_non_record_track_has_no_records() -> None:
    base = samples.honest()
    other = replace(base, submission=replace(base.submission, track="non_record_16mb"))
    assert answers(made([1.06, 1.061, 1.062], base=other), made(HOLDER)) == (Answer.NO, Answer.NO)


def test_without_logs_the_claim_stands_for_the_side() -> None:
    claimed = replace(samples.honest(), seed_runs=())
    found = challenge(made([1.06, 1.061, 1.062]), claimed)
    assert found.holder.values == (1.1194,)
    nothing = replace(claimed, bpb=replace(claimed.bpb, claimed=None))
    assert challenge(made(HOLDER), nothing).gap_bpb is None
    assert answers(made(HOLDER), nothing) == (Answer.OPEN, Answer.OPEN)


def test_techniques_and_findings_are_told_apart() -> None:
    one = replace(made(HOLDER, base=samples.cheat()), techniques=("SLOT", "Muon"))
    found = challenge(one, replace(made(HOLDER), techniques=("Muon", "XSA")))
    assert (found.only_challenger, found.only_holder, found.shared) == (("SLOT",), ("XSA",), ("Muon",))
    states = {each.check: (each.challenger, each.holder) for each in found.differences}
    assert states["C1-flip"] == (State.FAIL, State.PASS)
    assert states["S1-slot"] == (State.WARN, None)
    assert "A1-artifact" not in states
    assert found.differences[0].challenger is State.FAIL
