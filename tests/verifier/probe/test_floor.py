"""The floor: no legal predictor reaches the threshold, and a known leak is measured to the bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.probe.builders import SMALL, TapeBuilder, run, scored, stream
from verifier.probe.device import BFLOAT16_ROUNDING, FLOAT32_ROUNDING
from verifier.probe.floor import floor_of_print, floor_of_scores, slack_nats, threshold_bits
from verifier.probe.passes import Pass
from verifier.probe.stream import Stream

LN2 = math.log(2)


def as_pass(drawn: Stream, losses: np.ndarray) -> Pass:
    (found,) = run("uniform", drawn, scored(drawn, losses)).passes
    return found


@pytest.mark.parametrize("leaked", [0, 1, 100, 400])
def test_a_known_leak_is_measured_as_its_bits(leaked: int) -> None:
    drawn = stream(SMALL, targets=1000)
    losses = drawn.code_length_nats().copy()
    drawn_at = np.flatnonzero(losses > 0)
    losses[drawn_at[:leaked]] -= LN2  # one bit at each: the predictor knew which half of the alphabet
    floor = floor_of_scores(as_pass(drawn, losses), drawn, numbers=1)
    assert floor.gain_bits == pytest.approx(
        leaked - slack_nats(losses[drawn_at], FLOAT32_ROUNDING).sum() / LN2, abs=1e-9
    )
    assert floor.broken == (leaked >= 100)
    assert floor.tokens == drawn_at.size
    assert floor.sensitivity_nats >= 64 * LN2 / 1000


def test_each_position_counts_with_its_first_score_alone() -> None:
    drawn = stream(SMALL, targets=1000)
    losses = drawn.code_length_nats()
    builder = TapeBuilder()
    builder.score(range(1, 1001), losses[1:])
    builder.score(range(1, 501), 0.0)  # the same positions again, better
    builder.print(float((losses[1:].sum() + 0.0) / 1500))
    (found,) = run("uniform", drawn, builder).passes
    assert found.reconciled
    floor = floor_of_scores(found, drawn, numbers=1)
    assert floor.gain_bits < 0
    assert not floor.broken


def test_what_a_model_pays_for_document_starts_hides_nothing() -> None:
    drawn = stream(SMALL, targets=1000)
    losses = drawn.code_length_nats().copy()
    starts = np.flatnonzero(losses == 0)[1:]
    cheap, dear = losses.copy(), losses.copy()
    cheap[starts], dear[starts] = 0.0, 7.0
    gains = [floor_of_scores(as_pass(drawn, each), drawn, 1).gain_bits for each in (cheap, dear)]
    assert gains[0] == gains[1]


def test_what_is_no_number_proves_nothing() -> None:
    drawn = stream(SMALL, targets=1000)
    builder = TapeBuilder()
    builder.score(range(1, 1001), 0.0)
    losses = np.zeros(1001)
    (found,) = run("uniform", drawn, scored(drawn, losses)).passes
    assert floor_of_scores(found, drawn, 1).broken
    found.scores[0].values[3] = math.nan
    floor = floor_of_scores(found, drawn, 1)
    assert floor.gain_bits == -math.inf
    assert not floor.broken


def test_thresholds() -> None:
    assert threshold_bits(1) == 64
    assert threshold_bits(8) == 67
    assert threshold_bits(1, repeats=4) == 4 * (64 + 2)
    assert threshold_bits(16, repeats=2) == 2 * (68 + 1)


@given(st.integers(1, 500), st.integers(1, 64))
def test_more_numbers_and_more_repeats_never_lower_the_threshold(numbers: int, repeats: int) -> None:
    assert threshold_bits(numbers, repeats) >= threshold_bits(1) == 64
    assert threshold_bits(numbers + 1, repeats) >= threshold_bits(numbers, repeats)
    assert threshold_bits(numbers, repeats + 1) > threshold_bits(numbers, repeats)


def test_a_printed_mean_pays_for_its_rounding_and_a_dropped_tail() -> None:
    drawn = stream(SMALL, targets=1000)
    unknown = TapeBuilder()
    unknown.print(drawn.entropy_nats - 0.5, digits=4)
    (found,) = run("uniform", drawn, unknown).passes
    assert not found.reconciled
    floor = floor_of_print(found, drawn, numbers=1, repeats=4, dropped=128)
    rounded = (
        found.loss_nats * (1 + FLOAT32_ROUNDING) + 0.5e-4 + slack_nats(found.loss_nats, FLOAT32_ROUNDING)
    )
    # The 128 dropped positions may all have been drawn ones, so what is left holds every document start.
    left_nats = 1000 * drawn.entropy_nats - 128 * float(drawn.code_length_nats().max())
    assert floor.gain_bits == pytest.approx((left_nats - 872 * rounded) / LN2, rel=1e-12)
    assert floor.threshold_bits == 4 * 66
    assert floor.broken
    assert not floor.once_each


@pytest.mark.parametrize(
    ("dtype", "rounding"), [(torch.bfloat16, BFLOAT16_ROUNDING), (torch.float32, FLOAT32_ROUNDING)]
)
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.01, 40), softcap=st.floats(1, 30))
def test_a_rounded_score_lies_within_its_slack(
    dtype: torch.dtype, rounding: float, seed: int, spread: float, softcap: float
) -> None:
    drawn = spread * torch.randn(64, 100, generator=torch.Generator().manual_seed(seed))
    logits = (softcap * torch.tanh(drawn / softcap)).to(dtype)
    exact = torch.logsumexp(logits.double(), dim=1, keepdim=True) - logits.double()
    scores = torch.logsumexp(logits, dim=1, keepdim=True) - logits
    lowest = exact.numpy() - slack_nats(scores.double().numpy(), rounding)
    assert (lowest <= scores.double().numpy()).all()
