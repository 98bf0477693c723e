"""GPTQ of every matrix of a model, ours against the function of #1430's script: seconds, damage, and loss.

    python -m benchmarks.gptq_speed ARTIFACT --checkpoint STATE.pt --seed-script train_gpt.py --data FOLDER --tokenizer MODEL

Both sides get the same weights and the same Hessians (64 sequences of training data), 6 bits, and five clip
quantiles to choose from. The script works on the CPU and is given what its own calibration gives it, a Hessian that
is damped once already; ours works where the model is. Damage is E[|(W - Q) x|^2] over all matrices; loss is that of
the model with these matrices rounded, and all else exact.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.stream import add_arguments, opened
from pgolf.compress.calibrate import CalibrationConfig, calibrate_on_training_data
from pgolf.compress.clip import SearchClip
from pgolf.compress.gptq import GPTQConfig, output_error, quantize_gptq
from pgolf.compress.rows import dequantize_rows
from pgolf.dataset import require_dataset
from pgolf.evaluate import evaluate_plain
from pgolf.loader import TokenLoader
from pgolf.model import GPT
from pgolf.runtime import pick_device, place, synchronize

BITS, LARGEST = 6, 31


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--seed-script", type=Path, required=True)
    arguments = parser.parse_args()
    loaded, tokens, table, _ = opened(arguments)
    device = pick_device()
    model = GPT(loaded.config)
    model.load_artifact_state(torch.load(arguments.checkpoint, weights_only=True))
    model = place(model, device).eval()
    loader = TokenLoader(
        require_dataset(arguments.data, arguments.tokenizer).train_pattern,
        device=device,
        vocab_size=loaded.config.vocab_size,
    )
    calibration = CalibrationConfig(seq_len=loaded.train_seq_len, reserve_seconds=60.0)
    made = calibrate_on_training_data(model, loader, calibration, print)
    exact = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    hessians = {name: h for name, h in made.hessians.items() if name.startswith("blocks.")}

    def loss_with(rounded: dict[str, Tensor]) -> float:
        model.load_state_dict(exact | rounded)
        return evaluate_plain(model, tokens, table, seq_len=loaded.train_seq_len).score.val_loss

    rows: list[dict[str, Any]] = [{"side": "exact", "val_loss": loss_with({})}]
    for side, quantize in (("#1430", by_script(arguments.seed_script)), ("ours", by_ours)):
        for name in list(hessians)[:2]:
            quantize(exact[name], hessians[name])  # loads libraries and kernels
        synchronize(device)
        start = time.perf_counter()
        rounded = {name: quantize(exact[name], hessian) for name, hessian in hessians.items()}
        synchronize(device)
        seconds = time.perf_counter() - start
        damage = sum(
            float(output_error(exact[name] - rounded[name], hessian).sum())
            for name, hessian in hessians.items()
        )
        rows.append({"side": side, "seconds": seconds, "damage": damage, "val_loss": loss_with(rounded)})
    print(
        f"{len(hessians)} matrices, {torch.get_num_threads()} CPU threads; calibration {made.seconds:.1f} s"
    )
    for row in rows:
        print(json.dumps(row))
    print(f"ratio {rows[1]['seconds'] / rows[2]['seconds']:.1f}")
    if arguments.json:
        outcome = {"matrices": len(hessians), "calibration_seconds": made.seconds, "rows": rows}
        arguments.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")


def by_ours(weight_RC: Tensor, hessian_CC: Tensor) -> Tensor:
    return dequantize_rows(quantize_gptq(weight_RC, hessian_CC, BITS, SearchClip()))


def by_script(path: Path) -> Any:
    """A function like `by_ours` that calls `quantize_int6_gptq` of the script."""
    sys.path.append(str(Path(__file__).parent / "stand_ins"))
    spec = importlib.util.spec_from_file_location("seed_train_gpt", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python script")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    damp = GPTQConfig().damp

    def quantize(weight_RC: Tensor, hessian_CC: Tensor) -> Tensor:
        hessian_CC = hessian_CC.cpu()
        hessian_CC = hessian_CC + damp * hessian_CC.diagonal().mean() * torch.eye(len(hessian_CC))
        values, scales = script.quantize_int6_gptq(
            weight_RC.cpu(), hessian=hessian_CC, clip_range=LARGEST, damp_factor=damp
        )
        return (values.float() * scales.float()[:, None]).to(weight_RC.device)

    return quantize


if __name__ == "__main__":
    main()
