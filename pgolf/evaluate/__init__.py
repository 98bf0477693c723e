"""Scoring a token stream, legally: each token once, from its past alone, before anything learns from it.

A `Method` plans windows, predicts and learns; `evaluate` runs it in batches over a stream, `Stepwise` makes
a predictor of it that sees the past alone, and both give the same losses. `methods.METHODS` lists them.
"""

from pgolf.evaluate.driver import evaluate
from pgolf.evaluate.methods import METHODS, MethodConfig
from pgolf.evaluate.mixer import mixed
from pgolf.evaluate.plain import evaluate_plain
from pgolf.evaluate.predictor import Predictor, Stepwise
from pgolf.evaluate.score import Evaluation, Score
from pgolf.evaluate.sliding import evaluate_sliding
from pgolf.evaluate.ttt import TTTConfig, evaluate_ttt

__all__ = [
    "METHODS",
    "Evaluation",
    "MethodConfig",
    "Predictor",
    "Score",
    "Stepwise",
    "TTTConfig",
    "evaluate",
    "evaluate_plain",
    "evaluate_sliding",
    "evaluate_ttt",
    "mixed",
]
