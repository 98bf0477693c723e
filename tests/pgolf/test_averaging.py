"""EMA and SWA equal their closed forms."""

import pytest
import torch
from torch import nn

from pgolf.averaging import WeightAverage


def walk(average, model, steps, scales=None):
    """Random weights after each step; returns them, with the average told of each."""
    torch.manual_seed(0)
    seen = []
    for step in range(1, steps + 1):
        with torch.no_grad():
            model.weight.copy_(torch.randn(3, 4))
        seen.append(model.weight.detach().clone())
        average.update(step, scales[step - 1] if scales else 1.0)
    return seen


def test_ema_is_the_geometric_sum():
    model = nn.Linear(4, 3, bias=False)
    average = WeightAverage(model, "ema", decay=0.9)
    seen = walk(average, model, 6)
    average.apply()
    expected = 0.9**5 * seen[0] + sum(0.1 * 0.9 ** (5 - i) * seen[i] for i in range(1, 6))
    torch.testing.assert_close(model.weight.detach(), expected)


def test_swa_is_the_mean_of_every_kth_step():
    model = nn.Linear(4, 3, bias=False)
    average = WeightAverage(model, "swa", every=3)
    seen = walk(average, model, 10)
    average.apply()
    torch.testing.assert_close(model.weight.detach(), (seen[2] + seen[5] + seen[8]) / 3)
    assert average.count == 3


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_an_average_begins_in_the_warmdown(kind):
    model = nn.Linear(4, 3, bias=False)
    average = WeightAverage(model, kind, decay=0.5, every=1, below=0.2)
    seen = walk(average, model, 5, scales=[1.0, 0.6, 0.3, 0.2, 0.1])
    average.apply()
    torch.testing.assert_close(model.weight.detach(), (seen[3] + seen[4]) / 2)


def test_an_average_of_nothing_leaves_the_model_alone():
    model = nn.Linear(4, 3, bias=False)
    average = WeightAverage(model, "swa", every=50)
    seen = walk(average, model, 5)
    average.apply()
    assert torch.equal(model.weight, seen[-1])


def test_averaging_does_not_touch_the_weights_before_it_is_applied():
    model = nn.Linear(4, 3, bias=False)
    average = WeightAverage(model, "ema", decay=0.9)
    seen = walk(average, model, 4)
    assert torch.equal(model.weight, seen[-1])


def test_the_average_is_kept_in_fp32():
    model = nn.Linear(4, 3, bias=False, dtype=torch.bfloat16)
    average = WeightAverage(model, "ema", decay=0.99)
    seen = walk(average, model, 2)
    assert average.mean[0].dtype == torch.float32
    torch.testing.assert_close(average.mean[0], 0.99 * seen[0].float() + 0.01 * seen[1].float())
