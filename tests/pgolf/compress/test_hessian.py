"""Hessians are the mean of x x^T over what each linear map read, from legal sources and in time."""

import itertools

import pytest
import torch
from torch import nn

import pgolf.compress.hessian as hessian_module
from pgolf.compress import collect_hessians
from pgolf.compress.calibrate import (
    CalibrationConfig,
    calibrate_on_own_text,
    calibrate_on_training_data,
    own_text,
)
from pgolf.loader import TokenLoader
from pgolf.model import GPT, GPTConfig
from pgolf.shards import write_shard
from pgolf.train import TrainConfig


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = GPT(GPTConfig.tiny(vocab_size=50, num_layers=2, model_dim=32))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def batches(count, sequences=2, seq_len=8):
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, 50, (sequences, seq_len), generator=generator) for _ in range(count)]


def test_each_hessian_is_the_mean_outer_product_of_the_layers_inputs(model):
    made = collect_hessians(model, batches(3))
    linear = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert made.hessians.keys() == linear | {"tok_emb.weight"}
    assert (made.batches, made.tokens) == (3, 48)
    # Two reads that do not go through a hook: the head's input, and the first block's MLP made by hand.
    hidden = model.hidden_states(torch.cat(batches(3))).double()
    expected = sum(torch.outer(x, x) for x in hidden.flatten(0, 1)) / 48
    assert torch.allclose(made.hessians["tok_emb.weight"].double(), expected, rtol=1e-4, atol=1e-5)
    seen = []
    up = model.blocks[0].mlp.up
    model.blocks[0].mlp.proj.forward = lambda x: seen.append(x) or torch.zeros(*x.shape[:-1], 32)
    captured = []
    original = up.forward
    up.forward = lambda x: captured.append(original(x)) or captured[-1]
    with torch.no_grad():
        model.hidden_states(torch.cat(batches(3)))
    rows = captured[0].relu().square().flatten(0, 1).double()
    assert torch.equal(seen[0], captured[0].relu().square())
    expected = torch.einsum("ni,nj->ij", rows, rows) / 48
    assert torch.allclose(made.hessians["blocks.0.mlp.proj.weight"].double(), expected, rtol=1e-4, atol=1e-5)


def test_collecting_leaves_the_model_as_it_was(model):
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    collect_hessians(model, batches(1))
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_an_untied_head_has_the_last_hidden_states_hessian():
    made = collect_hessians(
        GPT(GPTConfig.tiny(vocab_size=50, num_layers=1, tie_embeddings=False)), batches(1)
    )
    assert "lm_head.weight" in made.hessians
    assert "tok_emb.weight" not in made.hessians


def test_no_batch_begins_that_would_end_too_late(model, monkeypatch):
    clock = itertools.count()  # every look at the clock is a second later: one look starts, one ends a batch
    monkeypatch.setattr(hessian_module.time, "perf_counter", lambda: next(clock))
    assert collect_hessians(model, iter(batches(9)), limit_seconds=3.5).batches == 3
    assert collect_hessians(model, iter(batches(9)), limit_seconds=0.1).batches == 1
    assert collect_hessians(model, iter(batches(9))).batches == 9


def test_no_batch_is_refused(model):
    with pytest.raises(ValueError, match="no calibration batch"):
        collect_hessians(model, [])


def test_training_data_is_the_loaders_next_tokens(model, tmp_path):
    tokens = torch.randint(0, 50, (400,), generator=torch.Generator().manual_seed(1)).numpy()
    write_shard(tmp_path / "train_000.bin", tokens.astype("uint16"))
    loader = TokenLoader(str(tmp_path / "train_*.bin"))
    loader.next_batch(32, 16)
    lines: list[str] = []
    config = CalibrationConfig(sequences=5, seq_len=16, batch_sequences=2)
    made = calibrate_on_training_data(model, loader, config, lines.append)
    assert (made.batches, made.tokens) == (3, 80)
    assert loader.position().token == 33 + 33 + 33 + 17
    spans = [tokens[33:65], tokens[66:98], tokens[99:115]]
    by_hand = collect_hessians(model, [torch.from_numpy(span.astype("int64")).view(-1, 16) for span in spans])
    assert all(torch.equal(by_hand.hessians[name], made.hessians[name]) for name in made.hessians)
    assert lines[0] == "GPTQ:collecting Hessians from training data..."
    assert lines[1].startswith(f"GPTQ:collected {len(made.hessians)} Hessians in ")
    assert lines[1].endswith("s (reserve:8.0s batches:3/3 tokens:80)")


def test_own_text_is_repeatable_and_follows_the_models_distribution():
    model = GPT(GPTConfig.tiny(vocab_size=8, num_layers=1))
    nn.init.normal_(model.tok_emb.weight, std=0.3)
    config = CalibrationConfig(sequences=3000, seq_len=2, batch_sequences=3000, temperature=0.7)
    (ids,) = own_text(model, config)
    assert torch.equal(ids, next(own_text(model, config)))
    with torch.no_grad():
        logits = model(torch.arange(8)[:, None])[:, 0].double() / 0.7
    expected = torch.exp(logits - torch.logsumexp(logits, dim=1, keepdim=True))
    counts = torch.zeros(8, 8, dtype=torch.float64).index_put_(
        (ids[:, 0], ids[:, 1]), torch.ones(3000, dtype=torch.float64), accumulate=True
    )
    drawn = counts / counts.sum(dim=1, keepdim=True)
    assert (drawn - expected).abs().max() < 0.1  # four standard errors of 375 draws
    assert counts.sum(dim=1).min() > 300


def test_calibrating_on_own_text_reads_what_the_model_wrote(model):
    config = CalibrationConfig(sequences=3, seq_len=6, batch_sequences=2)
    lines: list[str] = []
    made = calibrate_on_own_text(model, config, lines.append)
    by_hand = collect_hessians(model, list(own_text(model, config)))
    assert made.tokens == 18
    assert all(torch.equal(by_hand.hessians[name], made.hessians[name]) for name in made.hessians)
    assert lines[0] == "GPTQ:collecting Hessians from self-generated text..."


def test_the_reserve_comes_off_the_training_cap():
    config = CalibrationConfig(reserve_seconds=8.0)
    assert config.within(TrainConfig(max_wallclock_seconds=600.0)).max_wallclock_seconds == 592.0
    assert config.within(TrainConfig(max_wallclock_seconds=0.0)).max_wallclock_seconds == 0.0
    with pytest.raises(ValueError, match="leaves nothing of max_wallclock_seconds 5"):
        config.within(TrainConfig(max_wallclock_seconds=5.0))


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="sequences must be at least 1, got 0"):
        CalibrationConfig(sequences=0)
    with pytest.raises(ValueError, match="seq_len must be at least 2"):
        CalibrationConfig(seq_len=1)
    with pytest.raises(ValueError, match="temperature must be positive"):
        CalibrationConfig(temperature=0.0)
