"""The score of `train_gpt.py` for each token that may come. ILLEGAL: these probabilities do not sum to one.

Each candidate is looked up as the realised token is: in a bucket that it shares with other pairs. `pgolf-verify --decode`
refuses what comes out as soon as a bucket is shared: it is no distribution.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from train_gpt import (
    NGRAM_ALPHA,
    NGRAM_BUCKETS,
    NGRAM_CHUNK_TOKENS,
    NGRAM_MIN_COUNT,
    NGRAM_ORDER,
    PRIMES,
    HashedNgrams,
    Hyperparameters,
)

from pgolf.evaluate import Predictor, Stepwise
from pgolf.evaluate.mixer import Mixer, mixed
from pgolf.evaluate.sliding import Sliding
from pgolf.evaluate.ttt import cut_chunks
from pgolf.evaluate.windows import plan_windows
from pgolf.export import read_back
from pgolf.runtime import pick_device

ARTIFACT = "final_model.pgolf"


class HashedMixer(Mixer):
    """The cache, asked for every token of the vocabulary; it learns a chunk when the chunk is over."""

    name = "hashed n-gram"

    def __init__(self, predictions: int) -> None:
        windows = plan_windows(predictions, Hyperparameters.eval_seq_len, Hyperparameters.eval_stride)
        self.ends = {chunk[-1].end: chunk[0].score_from for chunk in cut_chunks(windows, NGRAM_CHUNK_TOKENS)}
        self.reset()

    def reset(self) -> None:
        self.tokens: list[int] = []
        self.cache = HashedNgrams(np.zeros(0))

    def update(self, token: int) -> None:
        self.tokens.append(token)
        end = len(self.tokens) - 1
        if end in self.ends:
            self.cache.tokens_N = np.array(self.tokens, dtype=np.int64)
            self.cache.update(self.ends[end], end)

    def mix(self, log_probs_V: torch.Tensor) -> torch.Tensor:
        model_V = log_probs_V.exp()
        every_V = np.arange(len(log_probs_V), dtype=np.int64)
        found_V = None
        for order in range(2, min(NGRAM_ORDER, len(self.tokens) + 1) + 1):
            context = np.int64(0)
            for back in range(order - 1):
                context ^= np.int64(self.tokens[-1 - back]) * PRIMES[back % len(PRIMES)]
            pairs_V = (context ^ (every_V * PRIMES[(order - 1) % len(PRIMES)])) % NGRAM_BUCKETS
            seen = self.cache.contexts[order][context % NGRAM_BUCKETS]
            if seen >= NGRAM_MIN_COUNT:
                found_V = np.minimum(self.cache.pairs[order][pairs_V], seen) / seen
        if found_V is None:
            return log_probs_V
        ngram_V = torch.from_numpy(found_V).to(model_V)
        return ((1 - NGRAM_ALPHA) * model_V + NGRAM_ALPHA * ngram_V).log()


def predictor(artifact: Path, tokenizer: Path, predictions: int) -> Predictor:
    model = read_back(artifact, pick_device())
    sliding = Sliding(model, Hyperparameters.eval_seq_len, Hyperparameters.eval_stride)
    return Stepwise(mixed(sliding, HashedMixer(predictions)), predictions)
