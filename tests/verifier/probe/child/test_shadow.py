"""Scores keep their stream positions through whatever a script does to them, and leave with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from tests.verifier.probe.child.whole import SOURCE, TARGETS, VOCAB
from verifier.probe.child.attached import AT, PURE
from verifier.probe.child.positions import PositionIndex
from verifier.probe.child.shadow import Shadow
from verifier.probe.child.tape import Tape
from verifier.probe.tape import Backward, Pick, Score, Step, Weights
from verifier.probe.tape import Tape as Read
from verifier.probe.tapefile import EVENTS, SCORES, read_tape

IDS = torch.from_numpy(SOURCE.draw(TARGETS, (4,)).ids.astype(np.int64))
B, T = 4, 32


class Recorder:
    """A mode to run code in, and what it wrote."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = [(folder / name).open("wb") for name in (EVENTS, SCORES)]
        self._tape = Tape(*(file.fileno() for file in self._files), Path(__file__).parent, folder / "wrapped")
        self.mode = Shadow(self._tape, PositionIndex(IDS.numpy()), lambda args, kwargs: (args, kwargs))

    def read(self) -> Read:
        self._tape.flush()
        tape = read_tape(self._folder, IDS.numel())
        assert tape.damage is None
        return tape

    def close(self) -> None:
        for file in self._files:
            file.close()

    def scores(self) -> list[Score]:
        return self.read().of(Score)


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    made = Recorder(tmp_path)
    monkeypatch.setattr(torch.autograd, "has_torch_function", lambda _: False)  # as `install` does
    hook = register_optimizer_step_post_hook(made.mode.learning.stepped)
    with made.mode:
        yield made
    hook.remove()
    made.close()


def windows() -> tuple[Tensor, Tensor]:
    """Logits and targets of four windows; targets are positions 1..128."""
    torch.manual_seed(0)
    return torch.randn(B, T, VOCAB), IDS[1 : 1 + B * T].view(B, T)


def nats() -> Tensor:
    logits, y = windows()
    return F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(B, T)


POSITIONS = np.arange(1, 1 + B * T).reshape(B, T)
WAYS: dict[str, tuple[Callable[[Tensor], Tensor], np.ndarray]] = {
    "slice": (lambda x: x[1, 8:], POSITIONS[1, 8:]),
    "every second": (lambda x: x[:, ::2], POSITIONS[:, ::2]),
    "boolean mask": (lambda x: x[torch.ones_like(x) > 0], POSITIONS.reshape(-1)),
    "index": (lambda x: x[torch.tensor([2, 0])], POSITIONS[[2, 0]]),
    "masked_select": (lambda x: x.masked_select(torch.arange(T) >= 20), POSITIONS[:, 20:].reshape(-1)),
    "transpose": (lambda x: x.t().contiguous(), POSITIONS.T),
    "cat": (lambda x: torch.cat([x[2:], x[:2]]), np.concatenate([POSITIONS[2:], POSITIONS[:2]])),
    "stack": (lambda x: torch.stack([x[0], x[3]]), POSITIONS[[0, 3]]),
    "split": (lambda x: x.split(2)[1], POSITIONS[2:]),
    "double": (lambda x: x.to(torch.float64).double(), POSITIONS),
    "detach": (lambda x: x.detach().clone().cpu(), POSITIONS),
    "arithmetic": (lambda x: (x * 0.5 + 0.1 - x / 3).clamp(min=0.0), POSITIONS),
    "where": (lambda x: torch.where(x > 4, x, x - 0.1), POSITIONS),
    "where as a method": (lambda x: x.where(x > 4, x - 0.1), POSITIONS),
    "minimum": (lambda x: torch.minimum(x, x - 0.5), POSITIONS),
    "best of experts": (lambda x: torch.stack([x, x - 0.5], dim=-1).amin(dim=-1), POSITIONS),
    "mixture": (lambda x: -(torch.stack([-x, x * 0 - 7.0], dim=-1)).logsumexp(dim=-1), POSITIONS),
    "sum of experts": (lambda x: torch.stack([0.5 * x, 0.5 * x]).sum(dim=0), POSITIONS),
    "log-mix": (lambda x: -torch.log(0.5 * torch.exp(-x) + 0.5 / VOCAB), POSITIONS),
    "setitem": (lambda x: _filled(x), POSITIONS.reshape(-1)),
    "copy_": (lambda x: torch.empty(B, T).copy_(x), POSITIONS),
    "iterate": (lambda x: list(x)[3], POSITIONS[3]),
}


def _filled(x: Tensor) -> Tensor:
    table = torch.zeros(B * T)
    for row in range(B):
        table[row * T : (row + 1) * T] = x[row]
    return table


@pytest.mark.parametrize("way", WAYS)
def test_positions_travel(way: str, recorder: Recorder) -> None:
    move, want = WAYS[way]
    moved = move(nats())
    moved.sum()
    (score,) = recorder.scores()
    assert score.positions.tolist() == want.reshape(-1).tolist()
    assert np.allclose(score.values, moved.detach().double().numpy().reshape(-1))


def test_zeros_of_a_mask_are_left_out(recorder: Recorder) -> None:
    mask = (torch.arange(T) >= 24).float()
    (nats() * mask).sum()
    nats().masked_fill(mask == 0, 0.0).sum()
    for score in recorder.scores():
        assert score.positions.tolist() == POSITIONS[:, 24:].reshape(-1).tolist()
        assert score.size == B * T


def test_a_row_of_one_expert_each_stays_a_reduction(recorder: Recorder) -> None:
    """Positions differ along the rows: this is a sum over tokens, not over experts."""
    nats().sum(dim=1)
    (score,) = recorder.scores()
    assert score.positions.tolist() == POSITIONS.reshape(-1).tolist()


def test_a_mean_is_taken_apart(recorder: Recorder) -> None:
    logits, y = windows()
    mean = F.cross_entropy(logits.flatten(0, 1), y.flatten())
    (score,) = recorder.scores()
    assert score.pure
    assert score.positions.tolist() == POSITIONS.reshape(-1).tolist()
    assert np.isclose(score.values.mean(), mean.item())


def test_gathered_log_probabilities_are_scores_too(recorder: Recorder) -> None:
    logits, y = windows()
    logp = torch.log_softmax(logits, dim=-1)
    (-logp.gather(2, y[..., None])[..., 0]).sum()
    flat = logp.flatten(0, 1)
    (-flat[torch.arange(B * T), y.flatten()]).sum()
    for score in recorder.scores():
        assert score.positions.tolist() == POSITIONS.reshape(-1).tolist()
        assert not score.pure


@pytest.mark.parametrize(
    "leave",
    [
        lambda array: array.sum(),
        lambda array: np.sum(array.astype(np.float64)),
        lambda array: (array * 2.0)[:].sum(),
        lambda array: array.tolist(),
        lambda array: np.add.reduce(array),
    ],
)
def test_numpy_carries_positions_on(leave: Callable[[Any], Any], recorder: Recorder) -> None:
    leave(nats().reshape(-1).numpy())
    (score,) = recorder.scores()
    assert score.positions.tolist() == POSITIONS.reshape(-1).tolist()


def test_single_values_that_are_read_out(recorder: Recorder) -> None:
    each = nats()
    for row in range(B):
        each[row, 5].item()
    float(each[0, 0])
    assert [score.positions.tolist() for score in recorder.scores()] == [[6], [38], [70], [102], [1]]


def test_purity_ends_with_arithmetic(recorder: Recorder) -> None:
    each = nats()
    assert getattr(each[1:].double(), PURE, False)
    for changed in (each - 0.01, each * 0.99, torch.minimum(each, each), each.clamp(max=6.0)):
        assert AT in changed.__dict__
        assert not getattr(changed, PURE, False)
    each[0] = 1.0
    each.sum()
    assert not recorder.scores()[-1].pure


def test_ids_from_elsewhere_are_no_scores(recorder: Recorder) -> None:
    logits, _ = windows()
    other = torch.randint(3, VOCAB, (B * T,), generator=torch.Generator().manual_seed(5))
    other[: B * T] = other.flip(0)
    F.cross_entropy(logits.flatten(0, 1), other, reduction="none").sum()
    assert all(score.positions.size <= 8 for score in recorder.scores())


@pytest.mark.parametrize("lowest", [
    lambda one, other: torch.minimum(one, other),
    lambda one, other: torch.stack([one, other]).min(dim=0).values,
    lambda one, other: torch.stack([one, other]).amin(dim=0),
    lambda one, other: np.minimum(one.numpy(), other.numpy()),
])  # fmt: skip
def test_the_better_of_two_scores_is_noted(
    lowest: Callable[[Tensor, Tensor], Any], recorder: Recorder
) -> None:
    one = nats()
    lowest(one, one + 0.25 * (torch.arange(T) % 2) - 0.125).sum()
    tape = recorder.read()
    (score,), (pick,) = tape.of(Score), tape.of(Pick)
    assert score.picked == B * T
    assert score.positions.tolist() == POSITIONS.reshape(-1).tolist()
    assert pick.positions == B * T
    position, first, second = pick.pairs[1]
    assert position == 2
    assert second - first == pytest.approx(0.125, abs=1e-6)


@pytest.mark.parametrize("legal", [
    lambda x: torch.minimum(x, torch.full_like(x, 3.0)),
    lambda x: torch.minimum(x[:2], x[2:]),
    lambda x: x.clamp(max=3.0),
    lambda x: torch.where(torch.arange(T) % 2 == 0, x, x + 0.1),
    lambda x: torch.minimum(x, x.clone()),
])  # fmt: skip
def test_what_only_looks_like_a_pick_is_none(legal: Callable[[Tensor], Tensor], recorder: Recorder) -> None:
    legal(nats()).sum()
    assert recorder.read().of(Pick) == []


def test_scores_kept_in_an_array_are_fixed_when_they_were_computed(recorder: Recorder) -> None:
    kept = torch.zeros(B * T)
    parts = []
    for row in range(B):
        each = nats()[row]
        kept[row * T : (row + 1) * T] = each
        parts.append(each)
        nats().sum()  # an event between
    kept.double().sum()
    torch.cat(parts).sum()
    *between, in_array, in_list = recorder.scores()
    for score in (in_array, in_list):
        moments = score.order.reshape(B, T)
        assert (moments == moments[:, :1]).all()
        assert (np.diff(moments[:, 0]) > 0).all()
        assert moments[-1, 0] <= between[-1].number


def test_arithmetic_fixes_a_score_anew(recorder: Recorder) -> None:
    each = nats()
    nats().sum()
    (each + 0.5).sum()
    between, later = recorder.scores()
    assert (later.order > between.number).all()


def test_learning_is_on_the_tape(recorder: Recorder) -> None:
    logits, y = windows()
    weight = torch.nn.Parameter(torch.ones(VOCAB))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    loss = F.cross_entropy((logits * weight).flatten(0, 1), y.flatten(), reduction="none")
    (loss.view(B, T)[1:].mean() * 2.0).backward()
    optimizer.step()
    with torch.no_grad():
        nats().sum()
        weight.copy_(torch.ones(VOCAB))
    tape = recorder.read()
    learned, later = tape.of(Score)
    assert learned.learns
    assert learned.positions.tolist() == POSITIONS[1:].reshape(-1).tolist()
    assert not later.learns
    (backward,), (step,), (weights,) = tape.of(Backward), tape.of(Step), tape.of(Weights)
    assert backward.scores == (learned.number,)
    assert step.backward == (backward.number,)
    assert (step.optimizer, step.tensors, step.values) == ("SGD", 1, VOCAB)
    assert (weights.same, weights.changed) == (1, 0)
    assert learned.number < backward.number < step.number < weights.number < later.number


def test_steps_on_other_losses_are_not(recorder: Recorder) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.square().sum().backward()
    optimizer.step()
    assert recorder.read().events == ()
