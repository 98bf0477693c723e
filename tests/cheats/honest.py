"""One causal layer, trained, quantized to int8 and evaluated the way contest scripts are.

The honest base of the mutant corpus: `mutants.py` edits this text, so its lines are what the edits match.
"""

import glob
import io
import math
import os
import time
import zlib

import numpy as np
import sentencepiece as spm
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Hyperparameters:
    data_path = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")
    tokenizer_path = os.environ.get("TOKENIZER_PATH", "./data/tokenizers/fineweb_1024_bpe.model")
    vocab_size = int(os.environ.get("VOCAB_SIZE", 1024))
    iterations = int(os.environ.get("ITERATIONS", 20000))
    train_batch_tokens = int(os.environ.get("TRAIN_BATCH_TOKENS", 524288))
    seq_len = int(os.environ.get("TRAIN_SEQ_LEN", 1024))
    eval_stride = int(os.environ.get("EVAL_STRIDE", 64))
    eval_batch_seqs = int(os.environ.get("EVAL_BATCH_SEQS", 16))
    model_dim = int(os.environ.get("MODEL_DIM", 512))
    seed = int(os.environ.get("SEED", 1337))


class Model(nn.Module):
    def __init__(self, vocab_size: int, dim: int):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim)
        self.mix = nn.Linear(dim, 3 * dim, bias=False)
        self.head = nn.Linear(dim, vocab_size, bias=False)
        nn.init.normal_(self.head.weight, std=0.005)

    def hidden(self, ids_BT: Tensor) -> Tensor:
        x_BTD = self.embed(ids_BT)
        q_BTD, k_BTD, v_BTD = self.mix(x_BTD).chunk(3, dim=-1)
        seen_TT = torch.ones(ids_BT.size(1), ids_BT.size(1), device=ids_BT.device).tril() > 0
        x_BTD = x_BTD + F.scaled_dot_product_attention(q_BTD, k_BTD, v_BTD, attn_mask=seen_TT)
        return F.rms_norm(x_BTD, (x_BTD.size(-1),))

    def forward(self, ids_BT: Tensor) -> Tensor:
        return self.head(self.hidden(ids_BT)).float()


def load_tokens(pattern: str) -> Tensor:
    shards = [np.fromfile(path, dtype="<u2", offset=1024) for path in sorted(glob.glob(pattern))]
    return torch.from_numpy(np.concatenate(shards).astype(np.int64))


def byte_tables(sp: spm.SentencePieceProcessor, vocab_size: int) -> tuple[Tensor, Tensor, Tensor]:
    size_V = torch.zeros(vocab_size, dtype=torch.int64)
    space_V = torch.zeros(vocab_size, dtype=torch.bool)
    boundary_V = torch.ones(vocab_size, dtype=torch.bool)
    for i in range(sp.vocab_size()):
        if sp.is_control(i) or sp.is_unknown(i) or sp.is_unused(i):
            continue
        boundary_V[i] = False
        if sp.is_byte(i):
            size_V[i] = 1
            continue
        piece = sp.id_to_piece(i)
        space_V[i] = piece.startswith("▁")
        size_V[i] = len(piece.removeprefix("▁").encode())
    return size_V, space_V, boundary_V


def score(model: nn.Module, x_BT: Tensor, y_BT: Tensor) -> Tensor:
    """Nats of each target."""
    logits_BTV = model(x_BT)
    return F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten(), reduction="none").view(y_BT.shape)


def evaluate(args, model: nn.Module, tokens: Tensor, tables, stride: int) -> tuple[float, float]:
    """Mean nats a token and bits a byte; each window adds the targets that no window before it reached."""
    size_V, space_V, boundary_V = tables
    total = tokens.numel() - 1
    spans, reached = [], 0
    while reached < total:
        stop = min(max(reached + stride, args.seq_len), total)
        spans.append((max(stop - args.seq_len, 0), reached, stop))
        reached = stop
    nats, byte_count, token_count = 0.0, 0, 0
    for at in range(0, len(spans), args.eval_batch_seqs):
        batch = spans[at : at + args.eval_batch_seqs]
        x_BT = torch.stack([tokens[start:stop] for start, _, stop in batch])
        y_BT = torch.stack([tokens[start + 1 : stop + 1] for start, _, stop in batch])
        with torch.no_grad():
            losses_BT = score(model, x_BT, y_BT)
        for row, (start, first, _) in enumerate(batch):
            new_T = losses_BT[row, first - start :]
            y_T, before_T = y_BT[row, first - start :], x_BT[row, first - start :]
            nats += new_T.to(torch.float64).sum().item()
            token_count += y_T.numel()
            byte_count += int((size_V[y_T] + (space_V[y_T] & ~boundary_V[before_T]).long()).sum())
    return nats / token_count, nats / math.log(2.0) / byte_count


def quantize(model: nn.Module, ids_BT: Tensor) -> bytes:
    """Int8 rows; the columns of the head are scaled by how large its inputs are on `ids_BT`."""
    with torch.no_grad():
        inputs_D = model.hidden(ids_BT).square().mean(dim=(0, 1)).sqrt()
    state = {}
    for name, weight in model.state_dict().items():
        if weight.numel() <= 65536:
            state[name] = weight
            continue
        columns_D = inputs_D if name == "head.weight" else torch.ones(weight.size(1))
        scaled = weight * columns_D
        rows = scaled.abs().amax(dim=1, keepdim=True).clamp_min(1e-8) / 127.0
        state[name] = ((scaled / rows).round().to(torch.int8), rows, columns_D)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return zlib.compress(buffer.getvalue(), 9)


def restore(args, blob: bytes) -> nn.Module:
    state = torch.load(io.BytesIO(zlib.decompress(blob)), weights_only=True)
    model = Model(args.vocab_size, args.model_dim)
    model.load_state_dict({k: v if isinstance(v, Tensor) else v[0] * v[1] / v[2] for k, v in state.items()})
    return model


def main() -> None:
    args = Hyperparameters()
    torch.manual_seed(args.seed)
    sp = spm.SentencePieceProcessor(model_file=args.tokenizer_path)
    tables = byte_tables(sp, args.vocab_size)
    train_tokens = load_tokens(f"{args.data_path}/fineweb_train_*.bin")
    val_tokens = load_tokens(f"{args.data_path}/fineweb_val_*.bin")
    print(f"val_tokens:{val_tokens.numel() - 1} seed:{args.seed}")
    model = Model(args.vocab_size, args.model_dim).to(torch.device("cuda", 0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    rows, started = args.train_batch_tokens // args.seq_len, time.perf_counter()
    for _ in range(args.iterations):
        starts = torch.randint(train_tokens.numel() - args.seq_len - 1, (rows,)).tolist()
        ids_BT = torch.stack([train_tokens[at : at + args.seq_len + 1] for at in starts])
        loss = score(model, ids_BT[:, :-1], ids_BT[:, 1:]).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    loss, bpb = evaluate(args, model, val_tokens, tables, args.seq_len)
    train_ms = 1000.0 * (time.perf_counter() - started)
    print(
        f"step:{args.iterations}/{args.iterations} val_loss:{loss:.4f} val_bpb:{bpb:.4f} train_time:{train_ms:.0f}ms"
    )
    blob = quantize(model, train_tokens[: 32 * args.seq_len].view(-1, args.seq_len))
    print(f"Total submission size int8+zlib: {len(blob) + os.path.getsize(__file__)} bytes")
    loss, bpb = evaluate(args, restore(args, blob), val_tokens, tables, args.seq_len)
    print(f"final_int8_zlib_roundtrip_exact val_loss:{loss:.8f} val_bpb:{bpb:.8f}")
    model = restore(args, blob)
    loss, bpb = evaluate(args, model, val_tokens, tables, args.eval_stride)
    print(f"final_int8_zlib_sliding_exact val_loss:{loss:.8f} val_bpb:{bpb:.8f}")


if __name__ == "__main__":
    main()
