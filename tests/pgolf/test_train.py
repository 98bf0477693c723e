"""Training learns, stops where it should, undoes its warmup, and logs the contest's lines."""

import re

import numpy as np
import pytest
import torch

from pgolf.evaluate import Score
from pgolf.loader import TokenLoader
from pgolf.model import GPT, GPTConfig
from pgolf.optim import OptimizerConfig, OptimizerSet
from pgolf.runtime import loss_fn, pick_device
from pgolf.shards import write_shard
from pgolf.train import TrainConfig, TrainingDiverged, train, warm_up

SHAPE = GPTConfig(vocab_size=32, num_layers=2, model_dim=16, num_heads=2, num_kv_heads=1)
SCORE = Score(val_loss=1.5, val_bpb=0.9, tokens=10, bytes=20)


def config(**changes):
    defaults = {
        "iterations": 30,
        "max_wallclock_seconds": 0.0,
        "warmup_steps": 0,
        "train_batch_tokens": 64,
        "train_seq_len": 16,
        "val_loss_every": 0,
        "train_log_every": 10,
        "optimizer": OptimizerConfig(warmdown_iters=10),
    }
    return TrainConfig(**{**defaults, **changes})


@pytest.fixture
def loader(tmp_path):
    """A stream that a model can learn: 0, 1, 2, ..., 31, 0, ..."""
    write_shard(tmp_path / "fineweb_train_000000.bin", np.arange(5000) % 32)
    return TokenLoader(str(tmp_path / "fineweb_train_*.bin"), vocab_size=32)


def fresh_model():
    torch.manual_seed(0)
    return GPT(SHAPE)


def test_training_learns_and_logs_the_contests_lines(loader):
    lines, steps = [], []
    result = train(
        fresh_model(),
        loader,
        config(val_loss_every=20),
        log=lines.append,
        validate=lambda: SCORE,
        on_step=lambda step, ms: steps.append(step),
    )
    assert (result.steps, result.stopped_early, result.score) == (30, False, SCORE)
    assert steps == list(range(1, 31))
    train_line = re.compile(r"step:(\d+)/30 train_loss:(\d+\.\d{4}) train_time:\d+ms step_avg:\d+\.\d\dms")
    val_line = re.compile(
        r"step:(\d+)/30 val_loss:1\.5000 val_bpb:0\.9000 train_time:\d+ms step_avg:\d+\.\d\dms"
    )
    trained = {int(m[1]): float(m[2]) for m in map(train_line.fullmatch, lines) if m}
    assert list(trained) == [*range(1, 11), 20, 30]
    assert trained[1] == pytest.approx(np.log(32), abs=0.1)
    assert trained[30] < 1.5
    assert [int(m[1]) for m in map(val_line.fullmatch, lines) if m] == [0, 20, 30]
    assert len(lines) == len(trained) + 3


def test_the_wallclock_cap_stops_the_run_and_says_so(loader):
    lines = []
    result = train(
        fresh_model(), loader, config(iterations=10**6, max_wallclock_seconds=0.2), log=lines.append
    )
    assert result.stopped_early
    assert result.train_ms >= 200
    assert re.fullmatch(
        rf"stopping_early: wallclock_cap train_time:\d+ms step:{result.steps}/1000000", lines[-1]
    )


def test_no_iterations_only_validates(loader):
    lines = []
    model = fresh_model()
    result = train(model, loader, config(iterations=0), log=lines.append, validate=lambda: SCORE)
    assert (result.steps, result.score, len(lines)) == (0, SCORE, 1)
    assert torch.equal(model.tok_emb.weight, fresh_model().tok_emb.weight)


def test_warmup_restores_weights_optimizers_and_loader(loader):
    model, lines = fresh_model(), []
    optimizers = OptimizerSet(model, OptimizerConfig())
    before = loader.position()
    warm_up(model, loss_fn(model), loader, optimizers, config(warmup_steps=3), lines.append)
    assert lines == ["warmup_step:1/3", "warmup_step:2/3", "warmup_step:3/3"]
    assert loader.position() == before
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), fresh_model().parameters(), strict=True))
    assert not optimizers.adam.state
    assert not optimizers.muon.state
    assert all(parameter.grad is None for parameter in model.parameters())


def trained_weights(loader, **changes):
    model = fresh_model()
    loader.restore(loader.position()._replace(shard=0, token=0))
    train(model, loader, config(iterations=5, **changes), log=lambda line: None)
    return list(model.parameters())


def test_a_run_with_warmup_ends_exactly_like_one_without(loader):
    plain, warmed = trained_weights(loader), trained_weights(loader, warmup_steps=4)
    assert all(torch.equal(a, b) for a, b in zip(plain, warmed, strict=True))


def test_accumulated_gradients_equal_one_large_batch(tmp_path):
    class Repeats:
        """The same sequence in every row, so that a micro-batch has the gradient of the whole batch."""

        def next_batch(self, tokens, seq_len, accum):
            ids = torch.arange(seq_len + 1).repeat(tokens // accum // seq_len, 1)
            return ids[:, :-1], ids[:, 1:]

    models = []
    for micro in (64, 16):
        assert config(micro_batch_tokens=micro).grad_accum_steps == 64 // micro
        models.append(fresh_model())
        train(models[-1], Repeats(), config(iterations=3, micro_batch_tokens=micro), log=lambda line: None)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("batch", "micro", "steps"), [(64, 64, 1), (64, 63, 2), (96, 48, 2), (80, 48, 5), (64, 1, 4)]
)
def test_micro_batches_are_the_fewest_equal_ones(batch, micro, steps):
    assert config(train_batch_tokens=batch, micro_batch_tokens=micro).grad_accum_steps == steps


def test_a_loss_that_is_not_finite_stops_the_run(loader):
    model = fresh_model()
    torch.nn.init.constant_(model.blocks[0].attn_scale, float("nan"))
    with pytest.raises(TrainingDiverged, match="train_loss is nan at step 1; lower the rates"):
        train(model, loader, config(), log=lambda line: None)


@pytest.mark.parametrize(
    "changes",
    [
        {"train_batch_tokens": 65},
        {"train_seq_len": 0},
        {"iterations": -1},
        {"max_wallclock_seconds": float("inf")},
    ],
)
def test_bad_settings_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        config(**changes)


def test_devices_that_are_not_there_are_refused():
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="unknown device 'gpu9'"):
        pick_device("gpu9")
    with pytest.raises(ValueError, match="not supported"):
        pick_device("meta")
