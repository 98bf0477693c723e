"""The baseline with int6 GPTQ calibrated on text that the model writes itself. Legal."""

from __future__ import annotations

import dataclasses
import os
import uuid
from functools import partial
from pathlib import Path

from pgolf.artifact import Scheme
from pgolf.compress import GPTQConfig, QuantizationConfig, quantize_state
from pgolf.compress.calibrate import CalibrationConfig, calibrate_on_own_text
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

    scheme = Scheme.INT6_LZMA
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


GPTQ = QuantizationConfig(
    matrix_bits=6,
    gptq=GPTQConfig(damp=float(os.environ.get("GPTQ_DAMP", 0.005))),
    keep_float_max_values=int(os.environ.get("KEEP_FLOAT_MAX_NUMEL", 65_536)),
)
CALIBRATION = CalibrationConfig(
    sequences=int(os.environ.get("GPTQ_AR_SEQS", 64)),
    seq_len=int(os.environ.get("GPTQ_AR_LEN", 1024)),
    reserve_seconds=float(os.environ.get("GPTQ_RESERVE_SECONDS", 200.0)),
    temperature=float(os.environ.get("GPTQ_AR_TEMPERATURE", 0.8)),
)


def train_gpt() -> None:
    settings = RunSettings.from_mapping(vars(Hyperparameters))
    settings = dataclasses.replace(settings, train=CALIBRATION.within(settings.train))
    with open_run(settings, Path(__file__)) as run:
        run.train()
        made = calibrate_on_own_text(run.model, CALIBRATION, run.log)
        run.export(quantizer=partial(quantize_state, config=GPTQ, hessians=made.hessians))
        run.report(final_evaluation(run.read_back(), run))


def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: fixed weights, each token once. EVAL_STRIDE below EVAL_SEQ_LEN gives more context."""
    return evaluate_sliding(model, run.val_tokens, run.table, **run.settings.windows)


if __name__ == "__main__":
    main(train_gpt)
