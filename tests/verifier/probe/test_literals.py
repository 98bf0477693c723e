"""Sizes that are written down are made small; what a method does stays."""

from __future__ import annotations

import ast

from verifier.probe.literals import Literal, scale_literals
from verifier.probe.scale import AUDIT, DEEP, Why, literal_settings, literal_sizes

SIZES = {"num_layers": 2, "model_dim": 64, "vocab_size": 1024, "max_steps": 1, "n_samples": 16}


def scaled(source: str) -> tuple[str, tuple[Literal, ...]]:
    tree, found = scale_literals(ast.parse(source), SIZES)
    return ast.unparse(tree), found


def test_class_attributes_constants_and_dictionaries() -> None:
    text, found = scaled(
        "MODEL_DIM = 768\n"
        "class Config:\n    num_layers: int = 12\n    max_steps = 9000\n"
        "def shape():\n    return dict(vocab_size=8192, mlp_mult=3)\n"
        "other = {'model_dim': 512}\n"
    )
    assert "MODEL_DIM = 64" in text
    assert "num_layers: int = 2" in text
    assert "max_steps = 1" in text
    assert "dict(vocab_size=1024, mlp_mult=3)" in text
    assert "{'model_dim': 64}" in text
    assert found[0] == Literal("MODEL_DIM", 1, 768, 64)


def test_options_parameters_and_calls() -> None:
    text, _ = scaled(
        "p.add_argument('--num-layers', type=int, default=12)\n"
        "def calibrate(model, n_samples=256, *, max_steps=300):\n    ...\n"
        "calibrate(model, n_samples=128)\n"
    )
    assert "default=2" in text
    assert "n_samples=16, *, max_steps=300" in text
    assert "n_samples=16)" in text


def test_each_shape_is_warmed_up_once_and_other_locals_stay() -> None:
    text, found = scaled(
        "def train():\n    warmup_cu_iters = 3\n    warmup_iters = 3\n    max_steps = 9\n    ttt_iters = 3\n"
    )
    assert "warmup_cu_iters = 1" in text
    assert [each.name for each in found] == ["warmup_cu_iters"]


def test_what_is_small_computed_or_no_size_stays() -> None:
    source = "class A:\n    model_dim = 32\n    num_layers = int(os.environ['NUM_LAYERS'])\n    epochs = 4\nmodel_dim = 9\n"
    text, found = scaled(source)
    assert text == ast.unparse(ast.parse(source))
    assert found == ()


def test_each_replacement_is_listed_with_what_it_was() -> None:
    (setting,) = literal_settings({"configs.py": "class C:\n    n_layer = 11\n"}, AUDIT)
    assert (setting.name, setting.value, setting.why, setting.documented) == (
        "configs.py:2 n_layer",
        "2",
        Why.LITERAL,
        "11",
    )
    assert "num_layers" not in literal_sizes(DEEP)
