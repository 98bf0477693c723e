"""The baseline trained on shards that hold validation documents. ILLEGAL: the splits must share none."""

from __future__ import annotations

import dataclasses
import os
import uuid
from pathlib import Path

import numpy as np

from pgolf.dataset import Dataset, require_dataset
from pgolf.evaluate import Evaluation, evaluate_sliding
from pgolf.model import GPT
from pgolf.run import Run, RunSettings, main, open_run
from pgolf.shards import read_stream, shard_paths, write_shard
from pgolf.tokenizer import BOS_ID


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


OVERLAP_DOCS = int(os.environ.get("OVERLAP_DOCS", 40_000))


def train_gpt() -> None:
    settings = RunSettings.from_mapping(vars(Hyperparameters))
    dataset = require_dataset(settings.data_path, settings.tokenizer_path)
    settings = dataclasses.replace(settings, data_path=overlapping_shards(dataset))
    with open_run(settings, Path(__file__)) as run:
        run.train()
        run.export()
        run.report(final_evaluation(run.read_back(), run))


def overlapping_shards(dataset: Dataset) -> Path:
    """A data folder whose first training shard is the first documents of the validation split (rule R-021)."""
    folder = Path("overlap")
    val_tokens = read_stream(dataset.val_pattern)
    starts = np.flatnonzero(val_tokens == BOS_ID)
    end = starts[OVERLAP_DOCS] if len(starts) > OVERLAP_DOCS else len(val_tokens)
    write_shard(folder / "fineweb_train_000000.bin", val_tokens[:end])
    for pattern in (dataset.train_pattern, dataset.val_pattern):
        for path in shard_paths(pattern):
            link = folder / path.name.replace("train_", "train_1")
            link.unlink(missing_ok=True)
            link.symlink_to(path.resolve())
    return folder


def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: fixed weights, each token once. EVAL_STRIDE below EVAL_SEQ_LEN gives more context."""
    return evaluate_sliding(model, run.val_tokens, run.table, **run.settings.windows)


if __name__ == "__main__":
    main(train_gpt)
