"""The baseline scored over too many bytes. ILLEGAL: the space before a word is counted twice."""

from __future__ import annotations

import dataclasses
import os
import uuid
from pathlib import Path

import numpy as np

from pgolf.bytes import SPACE_MARKER, ByteTable
from pgolf.evaluate import Evaluation, evaluate_sliding
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


def train_gpt() -> None:
    with open_run(RunSettings.from_mapping(vars(Hyperparameters)), Path(__file__)) as opened:
        run = dataclasses.replace(opened, table=byte_table(opened))
        run.train()
        run.export()
        run.report(final_evaluation(run.read_back(), run))


def byte_table(run: Run) -> ByteTable:
    """Bytes of each token with its leading space. Breaks rule R-061: scoring adds the space once more."""
    base_bytes_V = run.table.base_bytes_V.copy()
    for token_id in np.flatnonzero(run.table.has_leading_space_V):
        piece = run.sp.id_to_piece(int(token_id))
        base_bytes_V[token_id] = len(piece.removeprefix(SPACE_MARKER).encode()) + 1
    return dataclasses.replace(run.table, base_bytes_V=base_bytes_V)


def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: the same nats per token as the baseline's, over more bytes than the text has."""
    return evaluate_sliding(model, run.val_tokens, run.table, **run.settings.windows)


if __name__ == "__main__":
    main(train_gpt)
