"""Who moved whom: only a score that comes first both in the stream and in the order of commits counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.verifier.probe.builders import (
    BLOCK,
    TapeBuilder,
    legal_losses,
    moved_losses,
    run,
    scored,
    stream,
)
from verifier.probe.influence import (
    Influence,
    could_show,
    influence,
    learned_before_scored,
    missed_learning,
    unreported_reads,
)

DRAWN = stream()
LOSSES = legal_losses(DRAWN)
SIZE = DRAWN.ids.size


def compare(base: np.ndarray, other: np.ndarray, order: Sequence[int] | None = None) -> Influence:
    found = [
        run("uniform", DRAWN, scored(DRAWN, losses, order=order)).passes[0].committed(SIZE)
        for losses in (base, other)
    ]
    return influence(found[0], found[1], BLOCK)


def test_what_follows_the_block_may_move() -> None:
    effect = compare(LOSSES, moved_losses(LOSSES, BLOCK))
    assert effect.moved.size == 0
    assert effect.tested == BLOCK.start - 1
    assert effect.later_moved == effect.later == SIZE - BLOCK.stop


def test_a_leak_inside_one_window_is_found() -> None:
    other = moved_losses(LOSSES, BLOCK)
    other[BLOCK.start - 5] += 1e-9
    effect = compare(LOSSES, other)
    assert effect.moved.tolist() == [BLOCK.start - 5]
    assert effect.first == effect.last == BLOCK.start - 5
    assert 0 < effect.largest_nats < 2e-9


def test_documents_scored_later_are_not_accused() -> None:
    """Sorted documents: the block's document is scored first, and the model learns from it."""
    order = [*range(500, SIZE), *range(1, 500)]
    other = moved_losses(LOSSES, BLOCK)
    other[1:500] += 0.2
    effect = compare(LOSSES, other, order)
    assert effect.moved.size == 0
    assert effect.tested == BLOCK.start - 500


def test_a_chunk_that_is_committed_at_once_is_tested_up_to_the_block() -> None:
    other = moved_losses(LOSSES, BLOCK)
    start = (BLOCK.start - 1) // 64 * 64 + 1
    other[start : BLOCK.start] += 0.1  # the block's own chunk, optimised before its score
    assert compare(LOSSES, other).moved.tolist() == list(range(start, BLOCK.start))


def chunks(learn_first: bool, steps: bool = True) -> TapeBuilder:
    made = TapeBuilder()
    for at in range(1, SIZE, 64):
        some = list(range(at, min(at + 64, SIZE)))

        def learn(some: list[int] = some) -> None:
            loss = made.score(some, LOSSES[some], site=6, learns=True)
            made.backward(loss)
            if steps:
                made.step(made.next - 1)
            made.weights(0, 3)

        if learn_first:
            learn()
        made.score(some, LOSSES[some])
        if not learn_first:
            learn()
    made.print(float(LOSSES[1:].mean()))
    return made


def learnings(made: TapeBuilder):
    done = run("uniform", DRAWN, made)
    return learned_before_scored(done.tape, done.passes[-1], SIZE)


def test_score_first_learning_is_not_accused() -> None:
    assert learnings(chunks(learn_first=False)) == ()


def test_learning_first_is_found_within_the_pass() -> None:
    (found,) = learnings(chunks(learn_first=True))
    assert found.stage == "within"
    assert found.positions.size == DRAWN.targets
    assert len(found.steps) == 16
    assert found.weights is not None
    assert found.weights.changed == 3


def test_gradients_without_a_step_are_no_learning() -> None:
    assert learnings(chunks(learn_first=True, steps=False)) == ()


def test_learning_before_the_pass_is_its_own_stage() -> None:
    made = TapeBuilder().at(1, "adapt", 30, call_line=70).at(6, "adapt", 29, call_line=70)
    loss = made.score(range(1, 200), LOSSES[1:200], site=6, learns=True)
    made.step(made.backward(loss))
    (found,) = learnings(scored(DRAWN, LOSSES, builder=made))
    assert found.stage == "before"
    assert found.positions.tolist() == list(range(1, 200))


@pytest.mark.parametrize(
    ("learned", "planned", "block"),
    [
        (range(1, 200), range(500, 550), range(150, 200)),
        (range(1, 200), range(150, 200), None),  # a planned flip is there already
        (range(1, 80), range(500, 550), None),  # hardly any score comes before
        (None, range(500, 550), None),
    ],
    ids=["aims at the last of it", "touched", "too early", "nothing learned"],
)
def test_a_flip_is_aimed_at_what_the_planned_ones_miss(
    learned: range | None, planned: range, block: range | None
) -> None:
    made = TapeBuilder()
    if learned is not None:
        loss = made.score(learned, LOSSES[learned], site=6, learns=True)
        made.step(made.backward(loss))
    done = run("uniform", DRAWN, scored(DRAWN, LOSSES, builder=made))
    assert missed_learning(done.tape, done.passes[-1], SIZE, [planned]) == block


def tails(made: TapeBuilder) -> TapeBuilder:
    """Scores chunks, learns from each, and reports what its last eight tokens score afterwards."""
    for at in range(1, SIZE, 64):
        some = list(range(at, min(at + 64, SIZE)))
        made.score(some[:-8], LOSSES[some[:-8]])
        made.step(made.backward(made.score(some, LOSSES[some], site=6, learns=True)))
        made.score(some[-8:], LOSSES[some[-8:]])
    made.print(float(LOSSES[1:].mean()))
    return made


def test_a_flip_of_a_whole_chunk_cannot_show_that_only_its_end_was_scored_after_learning() -> None:
    """What is scored before the step, and may not move, cannot; what is scored after it came after the block."""
    done = run("uniform", DRAWN, tails(TapeBuilder()))
    (found,) = learned_before_scored(done.tape, done.passes[-1], SIZE)
    assert found.positions.size == 8 * 16
    whole, end = range(449, 513), range(509, 513)
    committed = done.passes[-1].committed(SIZE)
    assert not could_show(found, committed, whole)
    assert could_show(found, committed, end)
    assert missed_learning(done.tape, done.passes[-1], SIZE, [whole]) == range(SIZE - 4, SIZE)


def reads(made: TapeBuilder, start: int = 0):
    done = run("uniform", DRAWN, made)
    return unreported_reads(done.tape, done, start, done.passes[-1].first_event)


def test_a_forward_pass_that_is_scored_is_reported() -> None:
    made = TapeBuilder()
    for at in range(1, SIZE, 64):
        made.forward(at - 1, at + 63)
        made.score(range(at, min(at + 64, SIZE)), LOSSES[at : at + 64])
    made.print(float(LOSSES[1:].mean()))
    assert reads(made) is None


def test_a_forward_pass_for_nothing_is_a_silent_read() -> None:
    made = TapeBuilder().at(7, "quantize", 60, call_line=85)
    made.line("val_tokens:1024")
    made.forward(0, 100, site=7)
    made.forward(50, 300, site=7)
    made.forward(0, 1024)
    found = reads(scored(DRAWN, LOSSES, builder=made))
    assert found is not None
    assert found.positions == 300
    assert found.ranges == ((0, 100), (50, 300))


def test_windows_read_ahead_by_the_evaluation_itself_are_not_silent() -> None:
    made = TapeBuilder()
    made.forward(0, 64)
    made.forward(64, 128)
    made.score(range(1, SIZE), LOSSES[1:])
    made.print(float(LOSSES[1:].mean()))
    assert reads(made) is None
