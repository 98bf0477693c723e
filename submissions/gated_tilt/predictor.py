"""The score of `train_gpt.py` for each token that may come. ILLEGAL: these probabilities do not sum to one.

The gate depends on the token, so each candidate is asked for with the gate that it would open. `pgolf-verify --decode`
refuses what comes out: it is no distribution.
"""

from __future__ import annotations

from pathlib import Path

import torch
from train_gpt import TILT, Hyperparameters, tilted_nats

from pgolf.bytes import ByteTable
from pgolf.evaluate import Predictor, Stepwise
from pgolf.evaluate.mixer import mixed
from pgolf.evaluate.sliding import Sliding
from pgolf.evaluate.tilt import TiltMixer
from pgolf.export import read_back
from pgolf.runtime import pick_device
from pgolf.tokenizer import load_tokenizer

ARTIFACT = "final_model.pgolf"


class GatedTilt(TiltMixer):
    """The tilt, with a gate that looks at the token whose probability is asked for."""

    def __init__(self, starts_word_V: torch.Tensor) -> None:
        super().__init__(Hyperparameters.vocab_size, TILT)
        self.starts_word_V = starts_word_V

    def mix(self, log_probs_V: torch.Tensor) -> torch.Tensor:
        size = len(log_probs_V)
        hint_1V = torch.full((1, size), self.hint(), device=log_probs_V.device)
        tokens_1V = torch.arange(size, device=log_probs_V.device)[None]
        return -tilted_nats(log_probs_V.expand(1, size, size), hint_1V, tokens_1V, self.starts_word_V)[0]


def predictor(artifact: Path, tokenizer: Path, predictions: int) -> Predictor:
    model = read_back(artifact, pick_device())
    table = ByteTable.from_tokenizer(load_tokenizer(tokenizer), Hyperparameters.vocab_size)
    starts_word_V = torch.from_numpy(table.has_leading_space_V | table.is_boundary_V).to(model.device)
    sliding = Sliding(model, Hyperparameters.eval_seq_len, Hyperparameters.eval_stride)
    return Stepwise(mixed(sliding, GatedTilt(starts_word_V)), predictions)
