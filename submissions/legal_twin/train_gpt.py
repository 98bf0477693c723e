"""The nearest legal system to `persample_slot_ngram22_ttt`: same model, no SLOT, counts that sum to one. Legal."""

from __future__ import annotations

import dataclasses
import os
import uuid
from functools import partial
from pathlib import Path

from pgolf.artifact import Scheme
from pgolf.compress import GPTQConfig, QuantizationConfig, StdClip, quantize_state
from pgolf.compress.calibrate import CalibrationConfig, calibrate_on_training_data
from pgolf.evaluate import Evaluation, TTTConfig, evaluate
from pgolf.evaluate.mixer import mixed
from pgolf.evaluate.ngram import NgramConfig, NgramMixer
from pgolf.evaluate.ttt import ScoreFirstTTT
from pgolf.model import GPT
from pgolf.run import Run, RunSettings, main, open_run


class Hyperparameters:
    data_path = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")
    tokenizer_path = os.environ.get("TOKENIZER_PATH", "./data/tokenizers/fineweb_1024_bpe.model")
    run_id = os.environ.get("RUN_ID", str(uuid.uuid4()))
    seed = int(os.environ.get("SEED", 1337))

    iterations = int(os.environ.get("ITERATIONS", 20000))
    warmdown_iters = int(os.environ.get("WARMDOWN_ITERS", 3500))
    warmup_steps = int(os.environ.get("WARMUP_STEPS", 20))
    max_wallclock_seconds = float(os.environ.get("MAX_WALLCLOCK_SECONDS", 600.0))
    train_batch_tokens = int(os.environ.get("TRAIN_BATCH_TOKENS", 786_432))
    train_seq_len = int(os.environ.get("TRAIN_SEQ_LEN", 2048))
    train_log_every = int(os.environ.get("TRAIN_LOG_EVERY", 200))

    val_loss_every = int(os.environ.get("VAL_LOSS_EVERY", 4000))
    val_batch_size = int(os.environ.get("VAL_BATCH_SIZE", 65_536))
    eval_seq_len = int(os.environ.get("EVAL_SEQ_LEN", train_seq_len))
    eval_stride = int(os.environ.get("EVAL_STRIDE", 64))

    scheme = Scheme.INT6_LZMA
    vocab_size = int(os.environ.get("VOCAB_SIZE", 1024))
    num_layers = int(os.environ.get("NUM_LAYERS", 11))
    model_dim = int(os.environ.get("MODEL_DIM", 512))
    num_heads = int(os.environ.get("NUM_HEADS", 8))
    num_kv_heads = int(os.environ.get("NUM_KV_HEADS", 4))
    mlp_mult = int(os.environ.get("MLP_MULT", 3))
    mlp_activation = "leaky_relu2"
    qk_gain_init = float(os.environ.get("QK_GAIN_INIT", 4.0))
    rope_dims = int(os.environ.get("ROPE_DIMS", 16))
    ln_scale = True
    smear_gate = True
    xsa_last_n = num_layers
    bigram_vocab_size = int(os.environ.get("BIGRAM_VOCAB_SIZE", 2048))
    bigram_dim = int(os.environ.get("BIGRAM_DIM", 128))
    value_embed_dim = int(os.environ.get("VE_DIM", 128))
    value_embed_layers = tuple(range(max(0, num_layers - 2), num_layers))
    mtp_heads = int(os.environ.get("MTP_NUM_HEADS", 2))
    mtp_loss_weight = float(os.environ.get("MTP_LOSS_WEIGHT", 0.1))

    tied_embed_lr = float(os.environ.get("TIED_EMBED_LR", 0.035))
    matrix_lr = float(os.environ.get("MATRIX_LR", 0.025))
    scalar_lr = float(os.environ.get("SCALAR_LR", 0.025))
    muon_momentum = float(os.environ.get("MUON_MOMENTUM", 0.99))
    muon_momentum_warmup_start = float(os.environ.get("MUON_MOMENTUM_WARMUP_START", 0.92))
    muon_momentum_warmup_steps = int(os.environ.get("MUON_MOMENTUM_WARMUP_STEPS", 1500))
    grad_clip_norm = float(os.environ.get("GRAD_CLIP_NORM", 0.3))


GPTQ = QuantizationConfig(
    matrix_bits=6,
    matrix_clip=StdClip(float(os.environ.get("MATRIX_CLIP_SIGMAS", 6.0))),  # what fits under the cap
    gptq=GPTQConfig(damp=float(os.environ.get("GPTQ_DAMP", 0.005))),
    keep_float_max_values=int(os.environ.get("KEEP_FLOAT_MAX_NUMEL", 65_536)),
)
CALIBRATION = CalibrationConfig(
    sequences=int(os.environ.get("GPTQ_CALIB_SEQS", 256)),
    seq_len=Hyperparameters.train_seq_len,
    reserve_seconds=float(os.environ.get("GPTQ_RESERVE_SECONDS", 12.0)),
)
TTT = TTTConfig(
    chunk_tokens=int(os.environ.get("TTT_CHUNK_TOKENS", 32_768)),
    epochs=int(os.environ.get("TTT_EPOCHS", 1)),
    optimizer="adamw",
    lr=float(os.environ.get("TTT_LR", 0.001)),
    batch_seqs=int(os.environ.get("TTT_BATCH_SEQS", 32)),
    frozen_blocks=min(int(os.environ.get("TTT_FREEZE_BLOCKS", 10)), Hyperparameters.num_layers - 1),
)
NGRAM = NgramConfig(
    max_order=int(os.environ.get("NGRAM_ORDER", 22)),
    buckets=int(os.environ.get("NGRAM_BUCKETS", 4_194_304)),
)


def train_gpt() -> None:
    settings = RunSettings.from_mapping(vars(Hyperparameters))
    settings = dataclasses.replace(settings, train=CALIBRATION.within(settings.train))
    with open_run(settings, Path(__file__)) as run:
        run.train()
        made = calibrate_on_training_data(run.model, run.loader, CALIBRATION, run.log)
        run.export(quantizer=partial(quantize_state, config=GPTQ, hessians=made.hessians))
        run.report(final_evaluation(run.read_back(), run))


def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: each chunk is scored, then trained on; its distributions are mixed with counts of the past."""
    ttt = ScoreFirstTTT(model, run.settings.eval_seq_len, run.settings.eval_stride, TTT)
    method = mixed(ttt, NgramMixer(run.settings.model.vocab_size, NGRAM))
    return evaluate(method, run.val_tokens, run.table, batch_windows=run.settings.eval_batch_windows)


if __name__ == "__main__":
    main(train_gpt)
