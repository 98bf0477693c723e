"""The byte-level JEPA scores causally and normalized, its target is an EMA without gradient, and it learns."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pgolf.bytes import ByteTable
from pgolf.jepa import BOS, JEPA, JEPAConfig, JEPATraining, train_jepa
from pgolf.jepa.objective import latent_loss, spread, spread_penalty
from pgolf.jepa.train import byte_stream, byte_table, counted_bpb, latent_spread, run, score_bytes

TINY = {"patch_bytes": 4, "max_patches": 8, "model_dim": 16, "num_layers": 1, "num_heads": 2, "byte_dim": 8}


def random_model(seed=0, **changes):
    """Every parameter moved off its start, so that nothing is hidden by a symmetric beginning."""
    torch.manual_seed(seed)
    model = JEPA(JEPAConfig(**{**TINY, **changes}))
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def ids(batch=2, length=32, seed=0):
    return torch.randint(0, 257, (batch, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("length", [1, 3, 4, 31, 32])
def test_one_distribution_over_257_ids_per_position_that_sums_to_one(length):
    with torch.no_grad():
        p = random_model()(ids(length=length)).double().softmax(-1)
    assert p.shape == (2, length, 257)
    torch.testing.assert_close(p.sum(-1), torch.ones(2, length, dtype=torch.float64))
    assert (p > 0).all()


@pytest.mark.parametrize("conditioning", ["joint", "stopped", "none"])
@pytest.mark.parametrize("grad", [True, False], ids=["training", "scoring"])
def test_later_ids_never_move_earlier_distributions(conditioning, grad):
    model = random_model(conditioning=conditioning).train(grad)
    before_ids = ids()
    with torch.set_grad_enabled(grad):
        before = model(before_ids)
        for position in range(32):
            changed = before_ids.clone()
            changed[:, position:] = (changed[:, position:] + 1) % 257
            after = model(changed)
            assert torch.equal(before[:, :position], after[:, :position])
            assert not torch.equal(before[:, position], after[:, position])


def test_the_latent_carries_what_the_decoders_own_window_cannot_see():
    # Position 20 sees ids 13..20 by itself; id 2 reaches it through the latents or not at all.
    changed = ids()
    changed[:, 2] = (changed[:, 2] + 1) % 257
    seeing, blind = random_model(), random_model(conditioning="none")
    assert not torch.equal(seeing(ids())[:, 20], seeing(changed)[:, 20])
    assert torch.equal(blind(ids())[:, 20], blind(changed)[:, 20])


def test_loss_is_cross_entropy_of_the_logits():
    model, x = random_model(), ids(length=33)
    nats = -F.log_softmax(model(x[:, :-1]).double(), -1).gather(-1, x[:, 1:, None])[..., 0]
    torch.testing.assert_close(model.loss(x[:, :-1], x[:, 1:], "none").double(), nats, atol=1e-5, rtol=1e-5)
    assert model.loss(x[:, :-1], x[:, 1:]).item() == pytest.approx(nats.mean().item(), abs=1e-5)


def test_the_target_is_the_ema_of_the_encoder():
    model = random_model(target_momentum=0.9)
    start = model.target_encoder.patch.weight.clone()
    seen = []
    for _ in range(5):
        model.encoder.patch.weight.data.normal_()
        seen.append(model.encoder.patch.weight.clone())
        model.update_target()
    expected = 0.9**5 * start + sum(0.1 * 0.9 ** (4 - k) * weight for k, weight in enumerate(seen))
    torch.testing.assert_close(model.target_encoder.patch.weight, expected)


def test_no_gradient_reaches_the_target_encoder():
    model = random_model()
    x = ids(length=33)
    torch.autograd.backward(model.training_losses(x[:, :-1], x[:, 1:]).total)
    assert all(parameter.grad is None for parameter in model.target_encoder.parameters())
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters() if parameter.requires_grad)
    target = torch.ones(3, 2, requires_grad=True)
    predicted = torch.zeros(3, 2, requires_grad=True)
    torch.autograd.backward(latent_loss(predicted, target))
    assert target.grad is None
    assert predicted.grad is not None


@pytest.mark.parametrize(("conditioning", "reached"), [("joint", True), ("stopped", False), ("none", False)])
def test_the_byte_loss_trains_the_encoder_only_when_joint(conditioning, reached):
    model = random_model(conditioning=conditioning)
    x = ids(length=33)
    torch.autograd.backward(model.training_losses(x[:, :-1], x[:, 1:]).byte_nats)
    gradient = model.encoder.patch.weight.grad
    assert (gradient is not None and bool(gradient.abs().sum() > 0)) is reached


def test_latent_loss_is_smooth_l1():
    error = torch.tensor([[0.5, -2.0]])
    assert latent_loss(error, torch.zeros(1, 2)).item() == pytest.approx((0.5 * 0.25 + (2 - 0.5)) / 2)


def test_spread_tells_a_collapse_from_independent_channels():
    generator = torch.Generator().manual_seed(0)
    isotropic = torch.randn(4000, 8, generator=generator)
    line = torch.randn(4000, 1, generator=generator) * torch.ones(8)
    point = torch.ones(4000, 8)
    assert spread(isotropic).effective_rank == pytest.approx(8, rel=0.01)
    assert spread(isotropic).std == pytest.approx(1, rel=0.05)
    assert spread(line).effective_rank == pytest.approx(1, rel=1e-3)
    assert spread(point) == (0.0, 1.0)
    assert spread_penalty(isotropic) < 0.05 < 0.9 < spread_penalty(point) < spread_penalty(line)


def test_the_covariance_term_is_that_of_numpy():
    latents = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [2.0, 3.0, 2.0, 4.0]
    )
    covariance = np.cov(latents.numpy().T)
    expected = (np.sum(covariance**2) - np.sum(np.diag(covariance) ** 2)) / 4  # every std is over 1: no hinge
    assert spread_penalty(latents).item() == pytest.approx(expected, rel=1e-4)


def test_a_stream_is_bytes_with_a_bos_before_each_document_and_counts_its_utf8():
    documents = ["ab", "é"]
    stream = byte_stream(documents)
    assert stream.tolist() == [BOS, 97, 98, BOS, 0xC3, 0xA9]
    assert byte_table().count_stream(stream) == len("".join(documents).encode())
    assert isinstance(byte_table(), ByteTable)


def test_counted_bytes_score_as_by_hand():
    train, val = byte_stream(["aaab" * 100]), byte_stream(["ab"])
    total = 401 + 257 * 257 * 0.1 - 1
    unigram = -math.log2((300 + 25.7) / total) - math.log2((100 + 25.7) / total)
    assert counted_bpb(train, val, order=1) == pytest.approx(unigram / 2)
    after_bos, after_a = (1 + 0.1) / (1 + 25.7), (100 + 0.1) / (300 + 25.7)
    assert counted_bpb(train, val, order=2) == pytest.approx(-math.log2(after_bos * after_a) / 2)
    with pytest.raises(ValueError, match="order must be 1 or 2, got 3"):
        counted_bpb(train, val, order=3)


def test_a_stream_scores_the_same_at_one_id_at_a_time():
    # The scorer's windows against the definition: each id from the window that owns it, by hand.
    model, stream = (
        random_model(),
        byte_stream(["some text, long enough for three windows of thirty-two ids " * 2]),
    )
    nats = []
    for t in range(1, len(stream)):
        start = 0 if t <= 32 else min(-(-(t - 32) // 16) * 16, len(stream) - 1 - 32)
        window = torch.from_numpy(stream[start:t].astype(np.int64))[None]
        nats.append(-F.log_softmax(model(window)[0, -1].detach(), -1)[int(stream[t])].item())
    assert score_bytes(model, stream).val_loss == pytest.approx(np.mean(nats), rel=1e-5)


def test_training_lowers_both_losses_without_a_collapse_and_beats_counting():
    text = "the quick brown fox jumps over the lazy dog; pack my box with five dozen jugs. " * 40
    train, val = byte_stream([text]), byte_stream([text[:400]])
    torch.manual_seed(0)
    model = JEPA(JEPAConfig(**{**TINY, "model_dim": 32, "decoder_ids": 2}))
    history = train_jepa(model, train, JEPATraining(steps=80, batch=4, lr=1e-2, warmup_steps=5))
    assert np.mean(history.byte_nats[-10:]) < 0.5 * np.mean(history.byte_nats[:10])
    assert np.mean(history.latent[-10:]) < 0.8 * np.mean(history.latent[:10])
    after = latent_spread(model, train)
    assert after.std > 0.3
    assert after.effective_rank > 4
    assert score_bytes(model, val).val_bpb < counted_bpb(train, val, order=2)


def test_the_entry_point_reports_and_repeats_itself_and_leaves_the_global_seed_alone():
    training = JEPATraining(steps=3, batch=2, train_bytes=20_000, val_bytes=3_000, log_every=1)
    state, lines = torch.get_rng_state(), []
    first = run(JEPAConfig(**TINY), training, lines.append)
    again = run(JEPAConfig(**TINY), training)
    assert torch.equal(state, torch.get_rng_state())
    assert first.score == again.score
    assert first.bigram_bpb < first.unigram_bpb
    assert [line.split()[0] for line in lines] == ["step:1/3", "step:2/3", "step:3/3"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_bytes": 0}, "patch_bytes must be at least 1, got 0"),
        ({"model_dim": 10, "num_heads": 4}, "model_dim 10 must be a multiple of num_heads 4"),
        ({"conditioning": "both"}, "conditioning 'both' is unknown; expected joint, stopped, none"),
        ({"latent_weight": -1.0}, "latent_weight must not be negative, got -1.0"),
        ({"target_momentum": 1.5}, "target_momentum must be in \\[0, 1\\], got 1.5"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        JEPAConfig(**changes)


def test_too_long_and_too_short_input_is_refused():
    with pytest.raises(ValueError, match="36 ids are 9 patches of 4; this model reads at most 8"):
        random_model()(ids(length=36))
    with pytest.raises(ValueError, match="3 ids; one window and its targets need 33"):
        train_jepa(random_model(), byte_stream(["ab"]), JEPATraining())
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        JEPATraining(steps=0)
