"""The baseline with an n-gram mixer that reads the stream twice. ILLEGAL: the second pass is reported."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import torch

from pgolf.evaluate import Evaluation, evaluate
from pgolf.evaluate.mixer import Facts, mixed
from pgolf.evaluate.ngram import NgramConfig, NgramMixer
from pgolf.evaluate.sliding import Sliding
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


NGRAM = NgramConfig(
    max_order=int(os.environ.get("NGRAM_ORDER", 7)),
    buckets=int(os.environ.get("NGRAM_BUCKETS", 4_194_304)),
)


def train_gpt() -> None:
    with open_run(RunSettings.from_mapping(vars(Hyperparameters)), Path(__file__)) as run:
        run.train()
        run.export()
        run.report(final_evaluation(run.read_back(), run))


class TwoPassMixer(NgramMixer):
    """The legal mixer, run over the stream twice without emptying its counts; it gives the second pass's losses.

    Breaks rule C4, and with it C1: in the second pass the counts hold every token that is scored and all later
    ones. That each distribution sums to one does not help (rule R-055).
    """

    name = "two-pass ngram"

    def mixed_nats(self, tokens_N, facts):
        join_1 = torch.zeros_like(facts.entropy_N[:1])  # where the second pass begins anew; not reported

        def twice(values_N):
            return torch.cat((values_N, join_1, values_N))

        both = Facts(twice(facts.nats_N), twice(facts.entropy_N))
        passes_N = super().mixed_nats(torch.cat((tokens_N, tokens_N)), both)
        return passes_N[-len(facts.entropy_N) :]


def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: the model's distribution in sliding windows, mixed with the counts of the whole stream."""
    sliding = Sliding(model, run.settings.eval_seq_len, run.settings.eval_stride)
    method = mixed(sliding, TwoPassMixer(run.settings.model.vocab_size, NGRAM))
    return evaluate(method, run.val_tokens, run.table, batch_windows=run.settings.eval_batch_windows)


if __name__ == "__main__":
    main(train_gpt)
