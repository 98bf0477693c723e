"""No later token moves an earlier score, for every evaluation method and any window, stride and batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgolf.evaluate import METHODS, MethodConfig, TTTConfig, evaluate
from pgolf.evaluate.bias import BiasConfig
from pgolf.evaluate.doc_lora import DocLoRAConfig
from pgolf.evaluate.method import Method
from pgolf.evaluate.mixer import Mixed
from pgolf.evaluate.ngram import NgramConfig
from pgolf.evaluate.sliding import Sliding
from pgolf.evaluate.slot import SLOTConfig
from pgolf.evaluate.stateful import StatefulConfig
from pgolf.evaluate.tilt import TiltConfig, TiltMixer
from pgolf.evaluate.ttt import ScoreFirstTTT
from pgolf.model import GPT
from pgolf.testing import NotCausal, assert_causal
from pgolf.testing.strategies import WindowPlan, streams, window_plans
from tests.pgolf.evaluate.fakes import BOS, TABLE, VOCAB, CarryingGPT, random_model
from tests.properties.profile import assert_refuted, examples

PLANS = window_plans(max_predictions=25, min_seq_len=4, max_seq_len=14)
STREAMS = streams(VOCAB, min_size=26, max_size=26)
CASES = {
    "plan": PLANS,
    "tokens": STREAMS,
    "batch": st.integers(1, 9),
    "chunk": st.integers(1, 30),
    "shape": st.sampled_from([0, 1, 2]),
}
MOVED_BY_ROUNDING = {"doc-lora"}
"""A document's end changes which rows share a batch, and with it the shape of a matrix product."""
ROUNDING_NATS = 1e-4

Make = Callable[[GPT, MethodConfig], Method | Mixed]


@cache
def model(kind: type[GPT]) -> GPT:
    return random_model(kind=kind)


def settings_of(plan: WindowPlan, chunk: int, shape: int) -> MethodConfig:
    """Every length that a method has follows what was drawn."""
    orders = ((2, 3), (3, 7), (2, 22))[shape]
    return MethodConfig(
        seq_len=plan.seq_len,
        stride=plan.stride,
        bos_id=BOS,
        ttt=TTTConfig(chunk_tokens=chunk, epochs=1, lr=0.05, batch_seqs=2),
        ttt_adamw=TTTConfig(chunk_tokens=chunk, epochs=1, optimizer="adamw", lr=0.01, batch_seqs=2),
        phases=((0.5,), (0.2, 0.4), (1 / 3, 2 / 3))[shape],
        stateful=StatefulConfig(block_tokens=plan.stride, segments=shape + 1, warmup_blocks=shape),
        overlap_tokens=plan.seq_len - plan.stride + 1,
        doc_lora=DocLoRAConfig(chunk_tokens=min(chunk, plan.seq_len), rank=2, lr=0.05, documents=shape + 1),
        slot=SLOTConfig(steps=2, lr=0.05),
        ngram=NgramConfig(*orders, buckets=(1, 64, 4_194_304)[shape]),
        tilt=TiltConfig(*orders, buckets=(1, 64, 4_194_304)[shape], threshold=shape / 2),
        bias=BiasConfig(chunk_tokens=chunk),
    )


def check_flips(
    make: Make,
    kind: type[GPT],
    tolerance_nats: float,
    plan: WindowPlan,
    tokens: np.ndarray,
    batch: int,
    chunk: int,
    shape: int,
    flips: int = 2,
) -> None:
    method = make(model(kind), settings_of(plan, chunk, shape))

    def score(stream: np.ndarray) -> np.ndarray:
        return evaluate(method, stream.astype(np.uint16), TABLE, batch_windows=batch).nats_N

    assert_causal(score, tokens[: plan.predictions + 1], VOCAB, flips=flips, tolerance_nats=tolerance_nats)


@pytest.mark.parametrize("name", METHODS)
@examples(6)
@given(**CASES)
def test_every_method(
    name: str, plan: WindowPlan, tokens: np.ndarray, batch: int, chunk: int, shape: int
) -> None:
    kind = CarryingGPT if name == "stateful" else GPT
    tolerance_nats = ROUNDING_NATS if name in MOVED_BY_ROUNDING else 0.0
    check_flips(METHODS[name], kind, tolerance_nats, plan, tokens, batch, chunk, shape)


class FutureMean(Sliding):
    """A ten-thousandth of the mean over the whole window is added to each position."""

    def logits(self, inputs_BT, windows, where):
        mean_B1 = inputs_BT.float().mean(dim=1, keepdim=True)
        return super().logits(inputs_BT, windows, where) * (1 + 1e-4 * mean_B1[where.rows_P])


class TokenAfterNext(Sliding):
    """A mask that is off by two: off by one shows no more than the token that is scored, and sums to over one."""

    def logits(self, inputs_BT, windows, where):
        logits_PV = super().logits(inputs_BT, windows, where)
        seen_P = inputs_BT[where.rows_P, (where.columns_P + 2).clamp_max(inputs_BT.size(1) - 1)]
        return logits_PV.scatter_add(
            1, seen_P[:, None], torch.full_like(seen_P[:, None], 0.5, dtype=torch.float)
        )


class BatchDelta(Sliding):
    """One number for all windows of a batch, from what all of them read."""

    def logits(self, inputs_BT, windows, where):
        return super().logits(inputs_BT, windows, where) * (1 + 1e-3 * inputs_BT.float().std(unbiased=False))


class LearnsFromTheWholeChunkFirst(ScoreFirstTTT):
    """Trains on the inputs of the windows that it is about to score."""

    @torch.enable_grad()
    def logits(self, inputs_BT, windows, where):
        if inputs_BT.size(1) > 1:
            self.optimizer.zero_grad()
            self.loss(inputs_BT[:, :-1].contiguous(), inputs_BT[:, 1:].contiguous()).backward()
            self.optimizer.step()
        with torch.no_grad():
            return super().logits(inputs_BT, windows, where)


class PeekingHints:
    """A tilt whose hint is looked up one token late."""

    def __init__(self, config: TiltConfig) -> None:
        self.mixer = TiltMixer(VOCAB, config)
        self.name = "peeking"
        self.hinted, self.mixed_nats = self.mixer.hinted, self.mixer.mixed_nats

    def hints(self, tokens_N: torch.Tensor) -> torch.Tensor:
        return torch.cat((tokens_N[2:], tokens_N[-1:]))


ILLEGAL: dict[str, Make] = {
    "future mean": lambda gpt, config: FutureMean(gpt, config.seq_len, config.stride),
    "mask off by two": lambda gpt, config: TokenAfterNext(gpt, config.seq_len, config.stride),
    "batch-shared delta": lambda gpt, config: BatchDelta(gpt, config.seq_len, config.stride),
    "learns before it scores": lambda gpt, config: LearnsFromTheWholeChunkFirst(
        gpt, config.seq_len, config.stride, config.ttt
    ),
    "hint from the next token": lambda gpt, config: Mixed(
        Sliding(gpt, config.seq_len, config.stride), PeekingHints(config.tilt)
    ),
}


@pytest.mark.mutant
@pytest.mark.parametrize("name", ILLEGAL)
def test_an_illegal_method_is_caught(name: str) -> None:
    message = assert_refuted(lambda **case: check_flips(ILLEGAL[name], GPT, 0.0, **case, flips=25), **CASES)
    assert "depends on token" in message


def test_the_tolerance_of_rounding_is_no_licence() -> None:
    """What is allowed to doc-lora still catches a leak of a ten-thousandth of the window's mean."""

    def check(**case: object) -> None:
        check_flips(ILLEGAL["future mean"], GPT, ROUNDING_NATS, **case, flips=25)

    assert "depends on token" in assert_refuted(check, **(CASES | {"plan": st.just(WindowPlan(25, 14, 7))}))


def test_the_counterexample_is_two_streams_that_differ_in_one_token() -> None:
    tokens = np.arange(2, 27)
    with pytest.raises(NotCausal) as caught:
        check_flips(ILLEGAL["mask off by two"], GPT, 0.0, WindowPlan(24, 12, 6), tokens, 4, 8, 0, flips=25)
    found = caught.value
    assert np.flatnonzero(found.tokens != found.other).tolist() == [found.changed]
    assert found.scored < found.changed
    config = settings_of(WindowPlan(24, 12, 6), 8, 0)
    scores = [
        evaluate(
            ILLEGAL["mask off by two"](model(GPT), config), each.astype(np.uint16), TABLE, batch_windows=4
        ).nats_N
        for each in (found.tokens, found.other)
    ]
    assert abs(scores[0] - scores[1])[found.scored - 1] == pytest.approx(found.moved_nats)
