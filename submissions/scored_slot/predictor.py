"""The score of `train_gpt.py` token by token. ILLEGAL: it needs the tokens of a window before the first is predicted.

`pgolf-verify --decode` shows it: the encoder finds the validation shard, the decoder has no such file, fits its delta to
what it has decoded so far and zeros, and reads other tokens.
"""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

import torch
import torch.nn.functional as F
from train_gpt import SLOT_LR, SLOT_STEPS, Hyperparameters

from pgolf.evaluate import Predictor
from pgolf.evaluate.windows import plan_windows
from pgolf.export import read_back
from pgolf.model import GPT
from pgolf.runtime import pick_device
from pgolf.shards import MissingShards, read_stream

ARTIFACT = "final_model.pgolf"


class ScoredSLOT:
    """A window's distributions, all made when its first one is asked for."""

    def __init__(self, model: GPT, predictions: int) -> None:
        self.model = model.requires_grad_(False)
        self.predictions = predictions
        self.windows = plan_windows(predictions, Hyperparameters.eval_seq_len, Hyperparameters.eval_stride)
        self.first = [window.score_from for window in self.windows]
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

    def fitted(self, position: int) -> dict[int, torch.Tensor]:
        window = self.windows[bisect_right(self.first, position) - 1]
        unknown = self.predictions + 1 - len(self.tokens)
        stream = torch.tensor(self.stream or self.tokens + [0] * unknown, device=self.model.device)
        scored = slice(window.score_from - window.start, None)
        hidden_1TD = self.model.hidden_states(stream[None, window.start : window.end])[:, scored]
        targets_S = stream[window.score_from + 1 : window.end + 1]
        delta_11D = torch.zeros_like(hidden_1TD[:, :1], dtype=torch.float32, requires_grad=True)
        optimizer = torch.optim.AdamW([delta_11D], lr=SLOT_LR, weight_decay=1e-8, eps=1e-5)
        for _ in range(SLOT_STEPS):
            optimizer.zero_grad()
            F.cross_entropy(self.model.head(hidden_1TD + delta_11D)[0], targets_S).backward()
            optimizer.step()
        logits_SV = self.model.head(hidden_1TD + delta_11D)[0].detach()
        return {window.score_from + row: logits_V for row, logits_V in enumerate(logits_SV)}


def predictor(artifact: Path, tokenizer: Path, predictions: int) -> Predictor:
    return ScoredSLOT(read_back(artifact, pick_device()), predictions)
