"""Scoring a token stream, legally: each token once, from its past alone, before anything learns from it.

`plain` cuts the stream into adjacent windows, `sliding` gives each token more context, `ttt` also trains
on what it has scored. All return an `Evaluation` with the loss of every token.
"""

from pgolf.evaluate.plain import evaluate_plain
from pgolf.evaluate.score import Evaluation, Score
from pgolf.evaluate.sliding import evaluate_sliding
from pgolf.evaluate.ttt import TTTConfig, evaluate_ttt

__all__ = ["Evaluation", "Score", "TTTConfig", "evaluate_plain", "evaluate_sliding", "evaluate_ttt"]
