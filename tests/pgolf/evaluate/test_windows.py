"""Every position is scored exactly once, from one predetermined window."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgolf.evaluate.ttt import cut_chunks, cut_phases
from pgolf.evaluate.windows import StreamScorer, Window, check_coverage, make_lane, plan_windows


@given(
    predictions=st.integers(1, 400),
    seq_len=st.integers(1, 64),
    stride_share=st.floats(0, 1),
)
def test_windows_score_each_position_once_with_enough_context(predictions, seq_len, stride_share):
    stride = max(1, round(stride_share * seq_len))
    windows = plan_windows(predictions, seq_len, stride)
    scored = [position for window in windows for position in range(window.score_from, window.end)]
    assert scored == list(range(predictions))
    for window in windows:
        assert 0 <= window.start <= window.score_from < window.end <= predictions
        assert window.end - window.start == min(seq_len, predictions)
    for window in windows[1:]:
        assert window.end - window.score_from <= stride


@given(predictions=st.integers(1, 300), seq_len=st.integers(1, 32), chunk_tokens=st.integers(1, 400))
def test_chunks_keep_every_window_in_order(predictions, seq_len, chunk_tokens):
    windows = plan_windows(predictions, seq_len, max(1, seq_len // 2))
    chunks = list(cut_chunks(windows, chunk_tokens))
    assert [window for chunk in chunks for window in chunk] == windows
    assert all(chunk[-1].end - chunk[0].score_from >= chunk_tokens for chunk in chunks[:-1])


@pytest.mark.parametrize("stride", [0, 9, -1])
def test_a_stride_that_skips_or_stalls_is_refused(stride):
    with pytest.raises(ValueError, match=f"stride {stride} must be between 1 and the window length 8"):
        plan_windows(20, 8, stride)


def test_nothing_to_predict_is_refused():
    with pytest.raises(ValueError, match="1 tokens leave nothing to predict"):
        plan_windows(0, 8, 8)


def test_scoring_a_position_twice_is_refused():
    scorer = StreamScorer(np.arange(9), torch.device("cpu"))

    def loss(inputs_BT, targets_BT, reduction="mean"):
        return torch.ones(inputs_BT.shape)

    scorer.score(loss, [Window(0, 4, 0)], 1)
    with pytest.raises(ValueError, match=r"positions 3 to 4 were scored before \(rule C4\)"):
        scorer.score(loss, [Window(1, 5, 3)], 1)


@pytest.mark.parametrize("batch_windows", [1, 2, 5, 100])
def test_losses_land_at_their_targets_for_any_batch(batch_windows):
    tokens = np.arange(100, 131)

    def loss(inputs_BT, targets_BT, reduction="mean"):
        assert reduction == "none"
        assert (targets_BT == inputs_BT + 1).all()
        return targets_BT.float()

    seen = []
    scorer = StreamScorer(
        tokens, torch.device("cpu"), progress=lambda done, total: seen.append((done, total))
    )
    scorer.score(loss, plan_windows(30, 8, 3), batch_windows)
    assert scorer.nats_N.tolist() == tokens[1:].tolist()
    assert seen[-1] == (30, 30)


@given(
    predictions=st.integers(1, 300),
    seq_len=st.integers(1, 32),
    phases=st.lists(st.floats(0.01, 0.99), unique=True, max_size=5).map(sorted),
)
def test_phases_keep_every_window_in_order_and_end_where_they_say(predictions, seq_len, phases):
    windows = plan_windows(predictions, seq_len, max(1, seq_len // 2))
    parts = list(cut_phases(windows, phases))
    assert [window for part in parts for window in part] == windows
    for phase in phases:
        ends = [part[-1].end for part in parts]
        assert any(phase * predictions <= end < phase * predictions + seq_len for end in ends)


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ([Window(0, 4, 0), Window(2, 6, 3)], "follows position 3 of 8"),
        ([Window(0, 4, 0), Window(4, 8, 5)], "follows position 3 of 8"),
        ([Window(0, 4, 0)], "end at position 4 of 8"),
        ([Window(0, 9, 0)], "follows position -1 of 8"),
    ],
)
def test_a_plan_that_skips_or_repeats_a_position_is_refused(windows, message):
    with pytest.raises(ValueError, match=message):
        check_coverage([make_lane([windows])], 8)
