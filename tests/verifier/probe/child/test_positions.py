"""Positions found by content: every layout of windows exactly, and nothing in ids from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.probe.child.positions import PositionIndex
from verifier.probe.stream import Source

PAD = 0
BOS = 1


def stream(size: int, alphabet: int, seed: int) -> np.ndarray:
    source = Source("test", tuple(range(3, 3 + alphabet)), BOS)
    return source.draw(size - 1, (seed,)).ids.astype(np.int64)


def windows(ids: np.ndarray, spans: list[tuple[int, int]], row: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ids, padded to `row`, and the positions that they hold."""
    rows = np.full((len(spans), row), PAD, dtype=np.int64)
    want = np.full((len(spans), row), -1, dtype=np.int64)
    for at, (start, stop) in enumerate(spans):
        rows[at, : stop - start] = ids[start:stop]
        want[at, : stop - start] = np.arange(start, stop)
    return rows, want


@pytest.mark.parametrize("alphabet", [1020, 32, 4])
@pytest.mark.parametrize("stride", [16, 64, 128])
def test_sliding_windows_of_a_whole_stream(alphabet: int, stride: int) -> None:
    for seed in range(4):
        ids = stream(4097, alphabet, seed)
        index = PositionIndex(ids)
        spans = [(stop - 128, stop) for stop in range(128, ids.size, stride)]
        for at in range(0, len(spans), 16):
            rows, want = windows(ids, spans[at : at + 16], 128)
            found = index.find(rows.reshape(-1))
            assert found is not None
            assert np.array_equal(found.reshape(rows.shape), want)


@given(
    seed=st.integers(0, 50),
    starts=st.lists(st.integers(0, 1900), min_size=1, max_size=12),
    length=st.integers(24, 96),
    padding=st.integers(0, 7),
)
@settings(max_examples=60, deadline=None)
def test_any_equal_rows_anywhere_padded(seed: int, starts: list[int], length: int, padding: int) -> None:
    ids = stream(2001, 1020, seed)
    spans = [(start, start + length) for start in starts]
    rows, want = windows(ids, spans, length + padding)
    found = PositionIndex(ids).find(rows.reshape(-1))
    assert found is not None
    assert np.array_equal(found.reshape(rows.shape), want)


@given(
    seed=st.integers(0, 50), start=st.integers(0, 900), length=st.integers(8, 100), before=st.integers(0, 9)
)
@settings(max_examples=60, deadline=None)
def test_a_piece_at_any_offset_among_other_ids(seed: int, start: int, length: int, before: int) -> None:
    ids = stream(1001, 500, seed)
    foreign = np.full(before, 900, dtype=np.int64)
    found = PositionIndex(ids).find(np.concatenate((foreign, ids[start : start + length], foreign)))
    assert found is not None
    assert found[:before].tolist() == [-1] * before
    assert found[before : before + length].tolist() == list(range(start, start + ids[start:][:length].size))
    assert found[before + length :].tolist() == [-1] * before


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_other_random_ids_are_not_found(seed: int) -> None:
    ids = stream(4097, 1020, 1)
    other = np.random.default_rng((7, seed)).integers(3, 1023, size=2048)
    found = PositionIndex(ids).find(other)
    # Three ids in a row may agree by chance: 2,048 * 4,097 / 1,020^3 is 0.8% of one match.
    assert found is None or int((found >= 0).sum()) <= 8


def test_the_end_of_a_window_is_not_taken_for_the_start_of_the_next() -> None:
    """A window that ends with the id which precedes the next window: content alone fits both."""
    ids = stream(2001, 1020, 0)
    spans = [(100 + 64 * row, 228 + 64 * row) for row in range(8)]
    ids[spans[3][1] - 1] = ids[spans[4][0] - 1]
    rows, want = windows(ids, spans, 128)
    found = PositionIndex(ids).find(rows.reshape(-1))
    assert found is not None
    assert np.array_equal(found.reshape(rows.shape), want)


def test_too_few_ids_and_an_empty_stream_find_nothing() -> None:
    ids = stream(500, 1020, 0)
    assert PositionIndex(ids).find(ids[:1]) is None
    assert PositionIndex(ids[:0]).find(ids[:10]) is None
