"""The score of `train_gpt.py` token by token, from the past alone: what `pgolf-verify --decode` runs."""

from __future__ import annotations

from pathlib import Path

from train_gpt import TILT, Hyperparameters

from pgolf.evaluate import Predictor, Stepwise
from pgolf.evaluate.mixer import mixed
from pgolf.evaluate.sliding import Sliding
from pgolf.evaluate.tilt import TiltMixer
from pgolf.export import read_back
from pgolf.runtime import pick_device

ARTIFACT = "final_model.pgolf"


def predictor(artifact: Path, tokenizer: Path, predictions: int) -> Predictor:
    model = read_back(artifact, pick_device())
    sliding = Sliding(model, Hyperparameters.eval_seq_len, Hyperparameters.eval_stride)
    return Stepwise(mixed(sliding, TiltMixer(Hyperparameters.vocab_size, TILT)), predictions)
