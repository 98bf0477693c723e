"""A stream that is cut into blocks gives what it gives whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from .reference import EVERYTHING, Reference, random_ids, random_model, small

LENGTH = 18
HYBRID = {"ssm_layers": (1,), "value_residual": True, "smear_gate": True}


def in_blocks(model, ids_BT, window, cuts):
    """The hidden states of a stream fed in blocks that end at `cuts` and at its end."""
    state, pieces = model.initial_state(ids_BT.size(0)), []
    for start, end in zip([0, *cuts], [*cuts, ids_BT.size(1)], strict=True):
        hidden, state = model.hidden_states_from(ids_BT[:, start:end], state, window)
        pieces.append(hidden)
    return torch.cat(pieces, dim=1)


cuts_of_a_stream = st.sets(st.integers(1, LENGTH - 1)).map(sorted)


@pytest.mark.parametrize("changes", [{}, EVERYTHING, HYBRID], ids=["baseline", "everything", "hybrid"])
@settings(max_examples=15, deadline=None)
@given(cuts=cuts_of_a_stream, window=st.integers(1, LENGTH + 2))
def test_blocks_with_carried_state_equal_one_call(changes, cuts, window):
    model, ids = random_model(small(**changes), std=0.2), random_ids(2, LENGTH)
    whole, _ = model.hidden_states_from(ids, model.initial_state(2), window)
    torch.testing.assert_close(in_blocks(model, ids, window, cuts), whole, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("window", [1, 3, 7])
@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["baseline", "everything"])
def test_blocks_equal_the_reference_with_a_band(changes, window):
    model, ids = random_model(small(**changes), std=0.2), random_ids(1, LENGTH)
    expected = torch.stack(Reference(model, window).hidden(ids[0].tolist()))[None]
    got = in_blocks(model, ids, window, [1, 6, 10, 12])
    torch.testing.assert_close(got.double(), expected, atol=5e-4, rtol=5e-4)


@pytest.mark.parametrize("changes", [{}, EVERYTHING, HYBRID], ids=["baseline", "everything", "hybrid"])
def test_a_window_over_the_whole_block_is_plain_attention(changes):
    model, ids = random_model(small(**changes)), random_ids(2, LENGTH)
    hidden, _ = model.hidden_states_from(ids, model.initial_state(2), window=LENGTH)
    assert torch.equal(hidden, model.hidden_states(ids))


def test_a_narrow_window_forgets_what_is_out_of_reach():
    """Three layers of window 2 reach three positions back, and no further."""
    model, ids = random_model(small()), random_ids(1, LENGTH)
    changed = ids.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 64
    before, after = (in_blocks(model, stream, 2, [4, 8]) for stream in (ids, changed))
    moved = (before != after).any(-1)[0].nonzero()[:, 0].tolist()
    assert moved == [5, 6, 7, 8]


def test_later_tokens_move_neither_hidden_states_nor_the_state():
    model, ids = random_model(small(**EVERYTHING)), random_ids(2, LENGTH)
    start = model.initial_state(2)
    _, state = model.hidden_states_from(ids[:, :7], start, 4)
    kept = [each.key_BKSE.clone() for each in state.runs]
    hidden, _ = model.hidden_states_from(ids[:, 7:], state, 4)
    changed = ids[:, 7:].clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 64
    again, _ = model.hidden_states_from(changed, state, 4)
    assert torch.equal(hidden[:, :6], again[:, :6])
    assert all(torch.equal(a, b.key_BKSE) for a, b in zip(kept, state.runs, strict=True))
    assert start.ids_BC.size(1) == 0


def test_the_state_does_not_grow():
    model = random_model(small(**EVERYTHING))
    state, sizes = model.initial_state(1), []
    for block in range(5):
        _, state = model.hidden_states_from(random_ids(1, 6, seed=block), state, 8)
        sizes.append({each.key_BKSE.size(2) for each in state.runs} | {state.ids_BC.size(1)})
    assert sizes == [{6}, {8}, {8}, {8}, {8}]
    assert len(state.runs) == 6  # four layers, two of them run twice


def test_streams_of_a_batch_do_not_see_each_other():
    model, ids = random_model(small(**EVERYTHING)), random_ids(3, LENGTH)
    changed = ids.clone()
    changed[1] = (changed[1] + 1) % 64
    before, after = (in_blocks(model, stream, 5, [7]) for stream in (ids, changed))
    assert torch.equal(before[[0, 2]], after[[0, 2]])


@torch.no_grad()
def test_carrying_compiles_as_one_graph():
    torch.compiler.reset()
    model, ids = random_model(small(**EVERYTHING)), random_ids(1, 12)
    compiled = torch.compile(model.hidden_states_from, fullgraph=True, dynamic=False, backend="eager")
    _, state = model.hidden_states_from(ids[:, :6], model.initial_state(1), 4)
    torch.testing.assert_close(
        compiled(ids[:, 6:], state, 4)[0], model.hidden_states_from(ids[:, 6:], state, 4)[0]
    )


def test_a_state_that_does_not_fit_is_refused():
    model = random_model(small())
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        model.hidden_states_from(random_ids(1, 4), model.initial_state(1), 0)
    with pytest.raises(ValueError, match="state is of 2 streams, the ids of 1"):
        model.hidden_states_from(random_ids(1, 4), model.initial_state(2), 3)
