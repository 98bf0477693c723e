"""The baseline with context-only SLOT. ILLEGAL: windows of one batch share a delta, and so each other's targets."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import torch
import torch.nn.functional as F

from pgolf.evaluate import Evaluation, evaluate
from pgolf.evaluate.slot import ContextSLOT, SLOTConfig
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
    eval_stride = int(os.environ.get("EVAL_STRIDE", 64))

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


SLOT = SLOTConfig(
    steps=int(os.environ.get("SLOT_STEPS", 16)),
    lr=float(os.environ.get("SLOT_LR", 0.05)),
    lr_min=float(os.environ.get("SLOT_LR_MIN", 0.005)),
)
SLOT_BATCH_SEQS = int(os.environ.get("SLOT_BATCH_SEQS", 32))


def train_gpt() -> None:
    with open_run(RunSettings.from_mapping(vars(Hyperparameters)), Path(__file__)) as run:
        run.train()
        run.export()
        run.report(final_evaluation(run.read_back(), run))


class SharedDelta(ContextSLOT):
    """Context-only SLOT, but with one delta for all windows of a batch.

    The delta is fitted to the context of each window alone, never to the positions that it scores. Breaks rules
    C1 and C3 all the same: what the first window of a batch scores is context of the second, so the one delta
    that both are scored with has seen it.
    """

    @torch.enable_grad()
    def fit(self, hidden_BTD, inputs_BT, context):
        context_B = torch.tensor(context, device=self.device)
        known_BT = torch.arange(inputs_BT.size(1) - 1, device=self.device) < context_B[:, None]
        hidden_PD, targets_P = hidden_BTD[:, :-1][known_BT], inputs_BT[:, 1:][known_BT]
        delta_D = torch.zeros(hidden_BTD.size(-1), device=self.device, requires_grad=True)
        bias_V = torch.zeros(self.model.config.vocab_size, device=self.device)
        optimizer = torch.optim.AdamW([delta_D], lr=SLOT.lr, eps=SLOT.eps, weight_decay=SLOT.weight_decay)
        for step in range(SLOT.steps if len(targets_P) else 0):
            optimizer.param_groups[0]["lr"] = SLOT.lr_at(step)
            logits_PV = self.model.head(hidden_PD + delta_D.to(hidden_PD.dtype))
            [delta_D.grad] = torch.autograd.grad(F.cross_entropy(logits_PV, targets_P), [delta_D])
            optimizer.step()
        rows = len(context)
        return delta_D.detach().expand(rows, 1, -1), bias_V.expand(rows, 1, -1)


def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: overlapping windows, each position scored once."""
    method = SharedDelta(model, run.settings.eval_seq_len, run.settings.eval_stride, SLOT)
    return evaluate(method, run.val_tokens, run.table, batch_windows=SLOT_BATCH_SEQS)


if __name__ == "__main__":
    main(train_gpt)
