"""The baseline with an n-gram tilt. ILLEGAL: whether it is applied depends on the token being predicted."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import torch

from pgolf.evaluate import Evaluation
from pgolf.evaluate.score import score_stream
from pgolf.evaluate.tilt import TiltConfig, TiltMixer
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


TILT = TiltConfig(
    min_order=int(os.environ.get("TILT_MIN_ORDER", 2)),
    max_order=int(os.environ.get("TILT_MAX_ORDER", 16)),
    beta=float(os.environ.get("TILT_BETA", 2.625)),
    threshold=float(os.environ.get("TILT_THRESHOLD", 0.0)),
)


def train_gpt() -> None:
    with open_run(RunSettings.from_mapping(vars(Hyperparameters)), Path(__file__)) as run:
        run.train()
        run.export()
        run.report(final_evaluation(run.read_back(), run))


def tilted_nats(logp_BTV, hint_BT, targets_BT, starts_word_V):
    """Losses under p(v) exp(beta [v = hint]) / Z, with beta = 0 where the gate is closed.

    Breaks rules C1 and C2: the gate opens only where the *realised* token starts a word exactly if the hint
    does, so a wrong hint of the other kind costs nothing and the probabilities no longer sum to one.
    """
    hinted_BT = hint_BT.clamp_min(0)
    gate_BT = (hint_BT >= 0) & (starts_word_V[targets_BT] == starts_word_V[hinted_BT])
    beta_BT = TILT.beta * gate_BT
    hint_p_BT = logp_BTV.gather(-1, hinted_BT[..., None])[..., 0].exp()
    log_z_BT = torch.log1p(hint_p_BT * torch.expm1(beta_BT))
    logp_BT = logp_BTV.gather(-1, targets_BT[..., None])[..., 0]
    return log_z_BT - logp_BT - beta_BT * (hinted_BT == targets_BT)


@torch.no_grad()
def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: the model's distribution in sliding windows, tilted towards the hint of each position."""
    started = time.perf_counter()
    device = model.device
    stream = StreamScorer(run.val_tokens, device)
    tilt = TiltMixer(run.settings.model.vocab_size, TILT)
    hint_N = tilt.hints(stream.stream.tokens_N)
    starts_word_V = torch.from_numpy(run.table.has_leading_space_V | run.table.is_boundary_V).to(device)
    plan = run.settings.windows
    windows = plan_windows(len(run.val_tokens) - 1, plan["seq_len"], plan["stride"])
    for first in range(0, len(windows), plan["batch_windows"]):
        batch = windows[first : first + plan["batch_windows"]]
        length = batch[0].end - batch[0].start
        starts = torch.tensor([window.start for window in batch], device=device)
        hint_BT = hint_N[starts[:, None] + torch.arange(length, device=device)]
        inputs_BT, targets_BT = stream.spans(starts.tolist(), length)
        nats_BT = tilted_nats(model(inputs_BT).log_softmax(dim=-1), hint_BT, targets_BT, starts_word_V)
        for window, nats_T in zip(batch, nats_BT.cpu().numpy(), strict=True):
            stream.nats_N[window.score_from : window.end] = nats_T[window.score_from - window.start :]
    score = score_stream(stream.nats_N, run.val_tokens, run.table)
    return Evaluation(score, stream.nats_N, "gated tilt", time.perf_counter() - started)


if __name__ == "__main__":
    main(train_gpt)
