"""The frontier that a few seeds beat, by two rules."""

from __future__ import annotations

import pytest

from verifier.significance import reach

NATS_PER_BPB = 2.5831  # sp8192: ln 2 times 3.7266 bytes


def test_close_seeds_need_the_written_margin_and_almost_nothing_in_practice():
    found = reach([1.0610, 1.0611, 1.0612], NATS_PER_BPB)
    assert found is not None
    assert found.mean == pytest.approx(1.0611)
    assert found.written == pytest.approx(1.0611 + 0.005 / NATS_PER_BPB)
    assert found.written_nats == pytest.approx(0.005)
    assert found.practice == pytest.approx(1.0611 + 0.816 * 1e-4 / 3**0.5)


def test_scattered_seeds_need_more_than_the_margin():
    found = reach([1.05, 1.06, 1.07], NATS_PER_BPB)
    assert found is not None
    assert found.written == pytest.approx(1.06 + 6.965 * 0.01 / 3**0.5)


def test_without_a_loss_only_the_practice_is_known():
    found = reach([1.05, 1.06, 1.07], None)
    assert found is not None
    assert (found.written, found.written_nats) == (None, None)


def test_one_seed_shows_nothing_and_many_take_the_strictest_row():
    assert reach([1.05], NATS_PER_BPB) is None
    found = reach([1.0 + 0.001 * n for n in range(20)], NATS_PER_BPB)
    assert found is not None
    assert found.practice > found.mean
