"""Scoring functions called again: mass over the vocabulary, and later ids of a window."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.verifier.probe.child.whole import VOCAB, Done, key_of, run_child
from verifier.probe.tape import Call, MassTest, Score, WindowTest

SCRIPT = """\
import numpy as np
import torch
import torch.nn.functional as F

tokens = torch.from_numpy(np.fromfile("data/fineweb_val_000000.bin", dtype="<u2", offset=1024).astype(np.int64))
torch.manual_seed(3)
table = torch.randn(64, 64)
pairs, contexts = torch.zeros(257), torch.zeros(257)


def softmax_nats(x, y):
    return F.cross_entropy(table[x].flatten(0, 1), y.flatten(), reduction="none").view(y.shape)


def tilted(x, y):
    logp = torch.log_softmax(table[x], dim=-1)
    hint = x.roll(1, dims=1)
    own = -logp.gather(2, y[..., None])[..., 0]
    z = torch.log1p(logp.gather(2, hint[..., None])[..., 0].exp() * np.expm1(0.5))
    return own - 0.5 * (y == hint).float() + z


def hashed(x, y):
    nats = softmax_nats(x, y)
    seen = contexts[x % 257]
    cached = pairs[(x * 36313 ^ y * 27191) % 257] / seen.clamp_min(1)
    return torch.where(seen > 1, -torch.log(0.5 * torch.exp(-nats) + 0.5 * cached.clamp(max=1)), nats)


class Mixer:
    def scores(self, x, y):
        nats = hashed(x, y)
        return nats, nats.mean()


mixer = Mixer()


def handed(own, x, y):
    # A legal tilt of a loss that was gathered outside.
    hint = x.roll(1, dims=1)
    logp = torch.log_softmax(table[x], dim=-1)
    z = torch.log1p(logp.gather(2, hint[..., None])[..., 0].exp() * np.expm1(2.0))
    return own - 2.0 * (y == hint).float() + z


held = []


def held_elsewhere(x, y):
    return handed(held[-1], x, y)


def counted_elsewhere(x, y, cached):
    # Legal too: counts of the past, normalised, that a dictionary gave for the realised tokens.
    return -torch.log(0.5 * torch.exp(-softmax_nats(x, y)) + 0.5 * cached)


def counting(x, y):
    # What it scores it counts, so that a second call is another one.
    counts_VV = torch.full((64, 64), 0.5)
    for before, after in counted:
        counts_VV.index_put_((before, after), torch.ones(before.numel()), accumulate=True)
    counted.append((x.flatten().clone(), y.flatten().clone()))
    return -torch.log(counts_VV[x, y] / counts_VV.sum(1)[x])


def at_once(x, y):
    return tilted(x[None], y[None])[0]


def at_once_hashed(x, y):
    return hashed(x[None], y[None])[0]


def at_once_counting(x, y):
    return counting(x, y)


def at_once_scaling(x, y):
    # Each call halves what it reads.
    scale.mul_(0.5)
    return tilted(x[None], y[None])[0] - scale


def at_once_handed(own, x, y):
    return handed(own[None], x[None], y[None])[0]


counted, pair_counts, scale = [], {}, torch.ones(())


def probabilities(x, y):
    return torch.exp(-softmax_nats(x, y))


def byte_counts(x, y):
    return (y % 3).float() + 0.0 * x


def causal(model, x):
    seen = torch.ones(x.size(1), x.size(1)).tril()
    return torch.einsum("ts,bsv->btv", seen, table[x]) / 8


def peeking(model, x):
    seen = torch.ones(x.size(1), x.size(1)).tril(1)
    return torch.einsum("ts,bsv->btv", seen, table[x]) / 8


for at in range(0, 1024, 256):
    x, y = tokens[at : at + 256].view(4, 64), tokens[at + 1 : at + 257].view(4, 64)
    for score in (softmax_nats, tilted, hashed, probabilities, byte_counts):
        score(x, y).sum()
    mixer.scores(x, y)[0].sum()
    own = softmax_nats(x, y)
    handed(own, x, y).sum()
    held.append(torch.from_numpy(own.numpy().copy()))
    held_elsewhere(x, y).sum()
    cached = []
    for before, after in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True):
        row = pair_counts.setdefault(before, [0.5] * 64)
        cached.append(row[after] / sum(row))
    counted_elsewhere(x, y, torch.tensor(cached).view(y.shape)).sum()
    for before, after in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True):
        pair_counts[before][after] += 1.0
    counting(x, y).sum()
    for logits in (causal, peeking):
        F.cross_entropy(logits(None, x).flatten(0, 1), y.flatten(), reduction="none").sum()
    ones = torch.ones(256)
    contexts.index_put_((x.flatten() % 257,), ones, accumulate=True)
    pairs.index_put_(((x * 36313 ^ y * 27191).flatten() % 257,), ones, accumulate=True)
for whole in (at_once, at_once_hashed, at_once_counting, at_once_scaling):
    whole(tokens[:-1], tokens[1:]).sum()
at_once_handed(softmax_nats(tokens[None, :-1], tokens[None, 1:])[0], tokens[:-1], tokens[1:]).sum()
print("done", float(table.sum()))
"""
FUNCTIONS = (
    "softmax_nats",
    "tilted",
    "hashed",
    "probabilities",
    "byte_counts",
    "causal",
    "peeking",
    "scores",
    "counted_elsewhere",
    "counting",
)
ONCE = ("at_once", "at_once_hashed", "at_once_counting", "at_once_scaling", "at_once_handed")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    last = {key_of(SCRIPT, name): [3] for name in FUNCTIONS if name != "softmax_nats"}
    last[key_of(SCRIPT, "scores", "Mixer.scores")] = last.pop(key_of(SCRIPT, "scores"))
    nested = {key_of(SCRIPT, "softmax_nats"): [1]}
    once = {key_of(SCRIPT, name): [0] for name in ONCE}
    return run_child(tmp_path_factory.mktemp("replay"), SCRIPT, {**last, **nested, **once})


def mass(done: Done, name: str) -> MassTest:
    (test,) = [test for test in done.tape.of(MassTest) if test.function == name]
    return test


def window(done: Done, name: str) -> WindowTest:
    (test,) = [test for test in done.tape.of(WindowTest) if test.function == name]
    return test


def test_the_run_is_whole(done: Done) -> None:
    assert done.tape.damage is None, done.stderr
    assert done.tape.end["status"] == "finished", done.stderr
    assert "done" in done.stdout


@pytest.mark.parametrize("name", ["softmax_nats", "tilted"])
def test_a_distribution_sums_to_one(name: str, done: Done) -> None:
    test = mass(done, name)
    assert (test.tried, test.vocab, test.over) == (VOCAB, VOCAB, 0)
    assert math.isclose(test.lowest, 1.0, abs_tol=1e-5)
    assert math.isclose(test.highest, 1.0, abs_tol=1e-5)
    assert test.witnesses == ()


@pytest.mark.parametrize("name", ["handed", "held_elsewhere"])
def test_a_function_that_is_given_the_realised_loss_is_not_asked(name: str, done: Done) -> None:
    assert [test for test in done.tape.of(MassTest) if test.function == name and test.tried] == []


def test_a_function_that_is_given_a_count_of_the_realised_token_is_not_asked(done: Done) -> None:
    assert [
        test for test in done.tape.of(MassTest) if test.function == "counted_elsewhere" and test.tried
    ] == []


@pytest.mark.parametrize("name", ["counting", "at_once_counting", "at_once_scaling"])
def test_a_function_that_does_not_repeat_itself_is_not_asked(name: str, done: Done) -> None:
    assert mass(done, name).tried == 0


def test_a_function_that_is_called_once_is_asked_after_its_call(done: Done) -> None:
    legal, cheat = mass(done, "at_once"), mass(done, "at_once_hashed")
    assert (legal.tried, legal.over) == (VOCAB, 0)
    assert math.isclose(legal.highest, 1.0, abs_tol=1e-5)
    assert cheat.witnesses[0].total > 1.001


def test_a_function_that_is_called_once_with_the_realised_losses_is_not_asked(done: Done) -> None:
    assert "at_once_handed" not in {test.function for test in done.tape.of(MassTest)}


def test_a_hashed_mixer_exceeds_one(done: Done) -> None:
    test = mass(done, "hashed")
    assert test.over > 0
    (witness,) = test.witnesses[:1]
    assert witness.total > 1.001
    assert witness.tried <= VOCAB


def test_scores_in_a_tuple_of_a_method_are_found(done: Done) -> None:
    assert mass(done, "Mixer.scores").highest > 1.001


def test_without_a_plan_late_calls_of_mixtures_are_replayed(tmp_path: Path) -> None:
    tests = run_child(tmp_path, SCRIPT, watch=True).tape.of(MassTest)
    assert {test.function for test in tests} >= {"hashed", "tilted"}
    assert "softmax_nats" not in {test.function for test in tests}
    assert max(test.highest for test in tests if test.function == "tilted") < 1.001


def test_samples_are_scores_that_left(done: Done) -> None:
    committed = {
        (int(position), float(value))
        for score in done.tape.of(Score)
        for position, value in zip(score.positions, score.values, strict=True)
    }
    samples = mass(done, "softmax_nats").samples
    assert len(samples) == 16
    assert set(samples) <= committed


def test_bytes_are_not_taken_for_nats(done: Done) -> None:
    assert "byte_counts" not in {test.function for test in done.tape.of(MassTest)}


def test_probabilities_are_not_taken_for_the_reported_nats(done: Done) -> None:
    """exp(-p) sums to anything; what tells it from a score is that nobody committed p as nats."""
    nats = dict(mass(done, "softmax_nats").samples)
    samples = dict(mass(done, "probabilities").samples)
    assert all(abs(samples[position] - nats[position]) > 1e-3 for position in samples.keys() & nats.keys())
    assert all(0.0 <= value <= 1.0 for value in samples.values())


def test_a_causal_mask_stays_and_an_off_by_one_moves(done: Done) -> None:
    honest, cheat = window(done, "causal"), window(done, "peeking")
    assert honest.tried == cheat.tried > 0
    assert (honest.moved, honest.noise, honest.witnesses) == (0, 0.0, ())
    assert cheat.moved == 3  # the last row before each of three cuts
    assert all(each.position == each.changed_from for each in cheat.witnesses)


def test_calls_are_counted_from_the_one_that_was_recognised(done: Done) -> None:
    key = key_of(SCRIPT, "tilted")
    assert [call.nth for call in done.tape.of(Call) if call.key == key] == list(range(6))
    pure = {call.key: call.pure for call in done.tape.of(Call)}
    assert pure[key_of(SCRIPT, "softmax_nats")]
    assert not pure[key]
