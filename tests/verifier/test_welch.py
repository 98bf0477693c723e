"""Welch's test against tables, closed forms and a published example."""

from __future__ import annotations

import math

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.welch import student_tail, welch


@pytest.mark.parametrize(
    ("freedom", "quantile", "tail"),
    [
        (1, 31.821, 0.01), (2, 6.965, 0.01), (3, 4.541, 0.01), (4, 3.747, 0.01), (10, 2.764, 0.01),
        (1, 1.000, 0.25), (2, 0.816, 0.25), (4, 0.741, 0.25), (5, 2.015, 0.05), (30, 2.042, 0.025),
    ],
)  # fmt: skip
def test_the_tail_is_what_the_printed_tables_say(freedom: float, quantile: float, tail: float) -> None:
    assert student_tail(quantile, freedom) == pytest.approx(tail, rel=1e-3)


@given(st.floats(-50.0, 50.0))
def test_one_and_two_degrees_of_freedom_have_closed_forms(t: float) -> None:
    assert student_tail(t, 1) == pytest.approx(0.5 - math.atan(t) / math.pi, abs=1e-9)
    assert student_tail(t, 2) == pytest.approx(0.5 - t / (2 * math.sqrt(2 + t * t)), abs=1e-9)


@given(st.floats(0.0, 30.0), st.floats(1.0, 60.0))
def test_broken_degrees_of_freedom_agree_with_the_incomplete_beta_function(t: float, freedom: float) -> None:
    exact = mpmath.betainc(freedom / 2, 0.5, 0, freedom / (freedom + t * t), regularized=True) / 2
    assert student_tail(t, freedom) == pytest.approx(float(exact), rel=1e-4, abs=1e-12)


def test_a_published_example_of_fifteen_and_fifteen() -> None:
    """The first worked example of Wikipedia's article on the test: t -2.46, 25 degrees, two-sided 0.021."""
    first = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
    second = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4]
    found = welch(first, second)
    assert found is not None
    assert found.t == pytest.approx(2.46, abs=0.005)
    assert found.freedom == pytest.approx(25.0, abs=0.05)
    assert 2 * found.p == pytest.approx(0.021, abs=5e-4)


def test_sides_of_one_size_and_one_spread_are_students_own_test() -> None:
    found = welch([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    assert found is not None
    assert found.t == pytest.approx(1.0 / math.sqrt(2 / 3))
    assert found.freedom == pytest.approx(4.0)


SEEDS = {
    1493: [1.08103103, 1.08079352, 1.08118408],
    1514: [1.07928348, 1.08024795, 1.07996676],
    1529: [1.07506048, 1.07645101, 1.07585093],
    1736: [1.06473025, 1.06562743, 1.06610085],
    1769: [1.06509678, 1.06516558, 1.0641313, 1.06356801, 1.06466993],
}
"""Logged bits per byte of merged records, by pull request."""


@pytest.mark.parametrize(
    ("row", "before", "printed"), [(1514, 1493, 0.020), (1529, 1514, 0.001), (1769, 1736, 0.063)]
)
def test_the_organizers_own_p_values_are_found_again(row: int, before: int, printed: float) -> None:
    """As the rows of their last leaderboard state them (#1902)."""
    found = welch(SEEDS[row], SEEDS[before])
    assert found is not None
    assert round(found.p, 3) == printed


@given(
    st.lists(st.floats(1.0, 2.0), min_size=2, max_size=6),
    st.lists(st.floats(1.0, 2.0), min_size=2, max_size=6),
)
def test_the_two_directions_share_all_chance(left: list[float], right: list[float]) -> None:
    one, other = welch(left, right), welch(right, left)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.p + other.p == pytest.approx(1.0, abs=1e-6)


def test_a_margin_moves_the_gap_and_never_the_spread() -> None:
    low, high = [1.00, 1.01, 1.02], [1.10, 1.11, 1.12]
    plain, held = welch(low, high), welch(low, high, margin=0.1)
    assert plain is not None
    assert held is not None
    assert held.freedom == plain.freedom
    assert held.p == pytest.approx(0.5)


@pytest.mark.parametrize(("low", "high"), [([1.0], [1.1, 1.2]), ([1.0, 1.0], [1.1, 1.1]), ([], [])])
def test_too_few_values_or_no_spread_at_all_is_no_test(low: list[float], high: list[float]) -> None:
    assert welch(low, high) is None
