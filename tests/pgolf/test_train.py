"""Training learns, stops where it should, undoes its warmup, and logs the contest's lines."""

import dataclasses
import re

import numpy as np
import pytest
import torch

from pgolf.distributed import ALONE, all_reduce_sum
from pgolf.evaluate import Score
from pgolf.loader import Position, TokenLoader
from pgolf.model import GPT, GPTConfig
from pgolf.optim import OptimizerConfig, OptimizerSet
from pgolf.runtime import loss_fn, pick_device
from pgolf.shards import write_shard
from pgolf.train import TrainConfig, TrainingDiverged, backward, train, warm_up
from tests.pgolf.ranks import on_ranks

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


@pytest.mark.parametrize(("at_once", "together"), [(2, 2), (3, 2), (4, 4), (9, 4)])
def test_micro_batches_side_by_side_are_the_same_training(loader, at_once, together):
    ends = []
    for count, rows in ((1, 1), (at_once, together)):
        seen, lines, model = [], [], fresh_model()
        loader.restore(Position(0, 0))
        model.blocks[0].register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0].size(0)))
        settings = config(iterations=3, micro_batch_tokens=16, micro_batches_at_once=count)
        train(model, loader, settings, log=lines.append)
        assert set(seen) == {rows}
        ends.append((loader.position(), re.findall(r"train_loss:(\S+)", "".join(lines)), model))
    assert ends[0][:2] == ends[1][:2]
    for a, b in zip(ends[0][2].parameters(), ends[1][2].parameters(), strict=True):
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


def losses_of_training(model, folder, settings, ranks=ALONE):
    """Train on the stream in `folder`; the exact loss of each step, of all ranks together."""
    loader = TokenLoader(
        str(folder / "fineweb_train_*.bin"), vocab_size=32, rank=ranks.rank, world_size=ranks.world_size
    )
    losses = []

    def remember(*args):
        loss = backward(*args)
        losses.append(all_reduce_sum(loss.clone(), ranks).item())
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pgolf.train.backward", remember)
        train(model, loader, settings, log=lambda line: None, ranks=ranks)
    return losses


# By the training loop before it knew of ranks, averages, late QAT and variants of Muon.
GOLDEN_LOSSES = {
    True: [3.4677810668945312, 3.459409713745117, 2.892993450164795, 2.447382926940918, 2.2126076221466064],
    False: [3.465736150741577, 3.366445541381836, 3.2314133644104004, 3.106123924255371, 3.028888702392578],
}


@pytest.fixture
def stream(tmp_path):
    write_shard(tmp_path / "fineweb_train_000000.bin", np.arange(5000) * 7 % 32)
    return tmp_path


@pytest.mark.parametrize("tied", [True, False])
def test_the_default_run_is_still_the_naive_baselines(stream, tied):
    torch.manual_seed(0)
    model = GPT(dataclasses.replace(SHAPE, tie_embeddings=tied))
    settings = config(iterations=5, micro_batch_tokens=32, optimizer=OptimizerConfig(warmdown_iters=3))
    # Equal bit for bit where they were made; other processors round otherwise.
    assert losses_of_training(model, stream, settings) == pytest.approx(GOLDEN_LOSSES[tied], rel=1e-5)


def trained_on_ranks(ranks, folder, settings, seed_by_rank):
    torch.manual_seed(ranks.rank if seed_by_rank else 0)
    model = GPT(SHAPE)
    losses = losses_of_training(model, folder, settings, ranks)
    return losses, [parameter.detach() for parameter in model.parameters()]


EVERYTHING = config(
    iterations=5,
    warmup_steps=1,
    micro_batch_tokens=16,
    ema_decay=0.5,
    late_qat_threshold=0.9,
    optimizer=OptimizerConfig(warmdown_iters=4, muon_variant="muoneq_r", grad_clip_norm=0.5),
)


@pytest.mark.parametrize("settings", [config(iterations=5, micro_batch_tokens=16), EVERYTHING])
@pytest.mark.parametrize("world_size", [2, 4])
def test_any_number_of_ranks_has_the_losses_of_one(stream, world_size, settings):
    expected_losses, expected_weights = trained_on_ranks(ALONE, stream, settings, False)
    results = on_ranks(trained_on_ranks, world_size, stream, settings, True)  # rank 0 has the seed of one
    for result in results:
        assert not isinstance(result, str), result
        losses, weights = result
        assert losses == pytest.approx(expected_losses, abs=1e-5)
        for ours, first, expected in zip(weights, results[0][1], expected_weights, strict=True):
            assert torch.equal(ours, first), "ranks drifted apart"
            torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-3)


def capped_run(ranks, folder):
    lines, steps = [], []
    loader = TokenLoader(
        str(folder / "fineweb_train_*.bin"), vocab_size=32, rank=ranks.rank, world_size=ranks.world_size
    )
    torch.manual_seed(0)
    model = GPT(SHAPE)
    result = train(
        model,
        loader,
        config(iterations=10**6, max_wallclock_seconds=0.3, optimizer=OptimizerConfig(warmdown_frac=0.5)),
        log=lines.append,
        validate=lambda: SCORE,
        on_step=lambda step, ms: steps.append(ms),
        ranks=ranks,
    )
    return result.steps, steps, len(lines), [parameter.detach() for parameter in model.parameters()]


def test_ranks_stop_at_one_step_with_one_clock_and_one_log(stream):
    first, second = on_ranks(capped_run, 2, stream)
    assert not isinstance(first, str), first
    assert first[:2] == second[:2]
    assert first[2] > 0 == second[2]
    # The clock sets the rates: two clocks would have let the weights drift apart.
    assert all(torch.equal(a, b) for a, b in zip(first[3], second[3], strict=True))


def reads_a_foreign_shard_on_rank_one(ranks, folder):
    torch.manual_seed(0)
    loader = TokenLoader(
        str(folder / "fineweb_train_*.bin"),
        vocab_size=32 if ranks.rank == 0 else 8,
        rank=ranks.rank,
        world_size=2,
    )
    train(GPT(SHAPE), loader, config(), log=lambda line: None, ranks=ranks)


def test_a_rank_with_a_bad_shard_ends_the_run_with_its_error(stream):
    first, second = on_ranks(reads_a_foreign_shard_on_rank_one, 2, stream)
    assert "the vocabulary has 8 ids" in second
    assert "RankFailed: rank 1 of 2 failed: " in first
    assert "the vocabulary has 8 ids" in first


@pytest.mark.parametrize(
    ("batch", "micro", "world_size", "count"),
    [(128, 16, 1, 8), (128, 16, 2, 8), (128, 16, 8, 8), (64, 64, 2, 2), (192, 48, 2, 4), (192, 64, 3, 3)],
)
def test_micro_batches_are_the_same_on_any_number_of_ranks_that_divides_them(batch, micro, world_size, count):
    assert config(train_batch_tokens=batch, micro_batch_tokens=micro).micro_batches(world_size) == count


def test_sequences_that_ranks_cannot_share_are_refused():
    with pytest.raises(ValueError, match="4 sequences of 16 tokens per step cannot be shared by 3 ranks"):
        config().micro_batches(3)


def test_the_last_validation_sees_the_averaged_weights(loader):
    weights, validated, lines = [], [], []
    model = fresh_model()

    def validate():
        validated.append(model.tok_emb.weight.detach().clone())
        return SCORE

    train(
        model,
        loader,
        config(iterations=6, swa_every=1, average_below=0.5, optimizer=OptimizerConfig(warmdown_iters=4)),
        log=lines.append,
        validate=validate,
        on_step=lambda step, ms: weights.append(model.tok_emb.weight.detach().clone()),
    )
    # Rates before the last two steps are scaled by 0.5 and 0.25.
    torch.testing.assert_close(validated[-1], (weights[4] + weights[5]) / 2)
    assert torch.equal(model.tok_emb.weight, validated[-1])
    assert lines[-2] == "swa:applied steps:2"


def test_late_qat_begins_in_the_warmdown_and_says_so(loader):
    lines = []
    settings = config(iterations=10, late_qat_threshold=0.5, optimizer=OptimizerConfig(warmdown_iters=10))
    train(fresh_model(), loader, settings, log=lines.append)
    assert [line for line in lines if "qat" in line] == [
        "late_qat:enabled step:6 scale:0.4000 bits:6 matrices:0"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"train_batch_tokens": 65},
        {"train_seq_len": 0},
        {"iterations": -1},
        {"max_wallclock_seconds": float("inf")},
        {"ema_decay": 1.0},
        {"ema_decay": 0.9, "swa_every": 5},
        {"average_below": 1.5},
        {"late_qat_threshold": -0.1},
        {"late_qat_bits": 9},
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
