"""Carried state: what each token sees is spelled out by a loop over the stream."""

import numpy as np
import pytest
import torch

from pgolf.evaluate import Stepwise, evaluate
from pgolf.evaluate.stateful import Stateful, StatefulConfig
from pgolf.evaluate.windows import check_coverage
from tests.pgolf.evaluate.fakes import TABLE, CarryingGPT, documents, random_model

TOKENS = documents(121, seed=8)


@pytest.fixture(scope="module")
def model():
    return random_model(kind=CarryingGPT)


@torch.no_grad()
def nats_by_hand(model, seen_by):
    """`seen_by(t)` is where position t's memory begins, and where its attention does."""
    x = model.tok_emb(torch.from_numpy(TOKENS.astype(np.int64)))
    nats = []
    for t in range(len(TOKENS) - 1):
        memory_from, attention_from = seen_by(t)
        memory = sum(0.8 ** (t - i) * x[i] for i in range(memory_from, t + 1))
        hidden = memory + x[attention_from : t + 1].mean(0)
        log_p = model.head(hidden[None, None])[0, 0].double().log_softmax(-1)
        nats.append(-float(log_p[int(TOKENS[t + 1])]))
    return nats


@pytest.mark.parametrize("window", [1, 7, 16])
def test_one_segment_never_forgets_but_by_its_window(model, window):
    method = Stateful(model, window, StatefulConfig(block_tokens=16, segments=1))
    expected = nats_by_hand(model, lambda t: (0, max(0, t + 1 - window)))
    np.testing.assert_allclose(evaluate(method, TOKENS, TABLE).nats_N, expected, atol=1e-4)


@pytest.mark.parametrize("warmup", [0, 1, 2])
def test_segments_begin_cold_but_for_their_warm_up(model, warmup):
    config = StatefulConfig(block_tokens=10, segments=3, warmup_blocks=warmup)
    first = {t: max(0, t // 40 * 40 - 10 * warmup) for t in range(120)}
    expected = nats_by_hand(model, lambda t: (first[t], max(first[t], t + 1 - 16)))
    method = Stateful(model, 16, config)
    np.testing.assert_allclose(evaluate(method, TOKENS, TABLE).nats_N, expected, atol=1e-4)


@pytest.mark.parametrize("overlap", [3, 8, 16])
def test_with_overlap_attention_sees_its_block_and_memory_all_tokens_once(model, overlap):
    block = 8
    method = Stateful(model, 16, StatefulConfig(block_tokens=block, overlap_tokens=overlap, segments=1))
    expected = nats_by_hand(model, lambda t: (0, max(0, (t - overlap) // block * block)))
    np.testing.assert_allclose(evaluate(method, TOKENS, TABLE).nats_N, expected, atol=1e-4)


@pytest.mark.parametrize(("overlap", "segments", "warmup"), [(5, 4, 0), (5, 4, 2), (12, 3, 1), (0, 50, 1)])
def test_step_by_step_gives_the_same_for_any_cut(model, overlap, segments, warmup):
    method = Stateful(model, 16, StatefulConfig(8, overlap, segments, warmup))
    fast = evaluate(method, TOKENS, TABLE).nats_N
    predictor = Stepwise(method, len(TOKENS) - 1)
    predictor.update(int(TOKENS[0]))
    for nats, token in zip(fast, TOKENS[1:].tolist(), strict=True):
        assert -float(predictor.log_probs()[token]) == pytest.approx(nats, abs=1e-4)
        predictor.update(token)


@pytest.mark.parametrize("predictions", [1, 5, 8, 9, 63, 64, 65, 200])
@pytest.mark.parametrize("overlap", [0, 3, 8, 20])
@pytest.mark.parametrize("segments", [1, 3, 64])
def test_any_stream_is_covered_once_by_no_more_lanes_than_rows(model, predictions, overlap, segments):
    lanes = Stateful(model, 16, StatefulConfig(8, overlap, segments, 2)).plan(predictions, [0])
    check_coverage(lanes, predictions)
    assert len(lanes) <= segments


def test_bad_settings_are_refused(model):
    for changes in ({"block_tokens": 0}, {"overlap_tokens": -1}, {"segments": 0}, {"warmup_blocks": -1}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            StatefulConfig(**changes)
