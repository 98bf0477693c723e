"""Which calls are replayed: late ones of the reported pass."""

from __future__ import annotations

from tests.verifier.probe.builders import TapeBuilder
from verifier.probe.passes import find_passes
from verifier.probe.replays import plan_replays


def evaluation(made: TapeBuilder, calls: range, label: str, loss: float, pure: bool = False) -> None:
    for nth in calls:
        made.call("70:score", nth, pure)
        made.score([1 + nth % 100], loss)
    made.print(loss, label=label)


def two_passes(pure: bool = False) -> TapeBuilder:
    made = TapeBuilder()
    evaluation(made, range(20), "plain", 3.0, pure)
    evaluation(made, range(20, 40), "sliding", 2.0, pure)
    return made


def test_calls_are_taken_from_the_reported_pass() -> None:
    tape = two_passes().tape()
    plain, sliding = find_passes(tape)
    assert plan_replays(tape, sliding) == {"70:score": (32, 39)}
    assert plan_replays(tape, plain) == {"70:score": (12, 19)}


def test_what_a_cross_entropy_gave_is_replayed_once() -> None:
    tape = two_passes(pure=True).tape()
    assert plan_replays(tape, find_passes(tape)[-1]) == {"70:score": (39,)}


def test_without_a_reconciled_pass_all_calls_count() -> None:
    assert plan_replays(two_passes().tape(), None) == {"70:score": (24, 38)}


def test_the_call_that_recognised_a_function_is_replayed_when_there_is_no_other() -> None:
    made = TapeBuilder()
    evaluation(made, range(1), "plain", 3.0)
    assert plan_replays(made.tape(), None) == {"70:score": (0,)}
    evaluation(made, range(1, 2), "plain", 3.0)
    assert plan_replays(made.tape(), None) == {"70:score": (1,)}
    assert plan_replays(TapeBuilder().tape(), None) == {}
