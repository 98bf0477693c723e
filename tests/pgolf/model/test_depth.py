"""Looped layers are a deeper model whose blocks are tied; skips pair up around the middle."""

import pytest
import torch

from pgolf.model import GPT
from pgolf.model.depth import layer_order, num_skips

from .reference import random_ids, random_model, small


@pytest.mark.parametrize(
    ("changes", "order"),
    [
        ({"num_layers": 3}, [0, 1, 2]),
        ({"num_layers": 4, "loop_start": 1, "loop_end": 2, "loop_count": 2}, [0, 1, 2, 1, 2, 3]),
        ({"num_layers": 3, "loop_start": 0, "loop_end": 2, "loop_count": 2}, [0, 1, 2, 0, 1, 2]),
        ({"num_layers": 1, "loop_count": 3}, [0, 0, 0]),
        # The order that records of April print in their logs: encoder [0,1,2,3,4,5,3,4], decoder [5,3,...,10].
        (
            {"num_layers": 11, "loop_start": 3, "loop_end": 5, "loop_count": 3},
            [0, 1, 2, 3, 4, 5, 3, 4, 5, 3, 4, 5, 6, 7, 8, 9, 10],
        ),
    ],
)
def test_the_order_of_runs(changes, order):
    config = small(**changes)
    assert list(layer_order(config)) == order
    assert num_skips(config) == len(order) // 2
    assert num_skips(small(**changes, unet_skips=False)) == 0


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize(("start", "end", "count"), [(1, 2, 2), (0, 1, 3), (3, 3, 2)])
def test_a_looped_model_equals_the_unrolled_one_with_tied_blocks(start, end, count, skips):
    config = small(num_layers=4, loop_start=start, loop_end=end, loop_count=count, unet_skips=skips)
    looped = random_model(config)
    order = layer_order(config)
    unrolled = GPT(small(num_layers=len(order), unet_skips=skips))
    unrolled.tok_emb = looped.tok_emb
    unrolled.skip_weights = looped.skip_weights
    for run, layer in enumerate(order):
        unrolled.blocks[run] = looped.blocks[layer]
    ids = random_ids(2, 9)
    assert torch.equal(looped(ids), unrolled(ids))
    looped.loss(ids[:, :-1], ids[:, 1:]).backward()
    shared = looped.blocks[start].mlp.up.weight.grad.clone()
    looped.zero_grad()
    unrolled.loss(ids[:, :-1], ids[:, 1:]).backward()
    torch.testing.assert_close(looped.blocks[start].mlp.up.weight.grad, shared)


def test_looping_costs_no_weights_but_the_skips():
    plain, looped = GPT(small(num_layers=4)), GPT(small(num_layers=4, loop_start=1, loop_end=2, loop_count=2))
    assert looped.num_parameters() - plain.num_parameters() == 32  # one more skip
