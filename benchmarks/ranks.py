"""The same training on any number of ranks: losses, step times and tokens per second, to lay side by side.

    python -m benchmarks.ranks --json one.json
    torchrun --standalone --nproc_per_node=4 -m benchmarks.ranks --json four.json
    python -m benchmarks.ranks --compare one.json four.json

Every run cuts a step into the same micro-batches (8, unless `--micro-batches` says otherwise), so runs on 1, 2,
4 or 8 ranks see the same tokens. Without `--data` it trains on the embedded corpus. The time of a step is the
median over the second half of the run; it is measured after the warmup and without validation.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pgolf.dataset import embedded_dataset, require_dataset
from pgolf.distributed import Ranks, process_group
from pgolf.loader import TokenLoader
from pgolf.model import GPT
from pgolf.presets import PRESETS
from pgolf.runtime import pick_device, place
from pgolf.tokenizer import load_tokenizer
from pgolf.train import TrainConfig, train

TRAIN_LINE = re.compile(r"step:(\d+)/\d+ train_loss:(\S+)")


def settings(arguments: argparse.Namespace) -> TrainConfig:
    """The preset's training, for so many steps, without a cap and without validation."""
    base = PRESETS[arguments.preset].train
    return dataclasses.replace(
        base,
        iterations=arguments.steps,
        max_wallclock_seconds=0.0,
        val_loss_every=0,
        train_log_every=10,
        micro_batch_tokens=max(base.train_seq_len, base.train_batch_tokens // arguments.micro_batches),
        micro_batches_at_once=arguments.at_once or base.micro_batches_at_once,
        optimizer=dataclasses.replace(
            base.optimizer,
            parallel_muon=not arguments.every_rank_does_all,
            muon_variant=arguments.muon_variant,
            warmdown_iters=0,
            warmdown_frac=0.2,
        ),
    )


def measure(arguments: argparse.Namespace, ranks: Ranks, device: torch.device) -> dict[str, Any]:
    """Train on this rank; rank 0, which logs, has the losses."""
    config = settings(arguments)
    dataset = (
        embedded_dataset() if arguments.data is None else require_dataset(arguments.data, arguments.tokenizer)
    )
    vocab_size = load_tokenizer(dataset.tokenizer_path).vocab_size()
    loader = TokenLoader(
        dataset.train_pattern,
        device=device,
        rank=ranks.rank,
        world_size=ranks.world_size,
        vocab_size=vocab_size,
    )
    torch.manual_seed(arguments.seed)
    model = place(GPT(dataclasses.replace(PRESETS[arguments.preset].model, vocab_size=vocab_size)), device)
    losses: list[tuple[int, float]] = []
    ends_ms: list[float] = []

    def log(line: str) -> None:
        match = TRAIN_LINE.match(line)
        if match is None or not (int(match[1]) == 1 or int(match[1]) % 10 == 0):
            return
        losses.append((int(match[1]), float(match[2])))
        print(line, flush=True)

    train(model, loader, config, log=log, on_step=lambda step, ms: ends_ms.append(ms), ranks=ranks)
    # Over spans of ten steps: each ends with a logged loss, for which the GPU is waited.
    spans = [(end - begin) / 10 for begin, end in zip(ends_ms[9:-10:10], ends_ms[19::10], strict=True)]
    step_ms = statistics.median(spans[len(spans) // 2 :]) if spans else ends_ms[-1] / len(ends_ms)
    return {
        "preset": arguments.preset,
        "ranks": ranks.world_size,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "parallel_muon": config.optimizer.parallel_muon,
        "muon_variant": config.optimizer.muon_variant,
        "train_batch_tokens": config.train_batch_tokens,
        "micro_batches": config.micro_batches(ranks.world_size),
        "micro_batches_at_once": config.micro_batches_at_once,
        "steps": config.iterations,
        "step_ms": round(step_ms, 3),
        "tokens_per_second": round(1000 * config.train_batch_tokens / step_ms),
        "losses": losses,
    }


def compare(paths: Sequence[Path]) -> str:
    """A table of runs: a row for each logged step, a column for each run, and the largest gap to the first."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    losses = [dict(run["losses"]) for run in runs]
    lines = ["step  " + "".join(f"{run['ranks']:>7} rank{'s' * (run['ranks'] > 1):<1}" for run in runs)]
    shared = [step for step in losses[0] if all(step in other for other in losses)]
    lines += [f"{step:<6}" + "".join(f"{run[step]:>13.4f}" for run in losses) for step in shared]
    for name in ("step_ms", "tokens_per_second"):
        lines.append(f"{name:<18}" + "  ".join(f"{run[name]:,}" for run in runs))
    gaps = [max(abs(run[step] - losses[0][step]) for step in shared) for run in losses]
    lines.append("largest gap       " + "  ".join(f"{gap:.4f}" for gap in gaps))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=list(PRESETS), default="tiny")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--data", type=Path, help="folder of shards; needs --tokenizer")
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--micro-batches", type=int, default=8, help="of one step, of all ranks together")
    parser.add_argument("--at-once", type=int, help="micro-batches side by side; default: the preset's")
    parser.add_argument("--muon-variant", default="muon")
    parser.add_argument("--every-rank-does-all", action="store_true", help="no parallel Muon")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument(
        "--compare", type=Path, nargs="+", help="print the results in these files, and train not"
    )
    arguments = parser.parse_args()
    if arguments.compare:
        print(compare(arguments.compare))
        return
    if (arguments.data is None) != (arguments.tokenizer is None):
        parser.error("--data and --tokenizer belong together: shards mean nothing without their tokenizer")
    ranks = Ranks.from_environment(os.environ)
    device = ranks.place(pick_device(arguments.device))
    with process_group(ranks, device):
        result = measure(arguments, ranks, device)
    if ranks.is_main:
        summary = {name: value for name, value in result.items() if name != "losses"}
        print(json.dumps(summary))
        if arguments.json is not None:
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            arguments.json.write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
