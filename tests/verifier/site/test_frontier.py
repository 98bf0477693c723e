"""The lowest claims over time."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.seedrun import SeedRun
from verifier.site.entry import NOT_AUDITED, Entry, read_day
from verifier.site.frontier import frontiers
from verifier.verdict import Call


def entry(
    pr: int,
    bpb: float | None,
    day: int | None = 1,
    verdict: str = Call.COMPLIANT,
    logs: int = 3,
    **more: object,
) -> Entry:
    runs = tuple(SeedRun(f"{seed}.log", seed, bpb or 1.0) for seed in range(logs))
    when = None if day is None else date(2026, 4, day)
    return Entry(f"pull {pr}", pr, verdict, "", claimed_bpb=bpb, day=when, seed_runs=runs, **more)  # type: ignore[arg-type]


def numbers(name: str, *entries: Entry) -> list[int | None]:
    return [step.pr for step in frontiers(entries)[name]]


def test_each_step_is_lower_than_all_before_it() -> None:
    field = [entry(3, 1.05, 3), entry(1, 1.1, 1), entry(2, 1.2, 2), entry(4, 1.05, 4)]
    assert numbers("compliant", *field) == [1, 3]


def test_a_breach_is_on_the_claimed_line_alone_and_a_review_on_two() -> None:
    field = [
        entry(1, 1.1, 1),
        entry(2, 0.4, 2, Call.NON_COMPLIANT),
        entry(3, 1.0, 3, Call.NEEDS_REVIEW),
        entry(4, 1.05, 4),
    ]
    assert numbers("claimed", *field) == [1, 2]
    assert numbers("not broken", *field) == [1, 3]
    assert numbers("compliant", *field) == [1, 4]


@pytest.mark.parametrize(
    "out",
    [
        entry(2, 0.0),
        entry(2, -1.0),
        entry(2, None),
        entry(2, 0.5, logs=0),
        entry(2, 0.5, track="non_record_16mb"),
    ],
)
def test_placeholders_unlogged_claims_and_the_other_track_are_no_step(out: Entry) -> None:
    assert numbers("claimed", entry(1, 1.1), out) == [1]


def test_what_was_not_audited_is_neither_unbroken_nor_compliant() -> None:
    found = frontiers([entry(1, 1.1, verdict=NOT_AUDITED)])
    assert (found["not broken"], found["compliant"]) == ((), ())


def test_a_pull_request_without_a_day_takes_that_of_the_one_before() -> None:
    steps = frontiers([entry(1, 1.1, 5), entry(2, 1.0, None)])["claimed"]
    assert [step.day for step in steps] == [date(2026, 4, 5)] * 2
    assert numbers("claimed", entry(1, 1.1, None)) == []


def test_a_day_long_before_that_of_earlier_pull_requests_is_a_slip() -> None:
    """#1618 is of April and says 19 March."""
    field = [entry(pr, 1.2 - pr / 1000, 10) for pr in range(1, 30)]
    late = frontiers([*field, entry(1618, 0.5, 1), entry(1619, 0.4, 11)])["claimed"][-2:]
    assert [(step.pr, step.day.day) for step in late] == [(1618, 10), (1619, 11)]


def test_one_day_in_the_future_moves_no_other() -> None:
    field = [entry(1, 1.1, 5), entry(2, 1.09, 28), entry(3, 1.08, 5), entry(4, 1.07, 6)]
    days = {step.pr: step.day.day for step in frontiers(field)["claimed"]}
    assert days == {1: 5, 3: 5, 4: 6}


@given(st.lists(st.tuples(st.floats(0.1, 2.0), st.integers(1, 28), st.sampled_from(list(Call))), max_size=12))
def test_a_line_falls_and_the_stricter_one_is_never_lower(field: list[tuple[float, int, Call]]) -> None:
    found = frontiers(entry(pr, bpb, day, call) for pr, (bpb, day, call) in enumerate(field, 1))
    for steps in found.values():
        assert [step.val_bpb for step in steps] == sorted((step.val_bpb for step in steps), reverse=True)
        assert [step.day for step in steps] == sorted(step.day for step in steps)
    best = [min((step.val_bpb for step in steps), default=9.0) for steps in found.values()]
    assert best == sorted(best)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-04-27", date(2026, 4, 27)),
        ("2026-04-27T10:00:00Z", date(2026, 4, 27)),
        ("2026-13-45", None),
        ("PLACEHOLDER", None),
        ("", None),
        (None, None),
    ],
)
def test_a_day_is_read_and_a_placeholder_is_none(text: str | None, day: date | None) -> None:
    assert read_day(text) == day
