"""Settings that cannot be built are refused by name; settings survive a trip through JSON."""

import json

import pytest

from pgolf.model import GPTConfig

from .reference import EVERYTHING, SMALL, small


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_layers": 0}, "num_layers must be at least 1, got 0"),
        ({"model_dim": 60, "num_heads": 8}, "multiple of 2 x num_heads"),
        ({"num_heads": 4, "num_kv_heads": 3}, "multiple of num_kv_heads 3"),
        ({"logit_softcap": 0.0}, "logit_softcap must be positive"),
        ({"rope_dims": 3}, "rope_dims must be even and at most 32, got 3"),
        ({"rope_dims": 34}, "rope_dims must be even and at most 32, got 34"),
        ({"mlp_activation": "gelu"}, "mlp_activation must be relu2 or leaky_relu2, got 'gelu'"),
        ({"value_embed_dim": 8}, "set both or neither"),
        ({"value_embed_dim": 8, "value_embed_layers": (4,)}, r"value_embed_layers must be distinct layers"),
        ({"engram_layers": (1, 1)}, r"engram_layers must be distinct layers of 0..3, got \(1, 1\)"),
        ({"engram_orders": (1,)}, r"engram_orders must be lengths of at least 2, got \(1,\)"),
        ({"bigram_vocab_size": 1}, "bigram_vocab_size must be 0 or at least 2"),
        ({"loop_start": 2, "loop_end": 1}, "loop_start 2 and loop_end 1 must be ordered"),
        ({"loop_count": 0}, "loop_count must be at least 1, got 0"),
        ({"xsa_last_n": 5}, "xsa_last_n 5 is more than num_layers 4"),
        ({"parallel_from": 4}, "parallel_from must be a layer of 0..3, got 4"),
        ({"smear_gate": True, "bos_id": -1}, "bos_id must be a token, 0..1023, got -1"),
        (
            {"value_embed_dim": 8, "value_embed_layers": (1, 2), "ssm_layers": (2,)},
            r"value_embed_layers \[2\] are ssm_layers",
        ),
        ({"mtp_heads": -1}, "mtp_heads must be at least 0, got -1"),
        ({"mtp_loss_weight": -0.1}, "mtp_loss_weight must not be negative"),
    ],
)
def test_impossible_shapes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        GPTConfig.tiny(**changes)


@pytest.mark.parametrize("config", [SMALL, small(**EVERYTHING)], ids=["baseline", "everything"])
def test_config_round_trips_through_json(config):
    assert GPTConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 3}, "unknown model setting 'width'"),
        ({"num_layers": "3"}, "num_layers is '3'; expected int"),
        ({"num_layers": True}, "num_layers is True; expected int"),
        ({"smear_gate": 1}, "smear_gate is 1; expected bool"),
        ({"mlp_activation": 2}, "mlp_activation is 2; expected Activation"),
        ({"engram_layers": [1, "2"]}, "engram_layers is .*; expected tuple"),
        ({"parallel_from": 1.0}, "parallel_from is 1.0; expected int | None"),
    ],
)
def test_other_keys_and_types_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        GPTConfig.from_json(values)
