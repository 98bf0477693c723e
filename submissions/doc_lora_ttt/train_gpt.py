"""The baseline with low-rank adapters per document, which learn from each chunk once it is scored. Legal."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from pgolf.evaluate import Evaluation, evaluate
from pgolf.evaluate.doc_lora import DocLoRA, DocLoRAConfig
from pgolf.model import GPT
from pgolf.run import Run, RunSettings, main, open_run
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
    eval_stride = eval_seq_len

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


LORA = DocLoRAConfig(
    chunk_tokens=int(os.environ.get("TTT_CHUNK_SIZE", 256)),
    rank=int(os.environ.get("TTT_LORA_RANK", 8)),
    lr=float(os.environ.get("TTT_LORA_LR", 0.01)),
    documents=int(os.environ.get("TTT_BATCH_SIZE", 64)),
)


def train_gpt() -> None:
    with open_run(RunSettings.from_mapping(vars(Hyperparameters)), Path(__file__)) as run:
        run.train()
        run.export()
        run.report(final_evaluation(run.read_back(), run))


def final_evaluation(model: GPT, run: Run) -> Evaluation:
    """The score: documents in stream order, several at once, each with adapters that it alone trains."""
    return evaluate(DocLoRA(model, run.settings.eval_seq_len, BOS_ID, LORA), run.val_tokens, run.table)


if __name__ == "__main__":
    main(train_gpt)
