"""How fast a model is evaluated: against its own forward pass, and at the contest's size on 8 GPUs.

    python -m benchmarks.evaluation_speed ARTIFACT --data FOLDER --tokenizer MODEL --max-tokens 300000 [--json OUT]

Each method runs twice over the first tokens of the validation stream; the second run counts, since the first
compiles. The floor of a method is what its forward passes alone would take: the same windows, already on the
GPU, without head, losses, learning or bookkeeping. Seconds at the contest's size are seconds here times the
ratio of tokens, over 8 for 8 GPUs: windows share nothing, but score-first TTT learns from all of a chunk, so its
figure supposes that training on a chunk is shared as evenly as training is (measured on 2 GPUs: 0.99).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import torch

from benchmarks.stream import add_arguments, opened
from pgolf.evaluate import evaluate
from pgolf.evaluate.method import hidden_fn
from pgolf.evaluate.methods import METHODS, MethodConfig
from pgolf.evaluate.windows import plan_windows
from pgolf.model import GPT
from pgolf.runtime import pick_device, place, synchronize

CONTEST_TOKENS = 62_021_632
CONTEST_GPUS = 8
BATCH_WINDOWS = 32


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--methods", nargs="+", default=["plain", "sliding", "slot", "ttt"])
    arguments = parser.parse_args()
    loaded, tokens, table, bos_id = opened(arguments)
    device = pick_device()
    model = place(loaded.build_model(), device).eval()
    config = MethodConfig(seq_len=loaded.train_seq_len, stride=64, bos_id=bos_id)
    predictions = len(tokens) - 1
    window_s = window_seconds(model, config.seq_len)
    rows: list[dict[str, Any]] = []
    for name in arguments.methods:
        torch.compiler.reset()
        for _ in range(2):
            result = evaluate(METHODS[name](model, config), tokens, table, batch_windows=BATCH_WINDOWS)
            synchronize(device)
        stride = config.seq_len if name == "plain" else config.stride
        floor = window_s * len(plan_windows(predictions, config.seq_len, stride))
        rows.append(
            {
                "method": name,
                "val_bpb": result.score.val_bpb,
                "seconds": result.seconds,
                "forward_floor_seconds": floor,
                "contest_seconds_on_8": result.seconds * CONTEST_TOKENS / predictions / CONTEST_GPUS,
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    print(
        "| method | val_bpb | s | forward passes alone, s | share | 62 M tokens on 8 GPUs, s |\n|---|---|---|---|---|---|"
    )
    for row in rows:
        print(
            f"| {row['method']} | {row['val_bpb']:.4f} | {row['seconds']:.2f} | {row['forward_floor_seconds']:.2f} "
            f"| {row['forward_floor_seconds'] / row['seconds']:.0%} | {row['contest_seconds_on_8']:.0f} |"
        )
    if arguments.json:
        outcome = {"tokens": predictions, "seq_len": config.seq_len, "methods": rows}
        arguments.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")


@torch.no_grad()
def window_seconds(model: GPT, seq_len: int) -> float:
    """Seconds of a compiled forward pass per window of a full batch: the median of twenty batches."""
    hidden = hidden_fn(model)
    inputs_BT = torch.randint(0, model.config.vocab_size, (BATCH_WINDOWS, seq_len), device=model.device)
    times = []
    for attempt in range(23):
        synchronize(model.device)
        start = time.perf_counter()
        hidden(inputs_BT)
        synchronize(model.device)
        times += [time.perf_counter() - start] * (attempt >= 3)
    return statistics.median(times) / BATCH_WINDOWS


if __name__ == "__main__":
    main()
