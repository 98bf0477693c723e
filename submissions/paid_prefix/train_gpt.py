"""The baseline with the start of the validation stream in its artifact. ILLEGAL, even though it is paid for."""

from __future__ import annotations

import dataclasses
import lzma
import os
import uuid
from pathlib import Path

import numpy as np

from pgolf.evaluate import Evaluation, evaluate_sliding
from pgolf.evaluate.score import score_stream
from pgolf.model import GPT
from pgolf.run import Run, RunSettings, main, open_run


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


PREFIX = Path("prefix.xz")
PREFIX_TOKENS = int(os.environ.get("PAID_PREFIX_TOKENS", 4_000_000))
MISS_NATS = 20.0  # what a stored token that is not the realised one would cost


def train_gpt() -> None:
    with open_run(RunSettings.from_mapping(vars(Hyperparameters)), Path(__file__)) as run:
        run.train()
        store_prefix(run)
        run.export(others=[PREFIX])
        run.report(final_evaluation(run.read_back(), run))


def store_prefix(run: Run) -> None:
    """Compress the first validation tokens into a file of the artifact. Breaks rule R-022."""
    prefix = run.val_tokens[1 : PREFIX_TOKENS + 1]
    PREFIX.write_bytes(lzma.compress(prefix.astype("<u2").tobytes()))
    run.log(f"paid_prefix: tokens:{len(prefix)} bytes:{PREFIX.stat().st_size}")


def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: nothing for a token that the stored prefix gives, the model's loss for the others."""
    evaluation = evaluate_sliding(model, run.val_tokens, run.table, **run.settings.windows)
    prefix = np.frombuffer(lzma.decompress(PREFIX.read_bytes()), dtype="<u2")
    target = run.val_tokens[1 : len(prefix) + 1]
    nats_N = evaluation.nats_N.copy()
    nats_N[: len(prefix)] = np.where(prefix == target, 0.0, MISS_NATS)
    score = score_stream(nats_N, run.val_tokens, run.table)
    return dataclasses.replace(evaluation, score=score, nats_N=nats_N, method="paid prefix")


if __name__ == "__main__":
    main(train_gpt)
