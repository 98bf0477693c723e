"""Streams: their entropy is exact, their seed repeats them, and a flip changes its block alone."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verifier.probe.builders import SMALL, SOURCE, stream
from verifier.probe.stream import Source, document_starts


@given(st.integers(0, 2**63 - 1), st.sampled_from([SOURCE, SMALL]), st.integers(1, 3000))
@settings(max_examples=50, deadline=None)
def test_a_seed_draws_one_stream(seed: int, source: Source, targets: int) -> None:
    first, second = (source.draw(targets, (seed, 0)) for _ in range(2))
    assert np.array_equal(first.ids, second.ids)
    assert first.targets == targets
    drawn = np.delete(first.ids, document_starts(first.ids.size))
    assert set(drawn.tolist()) <= set(source.alphabet)


def test_other_seeds_draw_other_streams() -> None:
    drawn = [SOURCE.draw(500, (7, part)).ids.tobytes() for part in range(5)]
    assert len(set(drawn)) == 5


@given(st.integers(0, 900), st.integers(0, 300), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_a_flip_changes_every_drawn_id_of_its_block_and_nothing_else(
    start: int, size: int, seed: int
) -> None:
    drawn = stream(targets=1200)
    block = range(start, start + size)
    other = drawn.flip(block, (seed,))
    differs = drawn.ids != other.ids
    starts = document_starts(drawn.ids.size)
    inside = np.isin(np.arange(drawn.ids.size), block)
    inside[starts] = False
    assert np.array_equal(differs, inside)
    assert (other.ids[starts] == SOURCE.bos_id).all()
    assert other.flipped == block
    assert set(other.ids[inside].tolist()) <= set(SOURCE.alphabet)


def test_entropy_is_that_of_the_drawn_ids() -> None:
    drawn = stream(targets=4000)
    bos = document_starts(4001)
    assert bos[0] == 0
    want = (4000 - (bos.size - 1)) * math.log(1020) / 4000
    assert math.isclose(drawn.entropy_nats, want, rel_tol=1e-12)
    assert not drawn.code_length_nats()[bos].any()


def test_ids_are_uniform_over_the_alphabet() -> None:
    counts = np.bincount(SMALL.draw(64_000, (3,)).ids, minlength=1023)[list(SMALL.alphabet)]
    expected = counts.sum() / counts.size
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert chi_square < 80  # 31 degrees of freedom: odds of more are below 1e-5
