"""The baseline with SLOT on scored positions. ILLEGAL: each window is fitted to the tokens it then scores."""

from __future__ import annotations

import os
import sys
import time
import uuid
from pathlib import Path

import torch
import torch.nn.functional as F

from pgolf.bytes import ByteTable
from pgolf.dataset import require_dataset
from pgolf.evaluate import Evaluation, evaluate_plain
from pgolf.evaluate.score import score_stream
from pgolf.evaluate.windows import StreamScorer, plan_windows
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

    slot_steps = int(os.environ.get("SLOT_STEPS", 16))
    slot_lr = float(os.environ.get("SLOT_LR", 0.05))


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


def final_evaluation(model: GPT, val_tokens, table: ByteTable, args: type[Hyperparameters]) -> Evaluation:
    """The score: sliding windows, with the final hidden state of each shifted by a delta of its own.

    Breaks rules C1 and C3: the delta is optimized on the targets of the very positions it then scores.
    """
    started = time.perf_counter()
    model.requires_grad_(False)
    stream = StreamScorer(val_tokens, model.device)
    for window in plan_windows(len(val_tokens) - 1, args.eval_seq_len, args.eval_stride):
        scored = slice(window.score_from - window.start, None)

        def slot_loss(inputs_BT, targets_BT, reduction="mean", scored=scored):
            hidden_BTD = model.hidden_states(inputs_BT)
            delta_B1D = torch.zeros_like(hidden_BTD[:, :1], dtype=torch.float32, requires_grad=True)
            optimizer = torch.optim.AdamW([delta_B1D], lr=args.slot_lr, weight_decay=1e-8, eps=1e-5)
            with torch.enable_grad():
                for _ in range(args.slot_steps):
                    optimizer.zero_grad()
                    logits_BTV = model.head(hidden_BTD + delta_B1D.to(hidden_BTD.dtype))
                    F.cross_entropy(logits_BTV[0, scored], targets_BT[0, scored]).backward()
                    optimizer.step()
            logits_BTV = model.head(hidden_BTD + delta_B1D.to(hidden_BTD.dtype))
            return F.cross_entropy(logits_BTV[0], targets_BT[0], reduction="none")[None]

        stream.score(slot_loss, [window], batch_windows=1)
    score = score_stream(stream.nats_N, val_tokens, table)
    return Evaluation(score, stream.nats_N, "slot", time.perf_counter() - started)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
