"""The score of `train_gpt.py` token by token, from the past alone: what `pgolf-verify --decode` runs."""

from __future__ import annotations

from pathlib import Path

from train_gpt import LORA, Hyperparameters

from pgolf.evaluate import Predictor, Stepwise
from pgolf.evaluate.doc_lora import DocLoRA
from pgolf.export import read_back
from pgolf.runtime import pick_device
from pgolf.tokenizer import BOS_ID

ARTIFACT = "final_model.pgolf"


def predictor(artifact: Path, tokenizer: Path, predictions: int) -> Predictor:
    model = read_back(artifact, pick_device())
    return Stepwise(DocLoRA(model, Hyperparameters.eval_seq_len, BOS_ID, LORA), predictions)
