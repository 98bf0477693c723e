"""The score of `train_gpt.py` token by token, from the past alone: what `pgolf-verify --decode` runs."""

from __future__ import annotations

from pathlib import Path

from train_gpt import STATEFUL, Hyperparameters

from pgolf.evaluate import Predictor, Stepwise
from pgolf.evaluate.stateful import Stateful
from pgolf.export import read_back
from pgolf.runtime import pick_device

ARTIFACT = "final_model.pgolf"


def predictor(artifact: Path, tokenizer: Path, predictions: int) -> Predictor:
    model = read_back(artifact, pick_device())
    return Stepwise(Stateful(model, Hyperparameters.eval_seq_len, STATEFUL), predictions)
