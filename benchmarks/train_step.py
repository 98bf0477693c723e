"""The training step of a contest's script and ours, in turn on one GPU: ms, spread, ratio, and the losses.

    python -m benchmarks.train_step --baseline train_gpt.py --data FOLDER --tokenizer MODEL [--preset eleven-layer]

`train_gpt.py` is the contest's root script for `--preset naive-baseline`, #1430's for `--preset eleven-layer`;
neither is part of this repository. Both sides have the same seed, data, order of batches (8 micro-batches to a
step), rates and schedule, so their losses compare step for step. A span of ten logged steps gives one time; the
first half of a run does not count. The floor is what the matrix products and attention of a step would take at
the rate of a large bf16 product, measured here: the share of it that is reached is the model FLOPs utilization.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pgolf.model import GPT, GPTConfig
from pgolf.model.parameters import parameter_role
from pgolf.presets import PRESETS

ROOT = Path(__file__).resolve().parent.parent
STEP = re.compile(r"step:(\d+)/\d+ train_loss:(\S+) train_time:(\d+)ms")
PRODUCT = 8192


@dataclass(frozen=True)
class Run:
    """One side's run: losses by step, and ms of a step by span."""

    side: str
    losses: dict[int, float]
    span_ms: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--baseline", type=Path, help="the script to compare with; without it, ours alone")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--preset", choices=["naive-baseline", "eleven-layer"], default="naive-baseline")
    parser.add_argument("--at-once", type=int, help="our micro-batches side by side; default: the preset's")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    runs: list[Run] = []
    for _ in range(arguments.rounds):
        if arguments.baseline is not None:
            runs.append(run_baseline(arguments))
        runs.append(run_ours(arguments))
    preset = PRESETS[arguments.preset]
    tokens = preset.train.train_batch_tokens
    flops = step_flops(preset.model, tokens, preset.train.train_seq_len)
    peak = product_rate()
    outcome: dict[str, Any] = {
        "preset": arguments.preset,
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "train_batch_tokens": tokens,
        "step_tflop": flops / 1e12,
        "product_tflop_per_s": peak / 1e12,
        "floor_ms": 1000 * flops / peak,
        "sides": {side: summary(runs, side, tokens, flops / peak) for side in ("baseline", "ours")},
    }
    print(table(outcome))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")


def run_baseline(arguments: argparse.Namespace) -> Run:
    """The contest's script, told by its environment, and ended once it has trained."""
    environment = {
        "DATA_PATH": str(arguments.data),
        "TOKENIZER_PATH": str(arguments.tokenizer),
        "ITERATIONS": str(arguments.steps),
        "WARMDOWN_ITERS": str(arguments.steps // 5),
        "MAX_WALLCLOCK_SECONDS": "0",
        "VAL_LOSS_EVERY": "0",
        "TRAIN_LOG_EVERY": "10",
        "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{ROOT / 'benchmarks' / 'stand_ins'}",
    }
    return watch(
        "baseline", [sys.executable, str(arguments.baseline.resolve())], environment, arguments.steps
    )


def run_ours(arguments: argparse.Namespace) -> Run:
    command = [sys.executable, "-m", "benchmarks.ranks", "--preset", arguments.preset]
    command += ["--steps", str(arguments.steps), "--data", str(arguments.data)]
    command += ["--tokenizer", str(arguments.tokenizer)]
    if arguments.at_once is not None:
        command += ["--at-once", str(arguments.at_once)]
    return watch(
        "ours", command, {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}, arguments.steps
    )


def watch(side: str, command: list[str], environment: dict[str, str], steps: int) -> Run:
    """Run until the last step is logged.

    Raises:
        RuntimeError: it ended before that; with its last lines.
    """
    seen: list[str] = []
    losses: dict[int, float] = {}
    clock_ms: dict[int, int] = {}
    with subprocess.Popen(
        command,
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(line.rstrip())
            if match := STEP.match(line):
                losses[int(match[1])], clock_ms[int(match[1])] = float(match[2]), int(match[3])
            if steps in losses:
                process.kill()
                break
    if steps not in losses:
        raise RuntimeError(f"{side} ended before step {steps}:\n" + "\n".join(seen[-15:]))
    tens = [step for step in sorted(clock_ms) if step % 10 == 0]
    spans = [(clock_ms[b] - clock_ms[a]) / (b - a) for a, b in zip(tens, tens[1:], strict=False)]
    return Run(side, losses, spans[len(spans) // 2 :])


def summary(runs: list[Run], side: str, tokens: int, floor_s: float) -> dict[str, Any] | None:
    mine = [run for run in runs if run.side == side]
    if not mine:
        return None
    spans = [ms for run in mine for ms in run.span_ms]
    step_ms = statistics.median(spans)
    return {
        "step_ms": step_ms,
        "lowest_ms": min(spans),
        "highest_ms": max(spans),
        "tokens_per_second": round(1000 * tokens / step_ms),
        "flops_utilization": 1000 * floor_s / step_ms,
        "losses": [run.losses for run in mine],
    }


def step_flops(config: GPTConfig, tokens: int, seq_len: int) -> float:
    """Of the matrix products and causal attention of one step: backward is twice forward.

    Counts what is used (half of the score matrix), and neither the optimizer nor anything computed twice.
    """
    with torch.device("meta"):
        model = GPT(config)
    maps = [p for name, p in model.named_parameters() if parameter_role(name, p.ndim) in ("matrix", "head")]
    weights = sum(p.numel() for p in maps)
    head = config.vocab_size * config.model_dim if config.tie_embeddings else 0
    attention = len(model.order) * config.model_dim * seq_len
    return 3.0 * tokens * 2.0 * (weights + head + attention)


def product_rate() -> float:
    """FLOP/s of a bf16 product of random 8,192 x 8,192 matrices: the median of ten."""
    a, b = (torch.randn(PRODUCT, PRODUCT, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    times = []
    for attempt in range(13):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        a @ b
        end.record()
        torch.cuda.synchronize()
        times += [start.elapsed_time(end) / 1000] * (attempt >= 3)
    return 2 * PRODUCT**3 / statistics.median(times)


def table(outcome: dict[str, Any]) -> str:
    sides = {side: of_side for side, of_side in outcome["sides"].items() if of_side is not None}
    lines = ["| side | ms a step (lowest to highest) | tokens/s | FLOPs utilization |", "|---|---|---|---|"]
    lines += [
        f"| {side} | {s['step_ms']:.1f} ({s['lowest_ms']:.1f} to {s['highest_ms']:.1f}) "
        f"| {s['tokens_per_second']:,} | {s['flops_utilization']:.1%} |"
        for side, s in sides.items()
    ]
    if len(sides) == 2:
        lines.append(f"\nratio {sides['baseline']['step_ms'] / sides['ours']['step_ms']:.2f}")
    lines.append(
        f"floor {outcome['floor_ms']:.1f} ms: {outcome['step_tflop']:.1f} TFLOP at "
        f"{outcome['product_tflop_per_s']:.0f} TFLOP/s; {outcome['device']}, torch {outcome['torch']}"
    )
    lines += [
        "\n| step | " + " | ".join(f"{side}, each run" for side in sides) + " |",
        "|---|" + "---|" * len(sides),
    ]
    steps = next(iter(sides.values()))["losses"][0]
    for step in [1, 2, 5, 10] + [step for step in steps if step % 30 == 0]:
        if step in steps:
            cells = [
                " ".join(f"{losses.get(step, float('nan')):.4f}" for losses in s["losses"])
                for s in sides.values()
            ]
            lines.append(f"| {step} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
