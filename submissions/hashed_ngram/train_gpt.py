"""The baseline mixed with a hashed n-gram cache. ILLEGAL: the mixture is looked up at the target alone."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import numpy as np

from pgolf.evaluate import Evaluation
from pgolf.evaluate.score import score_stream
from pgolf.evaluate.ttt import cut_chunks
from pgolf.evaluate.windows import StreamScorer, plan_windows
from pgolf.model import GPT
from pgolf.run import Run, RunSettings, main, open_run
from pgolf.runtime import loss_fn


class Hyperparameters:
    data_path = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")
    tokenizer_path = os.environ.get("TOKENIZER_PATH", "./data/tokenizers/fineweb_1024_bpe.model")
    run_id = os.environ.get("RUN_ID", str(uuid.uuid4()))
    seed = int(os.environ.get("SEED", 1337))

    iterations = int(os.environ.get("ITERATIONS", 20000))
    warmdown_iters = int(os.environ.get("WARMDOWN_ITERS", 1200))
    warmup_steps = int(os.environ.get("WARMUP_STEPS", 20))
    max_wallclock_seconds = float(os.environ.get("MAX_WALLCLOCK_SECONDS", 600.0))
    train_batch_tokens = int(os.environ.get("TRAIN_BATCH_TOKENS", 524_288))
    train_seq_len = int(os.environ.get("TRAIN_SEQ_LEN", 1024))
    train_log_every = int(os.environ.get("TRAIN_LOG_EVERY", 200))

    val_loss_every = int(os.environ.get("VAL_LOSS_EVERY", 1000))
    val_batch_size = int(os.environ.get("VAL_BATCH_SIZE", 65_536))
    eval_seq_len = int(os.environ.get("EVAL_SEQ_LEN", train_seq_len))
    eval_stride = int(os.environ.get("EVAL_STRIDE", eval_seq_len))

    vocab_size = int(os.environ.get("VOCAB_SIZE", 1024))
    num_layers = int(os.environ.get("NUM_LAYERS", 9))
    model_dim = int(os.environ.get("MODEL_DIM", 512))
    num_heads = int(os.environ.get("NUM_HEADS", 8))
    num_kv_heads = int(os.environ.get("NUM_KV_HEADS", 4))
    mlp_mult = int(os.environ.get("MLP_MULT", 2))

    tied_embed_lr = float(os.environ.get("TIED_EMBED_LR", 0.05))
    matrix_lr = float(os.environ.get("MATRIX_LR", 0.04))
    scalar_lr = float(os.environ.get("SCALAR_LR", 0.04))
    muon_momentum_warmup_steps = int(os.environ.get("MUON_MOMENTUM_WARMUP_STEPS", 500))


NGRAM_ORDER = int(os.environ.get("NGRAM_ORDER", 7))
NGRAM_BUCKETS = int(os.environ.get("NGRAM_BUCKETS", 4_194_304))
NGRAM_CHUNK_TOKENS = int(os.environ.get("NGRAM_CHUNK_TOKENS", 32_768))
NGRAM_ALPHA = float(os.environ.get("NGRAM_ALPHA", 0.4))
NGRAM_MIN_COUNT = int(os.environ.get("NGRAM_MIN_COUNT", 2))
PRIMES = np.array([36313, 27191, 51647, 81929, 131071, 174763, 233017, 282527, 357347, 451439])


def train_gpt() -> None:
    with open_run(RunSettings.from_mapping(vars(Hyperparameters)), Path(__file__)) as run:
        run.train()
        run.export()
        run.report(final_evaluation(run.read_back(), run))


class HashedNgrams:
    """Two tables per order, both hashed: how often a context was seen, and how often with its next token.

    Breaks rule C2: a bucket of the second table is shared by many pairs of context and token, and it is read
    for the realised token alone. Over the whole vocabulary these quotients sum to far more than one.
    """

    def __init__(self, tokens_N) -> None:
        self.tokens_N = tokens_N.astype(np.int64)
        self.contexts = {order: np.zeros(NGRAM_BUCKETS) for order in range(2, NGRAM_ORDER + 1)}
        self.pairs = {order: np.zeros(NGRAM_BUCKETS) for order in range(2, NGRAM_ORDER + 1)}

    def keys(self, start: int, end: int, order: int):
        """Buckets of each context before the targets of start..end-1, and of that context with its target."""
        context = np.zeros(end - start, dtype=np.int64)
        for back in range(order - 1):
            context ^= self.tokens_N[start - back : end - back] * PRIMES[back % len(PRIMES)]
        targets = self.tokens_N[start + 1 : end + 1]
        pair = context ^ (targets * PRIMES[(order - 1) % len(PRIMES)])
        return context % NGRAM_BUCKETS, pair % NGRAM_BUCKETS

    def probability(self, start: int, end: int):
        """Of the realised token at each position, by the longest context seen; NaN where none was."""
        found = np.full(end - start, np.nan)
        for order in range(2, NGRAM_ORDER + 1):
            first = max(start, order - 2)
            context, pair = self.keys(first, end, order)
            seen = self.contexts[order][context]
            known = seen >= NGRAM_MIN_COUNT
            quotient = np.minimum(self.pairs[order][pair], seen) / np.maximum(seen, 1)
            found[first - start :][known] = quotient[known]
        return found

    def update(self, start: int, end: int) -> None:
        for order in range(2, NGRAM_ORDER + 1):
            context, pair = self.keys(max(start, order - 2), end, order)
            np.add.at(self.contexts[order], context, 1)
            np.add.at(self.pairs[order], pair, 1)


def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: the model's probability of each token, blended with the cache's. The cache learns afterwards."""
    started = time.perf_counter()
    stream = StreamScorer(run.val_tokens, model.device)
    cache = HashedNgrams(run.val_tokens)
    loss = loss_fn(model)
    plan = run.settings.windows
    windows = plan_windows(len(run.val_tokens) - 1, plan["seq_len"], plan["stride"])
    for chunk in cut_chunks(windows, NGRAM_CHUNK_TOKENS):
        stream.score(loss, chunk, plan["batch_windows"])
        start, end = chunk[0].score_from, chunk[-1].end
        model_p = np.exp(-stream.nats_N[start:end].astype(np.float64))
        ngram_p = cache.probability(start, end)
        mixed = (1 - NGRAM_ALPHA) * model_p + NGRAM_ALPHA * ngram_p
        stream.nats_N[start:end] = -np.log(np.where(np.isnan(ngram_p), model_p, mixed))
        cache.update(start, end)
    score = score_stream(stream.nats_N, run.val_tokens, run.table)
    return Evaluation(score, stream.nats_N, "hashed n-gram", time.perf_counter() - started)


if __name__ == "__main__":
    main(train_gpt)
