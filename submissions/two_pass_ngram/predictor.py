"""The score of `train_gpt.py` token by token. ILLEGAL: its counts hold the whole stream before the first prediction.

`pgolf-verify --decode` shows it: the encoder finds the validation shard and counts it, the decoder has no such file,
begins with empty counts, and reads other tokens.
"""

from __future__ import annotations

from pathlib import Path

from train_gpt import NGRAM, Hyperparameters

from pgolf.evaluate import Predictor, Stepwise
from pgolf.evaluate.mixer import mixed
from pgolf.evaluate.ngram import NgramMixer
from pgolf.evaluate.sliding import Sliding
from pgolf.export import read_back
from pgolf.runtime import pick_device
from pgolf.shards import MissingShards, read_stream

ARTIFACT = "final_model.pgolf"


class FirstPassDone(NgramMixer):
    """The mixer as it is when the second pass begins."""

    def reset(self) -> None:
        super().reset()
        try:
            stream = read_stream(f"{Hyperparameters.data_path}/fineweb_val_*.bin")
        except MissingShards:
            return
        for token in stream.tolist():
            self.update(token)


def predictor(artifact: Path, tokenizer: Path, predictions: int) -> Predictor:
    model = read_back(artifact, pick_device())
    sliding = Sliding(model, Hyperparameters.eval_seq_len, Hyperparameters.eval_stride)
    return Stepwise(mixed(sliding, FirstPassDone(Hyperparameters.vocab_size, NGRAM)), predictions)
