"""Carried state against sliding windows on one model: bits per byte, seconds, and int6 loss against position.

    python -m benchmarks.carried_state ARTIFACT CHECKPOINT --data FOLDER --tokenizer MODEL [--json OUT]

With overlap a block is as much shorter as the overlap is long, so that attention never looks further than it did in
training: a model of 2,048 reads 1,024 new tokens and 1,024 again, as #2066 does.

ARTIFACT is what `pgolf train --scheme int6+...` wrote, CHECKPOINT the same run's `--checkpoint`. The second table
cuts each segment of the stream into bins and gives the loss of the int6 model less that of the fp32 weights in
each, both with carried state: if rounding errors grew with the state, the last bins would be worse.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.stream import add_arguments, opened
from pgolf.evaluate import Evaluation, evaluate
from pgolf.evaluate.methods import METHODS, MethodConfig
from pgolf.evaluate.stateful import StatefulConfig
from pgolf.model import GPT
from pgolf.runtime import pick_device, place, synchronize

BINS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--seq-len", type=int)
    parser.add_argument("--overlap", type=int, default=1024)
    parser.add_argument("--segments", type=int, default=64)
    arguments = parser.parse_args()

    loaded, tokens, table, _ = opened(arguments)
    device = pick_device()
    int6 = place(loaded.build_model(), device).eval()
    fp32 = GPT(loaded.config)
    fp32.load_artifact_state(torch.load(arguments.checkpoint, weights_only=True))
    fp32 = place(fp32, device).eval()
    window = arguments.seq_len or loaded.train_seq_len
    if not 0 < arguments.overlap < window:
        parser.error(f"--overlap {arguments.overlap} must be shorter than the window of {window}")
    overlap = arguments.overlap

    def run(name: str, model: GPT, again: int = 0) -> Evaluation:
        """The second of two runs: the first compiles every shape that occurs."""
        torch.compiler.reset()
        carried = StatefulConfig(block_tokens=window - again, segments=arguments.segments)
        config = MethodConfig(seq_len=window, stride=64, stateful=carried, overlap_tokens=overlap)
        method = METHODS[name](model, config)
        evaluate(method, tokens, table)
        synchronize(device)
        return evaluate(method, tokens, table)

    found = {
        "sliding, stride 64": run("sliding", int6),
        "stateful": run("stateful", int6),
        f"stateful-overlap {overlap}": run("stateful-overlap", int6, overlap),
        "plain": run("plain", int6),
    }
    exact = run("stateful", fp32)
    base = found["sliding, stride 64"]
    rows = [
        {
            "method": name,
            "val_bpb": each.score.val_bpb,
            "milli_bpb_against_sliding": 1000 * (each.score.val_bpb - base.score.val_bpb),
            "seconds": each.seconds,
            "speed_against_sliding": base.seconds / each.seconds,
        }
        for name, each in found.items()
    ]
    print("| method | val_bpb | mBPB against sliding | s | times as fast |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['method']} | {row['val_bpb']:.5f} | {row['milli_bpb_against_sliding']:+.2f} "
            f"| {row['seconds']:.2f} | {row['speed_against_sliding']:.1f} |"
        )
    growth = found["stateful"].nats_N - exact.nats_N
    segment = -(-len(growth) // arguments.segments)
    place_N = np.arange(len(growth)) % segment * BINS // segment
    bins = [
        {
            "from_token": index * segment // BINS,
            "int6_less_fp32_nats": float(growth[place_N == index].mean()),
            "standard_error": float(growth[place_N == index].std() / np.sqrt((place_N == index).sum())),
        }
        for index in range(BINS)
    ]
    print("\n| tokens into the segment | int6 less fp32, nats | standard error |\n|---|---|---|")
    for each in bins:
        print(
            f"| {each['from_token']:,} | {each['int6_less_fp32_nats']:+.5f} | {each['standard_error']:.5f} |"
        )
    if arguments.json:
        outcome: dict[str, Any] = {"methods": rows, "position": bins, "tokens": len(tokens) - 1}
        arguments.json.write_text(json.dumps(outcome, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
