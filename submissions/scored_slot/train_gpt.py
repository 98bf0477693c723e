"""The baseline with SLOT on scored positions. ILLEGAL: each window is fitted to the tokens it then scores."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import torch
import torch.nn.functional as F

from pgolf.evaluate import Evaluation
from pgolf.evaluate.score import score_stream
from pgolf.evaluate.windows import StreamScorer, plan_windows
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


SLOT_STEPS = int(os.environ.get("SLOT_STEPS", 16))
SLOT_LR = float(os.environ.get("SLOT_LR", 0.05))


def train_gpt() -> None:
    with open_run(RunSettings.from_mapping(vars(Hyperparameters)), Path(__file__)) as run:
        run.train()
        run.export()
        run.report(final_evaluation(run.read_back(), run))


def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: sliding windows, with the final hidden state of each shifted by a delta of its own.

    Breaks rules C1 and C3: the delta is optimized on the targets of the very positions it then scores.
    """
    started = time.perf_counter()
    model.requires_grad_(False)
    stream = StreamScorer(run.val_tokens, model.device)
    for window in plan_windows(len(run.val_tokens) - 1, run.settings.eval_seq_len, run.settings.eval_stride):
        scored = slice(window.score_from - window.start, None)

        def slot_loss(inputs_BT, targets_BT, reduction="mean", scored=scored):
            hidden_BTD = model.hidden_states(inputs_BT)
            delta_B1D = torch.zeros_like(hidden_BTD[:, :1], dtype=torch.float32, requires_grad=True)
            optimizer = torch.optim.AdamW([delta_B1D], lr=SLOT_LR, weight_decay=1e-8, eps=1e-5)
            with torch.enable_grad():
                for _ in range(SLOT_STEPS):
                    optimizer.zero_grad()
                    logits_BTV = model.head(hidden_BTD + delta_B1D.to(hidden_BTD.dtype))
                    F.cross_entropy(logits_BTV[0, scored], targets_BT[0, scored]).backward()
                    optimizer.step()
            logits_BTV = model.head(hidden_BTD + delta_B1D.to(hidden_BTD.dtype))
            return F.cross_entropy(logits_BTV[0], targets_BT[0], reduction="none")[None]

        stream.score(slot_loss, [window], batch_windows=1)
    score = score_stream(stream.nats_N, run.val_tokens, run.table)
    return Evaluation(score, stream.nats_N, "slot", time.perf_counter() - started)


if __name__ == "__main__":
    main(train_gpt)
