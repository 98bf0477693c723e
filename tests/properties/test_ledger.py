"""The ledger counts each position once, for any stream, window, stride and number of ranks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgolf.evaluate.windows import check_coverage, make_lane, plan_windows
from pgolf.testing import assert_scores_once
from pgolf.testing.strategies import WindowPlan, window_plans
from tests.properties.profile import assert_refuted, examples
from tests.verifier.checks.builders import named
from tests.verifier.checks.builders import submission as made_submission
from tests.verifier.probe.builders import SOURCE, TapeBuilder, bpb_of, record, run
from verifier.evidence import Evidence
from verifier.finding import Outcome, State

Parts = list[list[range]]
"""Of each rank, the positions that each of its windows scores."""
Cut = Callable[[WindowPlan], list[range]]
Deal = Callable[[list[range], int], Parts]
CASES = {"plan": window_plans(max_predictions=400), "ranks": st.integers(1, 9), "batch": st.integers(1, 9)}


def windows(plan: WindowPlan) -> list[range]:
    return [range(each.score_from, each.end) for each in plan_windows(*plan)]


def blocks(scored: list[range], ranks: int) -> Parts:
    """Neighbours to one rank, as the contest deals windows (#50)."""
    cuts = [len(scored) * rank // ranks for rank in range(ranks + 1)]
    return [scored[cuts[rank] : cuts[rank + 1]] for rank in range(ranks)]


def strided(scored: list[range], ranks: int) -> Parts:
    return [scored[rank::ranks] for rank in range(ranks)]


def check_once(cut: Cut, deal: Deal, plan: WindowPlan, ranks: int, batch: int) -> None:
    parts = [window for rank in deal(cut(plan), ranks) for window in rank]
    assert_scores_once(parts, plan.predictions)


def check_ledger(cut: Cut, deal: Deal, plan: WindowPlan, ranks: int, batch: int) -> None:
    """What the audit's ledger makes of the scores, batch by batch, in the order in which ranks commit them."""
    drawn = SOURCE.draw(plan.predictions, (1,))
    losses = np.random.default_rng(2).uniform(0.5, 9.0, drawn.ids.size)
    tape = TapeBuilder()
    total, count = 0.0, 0
    for rank in deal(cut(plan), ranks):
        for first in range(0, len(rank), batch):
            positions = [at + 1 for window in rank[first : first + batch] for at in window]
            if positions:
                tape.score(positions, losses[positions])
                total, count = total + float(losses[positions].sum()), count + len(positions)
    tape.print(total / count, bpb_of(drawn, total / count))
    found = run("uniform", drawn, tape)
    (scored,) = found.passes
    assert scored.reconciled
    committed = scored.committed(drawn.ids.size)
    assert committed.times[0] == 0
    wrong = np.flatnonzero(committed.times[1:] != 1)
    assert wrong.size == 0, f"position {wrong[0]} was scored {committed.times[1 + wrong[0]]} times"
    assert np.array_equal(committed.values[1:], losses[1:])
    outcome = named("C4-ledger").function(Evidence(made_submission(), record(found)))
    assert isinstance(outcome, Outcome)
    assert (outcome.state, outcome.evidence["missing"], outcome.evidence["repeated"]) == (State.PASS, 0, 0)


@examples(200)
@given(**CASES, deal=st.sampled_from([blocks, strided]))
def test_the_plan_scores_each_position_once(plan: WindowPlan, ranks: int, batch: int, deal: Deal) -> None:
    check_once(windows, deal, plan, ranks, batch)
    check_coverage([make_lane([plan_windows(*plan)])], plan.predictions)
    lengths = {each.end - each.start for each in plan_windows(*plan)}
    assert lengths == {min(plan.seq_len, plan.predictions)}


@examples(100)
@given(**CASES, deal=st.sampled_from([blocks, strided]))
def test_the_ledger_counts_each_position_once(plan: WindowPlan, ranks: int, batch: int, deal: Deal) -> None:
    check_ledger(windows, deal, plan, ranks, batch)


def dropped_tail(plan: WindowPlan) -> list[range]:
    """The remainder of the stream modulo the stride is left out."""
    return windows(plan._replace(predictions=max(1, plan.predictions // plan.stride * plan.stride)))


def rescored_tail(plan: WindowPlan) -> list[range]:
    """The last window scores a whole stride, also what the one before it had."""
    *before, last = windows(plan)
    return [*before, range(max(0, last.stop - plan.stride), last.stop)]


def overlapping(plan: WindowPlan) -> list[range]:
    """Every window scores all that it reads."""
    return [range(each.start, each.end) for each in plan_windows(*plan)]


def off_by_one(plan: WindowPlan) -> list[range]:
    """Every window but the first begins a position late."""
    first, *others = windows(plan)
    return [first, *(range(each.start + 1, each.stop) for each in others)]


def lost_remainder(scored: list[range], ranks: int) -> Parts:
    """Each rank takes len // ranks windows."""
    share = len(scored) // ranks
    return [scored[rank * share : (rank + 1) * share] for rank in range(ranks)]


def padded(scored: list[range], ranks: int) -> Parts:
    """The list is filled up with its first windows, so that all ranks have as many."""
    filled = scored + scored[: -len(scored) % ranks]
    return strided(filled, ranks)


def everybody(scored: list[range], ranks: int) -> Parts:
    """Every rank scores everything, and all of it goes into the mean."""
    return [scored for _ in range(ranks)]


def cache_of_the_other_rank(scored: list[range], ranks: int) -> Parts:
    """Ranks share a boundary window."""
    share = math.ceil(len(scored) / ranks)
    return [scored[max(0, rank * share - 1) : (rank + 1) * share] for rank in range(ranks)]


ILLEGAL: dict[str, tuple[Cut, Deal]] = {
    "dropped tail": (dropped_tail, blocks),
    "rescored tail": (rescored_tail, blocks),
    "scores all it reads": (overlapping, blocks),
    "off by one": (off_by_one, strided),
    "remainder of windows lost": (windows, lost_remainder),
    "filled up with repeats": (windows, padded),
    "every rank scores all": (windows, everybody),
    "ranks share a window": (windows, cache_of_the_other_rank),
}


@pytest.mark.mutant
@pytest.mark.parametrize("check", [check_once, check_ledger], ids=["assertion", "ledger"])
@pytest.mark.parametrize("name", ILLEGAL)
def test_a_wrong_plan_is_caught(name: str, check: Callable[..., None]) -> None:
    cut, deal = ILLEGAL[name]
    assert_refuted(lambda **case: check(cut, deal, **case), **CASES)
