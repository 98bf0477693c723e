"""What each way of quantizing a model costs in loss and saves in bytes.

    python benchmarks/quantize.py [--artifact MODEL.pgolf | --checkpoint STATE.pt --config CONFIG.json]
                                  [--data FOLDER --tokenizer MODEL] [--device auto]

With neither file, the tiny preset is trained on the embedded corpus first. An artifact holds weights that were
rounded once already: take an int8 one, and read the differences. A checkpoint is a state dict saved by
`torch.save`, with the model's config as JSON. Matrices of over 8,192 values are quantized (the contest: over
65,536), so that a tiny model shows something. Every row is scored on the same validation tokens after a round
trip through the artifact's bytes; Hessians come from training data or from text that the model writes.

The second table compares ways to lay the same int5 and int6 integers out for each codec.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pgolf.artifact import Scheme, load_artifact, model_state, pack_model, unpack
from pgolf.bytes import ByteTable
from pgolf.compress.calibrate import (
    CalibrationConfig,
    calibrate_on_own_text,
    calibrate_on_training_data,
)
from pgolf.compress.clip import QuantileClip, SearchClip, StdClip
from pgolf.compress.codebook import CodebookConfig
from pgolf.compress.codec import CODECS
from pgolf.compress.prune import prune_to_fit
from pgolf.compress.rows import QuantizedTensor, quantize_rows
from pgolf.compress.state import QuantizationConfig, Quantizer, quantize_state
from pgolf.dataset import embedded_dataset, require_dataset
from pgolf.evaluate import evaluate_plain
from pgolf.loader import TokenLoader
from pgolf.model import GPT, GPTConfig
from pgolf.presets import PRESETS
from pgolf.runtime import pick_device, place
from pgolf.shards import read_stream
from pgolf.tokenizer import load_tokenizer
from pgolf.train import train

SMALLEST_QUANTIZED = 8_192
Row = tuple[str, Scheme, Quantizer]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artifact", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--seq-len", type=int, default=1024, help="Window of a checkpoint's model.")
    parser.add_argument("--train-seconds", type=float, default=40.0)
    parser.add_argument("--val-tokens", type=int, default=65_536)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()

    device = pick_device(args.device)
    dataset = require_dataset(args.data, args.tokenizer) if args.data else embedded_dataset(1024)
    sp = load_tokenizer(dataset.tokenizer_path)
    tokens = read_stream(dataset.val_pattern, vocab_size=sp.vocab_size())[: args.val_tokens + 1]
    table = ByteTable.from_tokenizer(sp)
    loader = TokenLoader(dataset.train_pattern, device=device, vocab_size=sp.vocab_size())
    model, seq_len = load_model(args, device, loader)
    calibration = CalibrationConfig(sequences=64, seq_len=seq_len, batch_sequences=16, reserve_seconds=60.0)
    from_data = calibrate_on_training_data(model, loader, calibration, print).hessians
    from_self = calibrate_on_own_text(model, calibration, print).hessians

    def loss(scored: GPT) -> float:
        return evaluate_plain(scored, tokens, table, seq_len=seq_len, compiled=False).score.val_loss

    exact = loss(model)
    print(
        f"\n{model.num_parameters():,} parameters, fp32 val_loss {exact:.4f} nats on {len(tokens) - 1:,} tokens\n"
    )
    print(f"{'quantizer':44} {'scheme':12} {'bytes':>10} {'delta nats':>11} {'seconds':>8}")
    for name, scheme, quantizer in rows(from_data, from_self):
        start = time.perf_counter()
        data = pack_model(model, scheme, train_seq_len=seq_len, quantizer=quantizer)
        seconds = time.perf_counter() - start
        delta = loss(place(unpack(data).build_model(), device).eval()) - exact
        print(f"{name:44} {scheme:12} {len(data):>10,} {delta:>+11.5f} {seconds:>8.1f}", flush=True)
    print_layouts(model)


def load_model(args: argparse.Namespace, device: torch.device, loader: TokenLoader) -> tuple[GPT, int]:
    """The model to quantize, and its window."""
    preset = PRESETS["tiny"]
    if args.artifact:
        loaded = load_artifact(args.artifact)
        return place(loaded.build_model(), device).eval(), loaded.train_seq_len
    if args.checkpoint:
        model = GPT(GPTConfig.from_json(json.loads(args.config.read_text())))
        model.load_state_dict(torch.load(args.checkpoint, map_location="cpu", weights_only=True))
        return place(model, device).eval(), args.seq_len
    torch.manual_seed(1337)
    model = place(GPT(preset.model), device)
    train(model, loader, replace(preset.train, max_wallclock_seconds=args.train_seconds), log=print)
    return model.eval(), preset.train.train_seq_len


def rows(from_data: Mapping[str, Tensor], from_self: Mapping[str, Tensor]) -> list[Row]:
    def row(
        name: str,
        scheme: Scheme,
        hessians: Mapping[str, Tensor] | None = None,
        pruned_share: float = 0.0,
        **settings: object,
    ) -> Row:
        base = replace(scheme.quantization, keep_float_max_values=SMALLEST_QUANTIZED)
        config: QuantizationConfig = replace(base, **settings)  # type: ignore[arg-type]
        quantizer: Quantizer = partial(quantize_state, config=config, hessians=hessians)
        return name, scheme, pruned(quantizer, hessians, pruned_share) if pruned_share else quantizer

    int8, zstd, lzma, int6, int5 = Scheme
    std = {"matrix_clip": StdClip(12.85), "embedding_clip": StdClip(20.0)}
    return [
        row("nearest, quantile clip", int8),
        row("nearest, quantile clip", zstd),
        row("nearest, quantile clip", lzma),
        row("nearest, quantile clip", int6),
        row("nearest, searched clip (GPTQ-lite)", int6, matrix_clip=SearchClip()),
        row("nearest, clip at 12.85 / 20 std", int6, **std),
        row("GPTQ (training data), quantile clip", int6, from_data),
        row("GPTQ (training data), searched clip", int6, from_data, matrix_clip=SearchClip()),
        row("GPTQ (training data), 12.85 / 20 std", int6, from_data, **std),
        row("GPTQ (own text), quantile clip", int6, from_self),
        row("GPTQ (own text), 12.85 / 20 std", int6, from_self, **std),
        row("GPTQ (training data), std, 5 % pruned off", int6, from_data, 0.05, **std),
        row("GPTQ (training data), embedding int7 by 64", int6, from_data, embedding_bits=7, embedding_group_size=64),
        row("nearest, quantile clip", int5),
        row("GPTQ (training data), quantile clip", int5, from_data),
        row("GPTQ (training data), searched clip", int5, from_data, matrix_clip=SearchClip()),
        row("codebook 256 x 2", int5, matrix_codebook=CodebookConfig(width=2)),
        row("codebook 256 x 2, weighted by H", int5, from_data, matrix_codebook=CodebookConfig(width=2)),
    ]  # fmt: skip


def pruned(quantizer: Quantizer, hessians: Mapping[str, Tensor] | None, share: float) -> Quantizer:
    """`quantizer`, then pruning until zstd, the quickest codec, makes `share` fewer bytes."""

    def quantize(state: Mapping[str, Tensor]) -> dict[str, object]:
        tensors = quantizer(state)

        def size_of(tried: Mapping[str, object]) -> int:
            values = [t.values for t in tried.values() if isinstance(t, QuantizedTensor)]
            return len(CODECS["zstd"].compress(b"".join(v.numpy().tobytes() for v in values)))

        cap = int((1 - share) * size_of(tensors))
        return prune_to_fit(tensors, size_of, cap, hessians=hessians, slack_bytes=cap // 200).tensors

    return quantize


def print_layouts(model: GPT) -> None:
    matrices = [t for t in model_state(model).values() if t.ndim == 2 and t.numel() > SMALLEST_QUANTIZED]
    layouts: dict[str, Callable[[Tensor, int], bytes]] = {
        "a byte per value, by column (used)": lambda values, bits: values.T.contiguous().numpy().tobytes(),
        "a byte per value, by row": lambda values, bits: values.numpy().tobytes(),
        "packed bits, by row": packed_bits,
    }
    print(f"\n{'layout of the matrices':38} {'bits':>4} " + " ".join(f"{name:>10}" for name in CODECS))
    for bits in (5, 6):
        quantized = [quantize_rows(matrix, bits, QuantileClip()).values.cpu() for matrix in matrices]
        for name, layout in layouts.items():
            data = b"".join(layout(values, bits) for values in quantized)
            sizes = [len(codec.compress(data)) for codec in CODECS.values()]
            print(f"{name:38} {bits:>4} " + " ".join(f"{size:>10,}" for size in sizes), flush=True)


def packed_bits(values: Tensor, bits: int) -> bytes:
    """Each value cut to `bits` and set beside the next."""
    unsigned = (values.numpy().astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8)
    return np.packbits(np.unpackbits(unsigned.reshape(-1, 1), axis=1)[:, 8 - bits :].ravel()).tobytes()


if __name__ == "__main__":
    main()
