"""The state-space mixer: its fast path is the recurrence, its state is the whole past, and it learns recall."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pgolf.layers import MLP, rms_norm
from pgolf.state_space import LOG_DECAY_FLOOR, MixerState, StateSpaceMixer, chunked, recurrent

B, H, N, E, D = 2, 3, 5, 4, 12


def scan_inputs(length, seed=0, resets=0.1, dtype=torch.float32):
    """Queries, keys, values, log decays, resets and a memory that is not empty."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    decays = -torch.exp(3 * normal(B, length, H)).clamp(max=-LOG_DECAY_FLOOR)  # from 1e-4 to the floor
    reset_BT = torch.rand(B, length, generator=generator) < resets
    return (
        normal(B, length, N),
        normal(B, length, N),
        normal(B, length, H, E),
        decays,
        reset_BT,
        normal(B, H, N, E),
    )


def random_mixer(seed=0, **sizes):
    """Every parameter moved off its start: a zero projection would hide mistakes."""
    torch.manual_seed(seed)
    mixer = StateSpaceMixer(D, H, **{"state_dim": N, "chunk": 4, **sizes})
    for parameter in mixer.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.5)
    return mixer


def written_out(query, key, value, log_decay, reset, memory):
    """The definition as a sum over pairs, in fp64 numpy: no recurrence, no running sum."""
    query, key, value, log_decay, memory = (
        x.double().numpy() for x in (query, key, value, log_decay, memory)
    )
    reset = reset.numpy()
    y = np.zeros_like(value)
    for b, t, h in np.ndindex(B, query.shape[1], H):
        if not reset[b, : t + 1].any():
            y[b, t, h] += math.exp(log_decay[b, : t + 1, h].sum()) * query[b, t] @ memory[b, h]
        for s in range(t + 1):
            if not reset[b, s + 1 : t + 1].any():
                weight = math.exp(log_decay[b, s + 1 : t + 1, h].sum())
                y[b, t, h] += weight * (query[b, t] @ key[b, s]) * value[b, s, h]
    return torch.from_numpy(y)


@given(
    length=st.integers(1, 40),
    chunk=st.integers(1, 48),
    seed=st.integers(0, 999),
    resets=st.sampled_from([0.0, 0.2]),
)
@settings(deadline=None, max_examples=40)
def test_the_fast_path_is_the_recurrence_for_any_length_chunk_and_state(length, chunk, seed, resets):
    inputs = scan_inputs(length, seed, resets)
    slow, fast = recurrent(*inputs), chunked(*inputs, chunk=chunk)
    torch.testing.assert_close(fast.y_BTHE, slow.y_BTHE, atol=3e-5, rtol=1e-5)
    torch.testing.assert_close(fast.memory_BHNE, slow.memory_BHNE, atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize("resets", [0.0, 0.3])
def test_both_paths_are_the_sum_over_pairs(resets):
    inputs = scan_inputs(13, seed=3, resets=resets)
    expected = written_out(*inputs)
    torch.testing.assert_close(recurrent(*inputs).y_BTHE.double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(chunked(*inputs, chunk=4).y_BTHE.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("length", "chunk"), [(1, 4), (9, 3), (11, 4), (7, 16)])
def test_gradients_of_the_fast_path_are_those_of_the_recurrence(length, chunk):
    def gradients(path, **options):
        *floats, reset, memory = (x.clone() for x in scan_inputs(length, seed=1, resets=0.2))
        leaves = [x.requires_grad_() for x in (*floats, memory)]
        y, after = path(*leaves[:4], reset, leaves[4], **options)
        torch.autograd.backward((y * y).sum() + after.sin().sum())
        return [leaf.grad for leaf in leaves]

    for fast, slow in zip(gradients(chunked, chunk=chunk), gradients(recurrent), strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)


@given(
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    width=st.integers(1, 5),
    seed=st.integers(0, 99),
    resets=st.sampled_from([0.0, 0.3]),
)
@settings(deadline=None, max_examples=25)
def test_a_stream_cut_into_blocks_is_the_stream_in_one_call(cuts, width, seed, resets):
    mixer = random_mixer(seed, conv_width=width)
    x = torch.randn(B, sum(cuts), D)
    reset = torch.rand(B, sum(cuts)) < resets
    whole, end = mixer(x, reset_BT=reset)
    state, parts = mixer.initial_state(B), []
    for block, block_reset in zip(x.split(cuts, 1), reset.split(cuts, 1), strict=True):
        part, state = mixer(block, state, block_reset)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(state, end, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("position", [0, 3, 4, 10])
def test_later_inputs_never_move_earlier_outputs(position):
    mixer = random_mixer()
    x = torch.randn(B, 11, D)
    changed = x.clone()
    changed[:, position:] = 100 * torch.randn(B, 11 - position, D)
    before, after = mixer(x)[0], mixer(changed)[0]
    assert torch.equal(before[:, :position], after[:, :position])
    assert not torch.equal(before[:, position:], after[:, position:])


def test_an_earlier_document_never_reaches_a_later_one():
    mixer = random_mixer()
    x = torch.randn(B, 11, D)
    reset = torch.zeros(B, 11, dtype=torch.bool)
    reset[:, 6] = True
    changed = x.clone()
    changed[:, :6] = 100 * torch.randn(B, 6, D)
    (before, kept), (after, kept_too) = mixer(x, reset_BT=reset), mixer(changed, reset_BT=reset)
    assert torch.equal(before[:, 6:], after[:, 6:])
    assert all(torch.equal(a, b) for a, b in zip(kept, kept_too, strict=True))


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_documents_packed_with_resets_are_documents_run_alone(lengths, seed):
    mixer = random_mixer(seed)
    documents = [torch.randn(1, length, D) for length in lengths]
    reset = torch.zeros(1, sum(lengths), dtype=torch.bool)
    reset[:, np.cumsum([0, *lengths[:-1]])] = True
    leftover = MixerState(*(torch.randn_like(part) for part in mixer.initial_state(1)))
    packed, end = mixer(torch.cat(documents, 1), leftover, reset)
    alone = [mixer(document) for document in documents]
    torch.testing.assert_close(packed, torch.cat([y for y, _ in alone], 1), atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(end, alone[-1][1], atol=2e-5, rtol=1e-4)


def test_the_convolution_is_torchs_own_depthwise_convolution():
    mixer = random_mixer(conv_width=4)
    raw = torch.randn(B, 9, 2 * N + D)
    past = torch.randn(B, 3, 2 * N + D)
    mixed, kept = mixer._convolve(raw, past, torch.zeros(B, 9, dtype=torch.bool))
    weight = mixer.conv_taps.flip(0).T[:, None]  # conv1d's last tap is the present
    expected = F.conv1d(torch.cat((past, raw), 1).mT, weight, groups=weight.size(0)).mT
    torch.testing.assert_close(mixed, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(kept, raw[:, -3:])


def test_a_hundred_thousand_steps_neither_grow_nor_lose_the_memory():
    # Constant keys and values make the memory a geometric sum, known in closed form.
    steps, block = 100_000, 1000
    logs = torch.tensor([0.0, -1e-6, -1e-3, -1.0, -50.0, LOG_DECAY_FLOOR])
    memory = torch.zeros(1, 6, 1, 1)
    for start in range(0, steps, block):
        size = min(block, steps - start)
        ones = torch.ones(1, size, 1)
        y, memory = chunked(
            ones, ones, torch.ones(1, size, 6, 1), logs.expand(1, size, 6), torch.zeros(1, size).bool(), memory,
            chunk=64,
        )  # fmt: skip
        assert y.isfinite().all()
    decay = logs.double().exp().numpy()
    with np.errstate(invalid="ignore"):
        expected = np.where(decay == 1, steps, (1 - decay**steps) / (1 - decay))
    np.testing.assert_allclose(memory.flatten().numpy(), expected, rtol=3e-5)


def test_a_token_that_forgets_all_does_not_blur_the_decays_after_it():
    # With fp32 running sums the last decays would be read off differences of numbers near 12,000.
    length = 64
    logs = torch.full((1, length, 1), LOG_DECAY_FLOOR)
    logs[:, -4:] = -1e-3
    key, value = torch.zeros(1, length, 1), torch.ones(1, length, 1, 1)
    key[:, -5] = 1
    ones = torch.ones(1, length, 1)
    y = chunked(
        ones, key, value, logs, torch.zeros(1, length).bool(), torch.ones(1, 1, 1, 1), chunk=64
    ).y_BTHE
    np.testing.assert_allclose(y[0, -5:, 0, 0], np.exp(-1e-3 * np.arange(5)), rtol=1e-6)


@pytest.mark.parametrize("bias", [-200.0, 200.0])
def test_extreme_decays_and_their_gradients_stay_finite(bias):
    mixer = random_mixer()
    mixer.dt_bias.data.fill_(bias)
    mixer.A_log.data.copy_(torch.tensor([-100.0, 0.0, 100.0]))  # exp overflows fp32
    y, state = mixer(torch.randn(B, 300, D))
    torch.autograd.backward(y.square().mean())
    assert y.isfinite().all()
    assert state.memory_BHNE.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in mixer.parameters())


def test_bf16_inputs_give_bf16_outputs_and_an_fp32_state_near_the_exact_one():
    mixer = random_mixer()
    x = torch.randn(B, 50, D)
    exact, exact_state = mixer(x)
    rounded, state = mixer(x.bfloat16())
    assert rounded.dtype == torch.bfloat16
    assert all(part.dtype == torch.float32 for part in state)
    assert all(parameter.dtype == torch.float32 for parameter in mixer.parameters())
    assert (rounded - exact).norm() < 0.03 * exact.norm()
    assert (state.memory_BHNE - exact_state.memory_BHNE).norm() < 0.03 * exact_state.memory_BHNE.norm()


def test_a_new_mixer_adds_nothing_and_its_heads_remember_from_one_to_a_thousand_tokens():
    mixer = StateSpaceMixer(64, 4)
    x = torch.randn(1, 5, 64)
    assert torch.equal(mixer(x)[0], torch.zeros(1, 5, 64))
    lengths = 1 / (F.softplus(mixer.dt_bias) * mixer.A_log.exp())
    torch.testing.assert_close(lengths, torch.tensor([1.0, 10.0, 100.0, 1000.0]), rtol=1e-3, atol=0)


def test_every_parameter_is_trained():
    mixer = random_mixer()
    torch.autograd.backward(mixer(torch.randn(B, 9, D))[0].square().sum())
    assert all(parameter.grad.abs().sum() > 0 for parameter in mixer.parameters())


def test_it_compiles_as_one_graph():
    mixer = random_mixer()
    x, reset = torch.randn(B, 9, D), torch.rand(B, 9) < 0.2
    compiled = torch.compile(mixer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, mixer.initial_state(B), reset), mixer(x, None, reset))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"model_dim": 12, "num_heads": 5}, "model_dim 12 must be a multiple of num_heads 5"),
        ({"model_dim": 12, "num_heads": 3, "conv_width": 0}, "conv_width must be at least 1, got 0"),
        ({"model_dim": 12, "num_heads": 3, "chunk": -1}, "chunk must be at least 1, got -1"),
    ],
)
def test_impossible_sizes_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        StateSpaceMixer(**sizes)


# -- it works: associative recall -------------------------------------------------------------------------

PAIRS, SYMBOLS = 3, 6


class Recaller(nn.Module):
    """Embedding, one mixer or none, one MLP, head."""

    def __init__(self, with_mixer, width=32):
        super().__init__()
        self.embedding = nn.Embedding(2 * SYMBOLS, width)
        self.mixer = StateSpaceMixer(width, 2, state_dim=16, chunk=4) if with_mixer else None
        self.mlp = MLP(width, 2)
        self.head = nn.Linear(width, SYMBOLS)

    def forward(self, ids):
        x = self.embedding(ids)
        if self.mixer is not None:
            x = x + self.mixer(rms_norm(x))[0]
        x = x + self.mlp(rms_norm(x))
        return self.head(rms_norm(x))[:, -1]


def recall_batch(generator, size=64):
    """Keys (0-5) each followed by its value (6-11), then one of the keys again: which value was it?"""
    keys = torch.rand(size, SYMBOLS, generator=generator).argsort(1)[:, :PAIRS]
    values = torch.randint(SYMBOLS, (size, PAIRS), generator=generator)
    asked = torch.randint(PAIRS, (size, 1), generator=generator)
    pairs = torch.stack((keys, values + SYMBOLS), -1).flatten(1)
    return torch.cat((pairs, keys.gather(1, asked)), 1), values.gather(1, asked)[:, 0]


def recall_accuracy(with_mixer, steps=200):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = Recaller(with_mixer)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        ids, answers = recall_batch(generator)
        adam.zero_grad()
        torch.autograd.backward(F.cross_entropy(model(ids), answers))
        adam.step()
    ids, answers = recall_batch(generator, 1000)
    return (model(ids).argmax(-1) == answers).float().mean().item()


def test_a_model_with_the_mixer_recalls_what_one_without_it_cannot():
    assert recall_accuracy(with_mixer=True) > 0.9
    assert recall_accuracy(with_mixer=False) < 0.5  # a sixth is chance, and a third is one of the values seen
