"""The score of `train_gpt.py` token by token. ILLEGAL: a batch's delta needs tokens that its first windows score.

`pgolf-verify --decode` shows it: the encoder finds the validation shard, the decoder has no such file, fits the delta to
what it has decoded so far and zeros, and reads other tokens.
"""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

import torch
from train_gpt import SLOT, SLOT_BATCH_SEQS, Hyperparameters, SharedDelta

from pgolf.evaluate import Predictor
from pgolf.evaluate.driver import window_inputs
from pgolf.evaluate.method import Where
from pgolf.evaluate.windows import plan_windows
from pgolf.export import read_back
from pgolf.runtime import pick_device
from pgolf.shards import MissingShards, read_stream

ARTIFACT = "final_model.pgolf"


class BatchOfWindows:
    """The distributions of a batch of windows, all made when its first one is asked for."""

    def __init__(self, method: SharedDelta, predictions: int) -> None:
        self.method = method
        self.predictions = predictions
        windows = plan_windows(predictions, Hyperparameters.eval_seq_len, Hyperparameters.eval_stride)
        self.batches = [windows[at : at + SLOT_BATCH_SEQS] for at in range(0, len(windows), SLOT_BATCH_SEQS)]
        self.first = [batch[0].score_from for batch in self.batches]
        try:
            self.stream = (
                read_stream(f"{Hyperparameters.data_path}/fineweb_val_*.bin").astype("int64").tolist()
            )
        except MissingShards:
            self.stream = None
        self.reset()

    def reset(self) -> None:
        self.tokens: list[int] = []
        self.logits: dict[int, torch.Tensor] = {}

    def update(self, token: int) -> None:
        self.tokens.append(token)

    def log_probs(self) -> torch.Tensor:
        position = len(self.tokens) - 1
        if position not in self.logits:
            self.logits = self.fitted(position)
        return self.logits[position].double().log_softmax(-1)

    @torch.no_grad()
    def fitted(self, position: int) -> dict[int, torch.Tensor]:
        batch = self.batches[bisect_right(self.first, position) - 1]
        unknown = self.predictions + 1 - len(self.tokens)
        stream = torch.tensor(self.stream or self.tokens + [0] * unknown, device=self.method.device)
        places = [
            (row, at) for row, window in enumerate(batch) for at in range(window.score_from, window.end)
        ]
        rows_P = torch.tensor([row for row, _ in places], device=self.method.device)
        columns_P = torch.tensor([at - batch[row].start for row, at in places], device=self.method.device)
        logits_PV = self.method.logits(window_inputs(stream, batch), batch, Where(rows_P, columns_P))
        return {at: logits_V for (_, at), logits_V in zip(places, logits_PV, strict=True)}


def predictor(artifact: Path, tokenizer: Path, predictions: int) -> Predictor:
    model = read_back(artifact, pick_device())
    method = SharedDelta(model, Hyperparameters.eval_seq_len, Hyperparameters.eval_stride, SLOT)
    return BatchOfWindows(method, predictions)
