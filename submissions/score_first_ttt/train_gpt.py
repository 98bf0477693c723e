"""The baseline with score-first test-time training: each chunk is scored, then trained on. Legal."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path

import torch

from pgolf.bytes import ByteTable
from pgolf.dataset import require_dataset
from pgolf.evaluate import Evaluation, TTTConfig, evaluate_plain, evaluate_ttt
from pgolf.export import export_model, log_final, read_back
from pgolf.loader import TokenLoader
from pgolf.model import GPT, GPTConfig
from pgolf.optim import OptimizerConfig
from pgolf.runlog import RunLog
from pgolf.runtime import pick_device, place
from pgolf.shards import read_stream
from pgolf.tokenizer import load_tokenizer
from pgolf.train import TrainConfig, train


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
    eval_batch_windows = max(1, val_batch_size // eval_seq_len)

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

    ttt_chunk_tokens = int(os.environ.get("TTT_CHUNK_TOKENS", 32_768))
    ttt_epochs = int(os.environ.get("TTT_EPOCHS", 3))
    ttt_optimizer = os.environ.get("TTT_OPTIMIZER", "sgd")
    ttt_lr = float(os.environ.get("TTT_LR", 0.002))
    ttt_momentum = float(os.environ.get("TTT_MOMENTUM", 0.9))
    ttt_grad_clip = float(os.environ.get("TTT_GRAD_CLIP", 1.0))
    ttt_batch_seqs = int(os.environ.get("TTT_BATCH_SEQS", 32))


def main() -> None:
    args = Hyperparameters
    code = Path(__file__).read_text(encoding="utf-8")
    device = pick_device()
    dataset = require_dataset(Path(args.data_path), Path(args.tokenizer_path))
    sp = load_tokenizer(dataset.tokenizer_path)
    if sp.vocab_size() != args.vocab_size:
        raise ValueError(f"VOCAB_SIZE={args.vocab_size}, but {args.tokenizer_path} has {sp.vocab_size()} ids")
    val_tokens = read_stream(dataset.val_pattern, vocab_size=args.vocab_size)
    table = ByteTable.from_tokenizer(sp, args.vocab_size)
    loader = TokenLoader(dataset.train_pattern, device=device, vocab_size=args.vocab_size)

    torch.manual_seed(args.seed)
    model = place(
        GPT(
            GPTConfig(
                vocab_size=args.vocab_size,
                num_layers=args.num_layers,
                model_dim=args.model_dim,
                num_heads=args.num_heads,
                num_kv_heads=args.num_kv_heads,
                mlp_mult=args.mlp_mult,
            )
        ),
        device,
    )
    config = TrainConfig(
        iterations=args.iterations,
        max_wallclock_seconds=args.max_wallclock_seconds,
        warmup_steps=args.warmup_steps,
        train_batch_tokens=args.train_batch_tokens,
        train_seq_len=args.train_seq_len,
        val_loss_every=args.val_loss_every,
        train_log_every=args.train_log_every,
        optimizer=OptimizerConfig(
            tied_embed_lr=args.tied_embed_lr,
            matrix_lr=args.matrix_lr,
            scalar_lr=args.scalar_lr,
            muon_momentum_warmup_steps=args.muon_momentum_warmup_steps,
            warmdown_iters=args.warmdown_iters,
        ),
    )

    def validate():
        return evaluate_plain(
            model,
            val_tokens,
            table,
            seq_len=args.train_seq_len,
            batch_windows=max(1, args.val_batch_size // args.train_seq_len),
        ).score

    with RunLog(Path("logs") / f"{args.run_id}.txt") as log:
        log.source(code)
        log(f"seed:{args.seed} model_params:{model.num_parameters()} device:{device.type}")
        log(f"train_shards:{len(loader.paths)} val_tokens:{len(val_tokens) - 1}")
        train(model, loader, config, log=log, validate=validate)
        artifact = Path("final_model.int8.pgolf")
        report = export_model(
            model, artifact, code_bytes=len(code.encode()), train_seq_len=args.train_seq_len, log=log
        )
        report.check()
        log_final(final_evaluation(read_back(artifact, device), val_tokens, table, args), log)


def ttt_config(args: type[Hyperparameters]) -> TTTConfig:
    return TTTConfig(
        chunk_tokens=args.ttt_chunk_tokens,
        epochs=args.ttt_epochs,
        optimizer=args.ttt_optimizer,
        lr=args.ttt_lr,
        momentum=args.ttt_momentum,
        grad_clip_norm=args.ttt_grad_clip,
        batch_seqs=args.ttt_batch_seqs,
    )


def final_evaluation(model: GPT, val_tokens, table: ByteTable, args: type[Hyperparameters]) -> Evaluation:
    """The score: each chunk is scored with frozen weights before the weights train on it."""
    return evaluate_ttt(
        model,
        val_tokens,
        table,
        seq_len=args.eval_seq_len,
        stride=args.eval_stride,
        config=ttt_config(args),
        batch_windows=args.eval_batch_windows,
    )


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
