"""Every technique computes what its description says, and none looks ahead."""

import pytest
import torch

from pgolf.model import GPT
from pgolf.model.linear import rms_norm

from .reference import (
    EVERYTHING,
    assert_causal,
    assert_matches_reference,
    random_ids,
    random_model,
    small,
)

TECHNIQUES = {
    "baseline": {},
    "multi-head": {"num_kv_heads": 4},
    "untied": {"tie_embeddings": False},
    "partial_rope": {"rope_dims": 4},
    "leaky_relu2": {"mlp_activation": "leaky_relu2"},
    "no_skips": {"unet_skips": False},
    "even_depth": {"num_layers": 4},
    "value_residual": {"value_residual": True},
    "value_embed": {"value_embed_dim": 5, "value_embed_layers": (2, 0)},
    "xsa_last": {"xsa_last_n": 1},
    "xsa_all": {"xsa_last_n": 3},
    "gated_attention": {"gated_attention": True},
    "smear_gate": {"smear_gate": True},
    "bigram": {"bigram_vocab_size": 37, "bigram_dim": 6},
    "engram": {"engram_layers": (0, 2), "engram_orders": (2, 4), "engram_buckets": 13, "engram_dim": 3},
    "ln_scale": {"ln_scale": True},
    "loop": {"loop_start": 1, "loop_end": 1, "loop_count": 3},
    "loop_span": {"num_layers": 4, "loop_start": 1, "loop_end": 2, "loop_count": 2},
    "loop_first": {"loop_start": 0, "loop_end": 1, "loop_count": 2, "value_residual": True},
    "parallel": {"parallel_from": 1},
    "parallel_all": {"parallel_from": 0, "ln_scale": True},
    "document_mask": {"document_mask": True},
    "everything": EVERYTHING,
}


HYBRIDS = {
    "state_space": {"ssm_layers": (0, 1, 2)},
    "hybrid": {"ssm_layers": (0, 2), "value_residual": True, "document_mask": True, "num_layers": 4},
}
"""Their mixer has its own reference and its own tests."""


@pytest.mark.parametrize("changes", TECHNIQUES.values(), ids=TECHNIQUES)
def test_equals_the_one_position_at_a_time_reference(changes):
    assert_matches_reference(random_model(small(**changes), std=0.2), random_ids(2, 11))


@pytest.mark.parametrize("changes", (TECHNIQUES | HYBRIDS).values(), ids=TECHNIQUES | HYBRIDS)
class TestEveryTechnique:
    def test_is_causal_to_the_bit(self, changes):
        assert_causal(random_model(small(**changes)), random_ids(2, 9))

    def test_trains_every_parameter(self, changes):
        model = random_model(small(**changes))
        ids = random_ids(4, 13)
        model.loss(ids[:, :-1], ids[:, 1:]).backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name

    def test_starts_as_a_model_that_can_be_trained(self, changes):
        torch.manual_seed(0)
        model = GPT(small(**changes))
        ids = random_ids(2, 9)
        model.loss(ids[:, :-1], ids[:, 1:]).backward()
        assert model.tok_emb.weight.grad is not None
        assert torch.isfinite(model(ids)).all()

    def test_runs_in_bf16_with_fp32_weights(self, changes):
        model = random_model(small(**changes), std=0.1)
        exact = model(random_ids(2, 9))
        model.compute_dtype = torch.bfloat16
        assert model.hidden_states(random_ids(2, 9)).dtype == torch.bfloat16
        assert (model(random_ids(2, 9)) - exact).abs().max() < 0.2


def test_a_state_space_layer_mixes_in_the_place_of_attention():
    model = random_model(small(ssm_layers=(0,), num_layers=1), std=0.2)
    ids = random_ids(2, 9)
    block = model.blocks[0]
    x0 = rms_norm(model.tok_emb(ids))
    x = block.resid_mix.sum(0) * x0
    state, pieces = None, []
    for t in range(9):  # one token at a time, by the state alone
        y, state = block.attn(rms_norm(x[:, t : t + 1]), state)
        pieces.append(y)
    x = x + block.attn_scale * torch.cat(pieces, dim=1)
    x = x + block.mlp_scale * block.mlp(rms_norm(x))
    torch.testing.assert_close(model.hidden_states(ids), rms_norm(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "changes", [{}, EVERYTHING, HYBRIDS["hybrid"]], ids=["baseline", "everything", "hybrid"]
)
def test_the_loss_compiles_as_one_graph(changes):
    # Whether it is one graph is decided before code is generated; the eager backend spares the latter.
    torch.compiler.reset()
    model = random_model(small(**changes, mtp_heads=2))
    ids = random_ids(2, 9)
    compiled = torch.compile(model.loss, fullgraph=True, dynamic=False, backend="eager")
    torch.testing.assert_close(compiled(ids[:, :-1], ids[:, 1:]), model.loss(ids[:, :-1], ids[:, 1:]))
