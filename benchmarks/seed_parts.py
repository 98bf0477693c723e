"""How much of the seed system's drop each of its parts accounts for, and what is left when all parts are legal.

    python -m benchmarks.seed_parts ARTIFACT --data FOLDER --tokenizer MODEL [--json OUT]

One artifact, one stream, sliding windows of stride 64. The illegal rows run the evaluation of
`submissions/persample_slot_ngram22_ttt/train_gpt.py` itself with parts of it switched off from here; the legal
rows are the nearest methods of `pgolf.evaluate`. Seconds are of one evaluation, compilation included.
"""

from __future__ import annotations

import argparse
import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.stream import add_arguments, opened
from pgolf.evaluate import Evaluation, evaluate
from pgolf.evaluate.methods import METHODS, MethodConfig
from pgolf.runtime import pick_device, place

SCRIPT = Path(__file__).parents[1] / "submissions" / "persample_slot_ngram22_ttt" / "train_gpt.py"
ILLEGAL = (
    ("ttt",),
    ("slot",),
    ("ngram",),
    ("ttt", "slot"),
    ("slot", "ngram"),
    ("ttt", "ngram"),
    ("ttt", "slot", "ngram"),
)
LEGAL = ("plain", "sliding", "ttt-frozen", "slot", "ngram", "tilt", "ttt-frozen+ngram")


def seed_system(parts: tuple[str, ...], model: Any, run: Any) -> Evaluation:
    """The seed's own evaluation with only these parts of it on."""
    spec = spec_from_file_location("seed_system", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script: Any = module_from_spec(spec)
    spec.loader.exec_module(script)
    if "ttt" not in parts:
        script.adapt_to_stream = lambda model, run, stream: model
    if "slot" not in parts:
        script.SLOT_STEPS = 0
    if "ngram" not in parts:
        script.NGRAM_MIN_TOKENS = len(run.val_tokens) + 1
    evaluation: Evaluation = script.final_evaluation(model, run)
    return evaluation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser)
    parser.add_argument("--stride", type=int, default=64)
    parser.add_argument("--batch-windows", type=int, default=32)
    arguments = parser.parse_args()

    loaded, tokens, table, bos_id = opened(arguments)
    device = pick_device()
    windows = {"eval_seq_len": loaded.train_seq_len, "eval_stride": arguments.stride}
    run = SimpleNamespace(
        val_tokens=tokens,
        table=table,
        log=print,
        settings=SimpleNamespace(**windows, eval_batch_windows=arguments.batch_windows),
    )
    config = MethodConfig(seq_len=loaded.train_seq_len, stride=arguments.stride, bos_id=bos_id)
    rows: list[dict[str, Any]] = []

    def note(name: str, legal: bool, evaluation: Evaluation) -> None:
        row = {
            "what": name,
            "legal": legal,
            **vars(evaluation.score),
            "seconds": round(evaluation.seconds, 1),
        }
        rows.append(row)
        base = next((each["val_bpb"] for each in rows if each["what"] == "sliding"), None)
        drop = "" if base is None else f"{row['val_bpb'] - base:+.4f}"
        print(
            f"| {name} | {'yes' if legal else 'no'} | {row['val_bpb']:.4f} | {drop} | {row['seconds']:.1f} |",
            flush=True,
        )

    print("| evaluation | legal | val_bpb | against sliding | s |\n|---|---|---|---|---|", flush=True)

    def fresh() -> Any:
        torch.compiler.reset()
        return place(loaded.build_model(), device).eval()

    for name in LEGAL:
        note(
            name,
            True,
            evaluate(METHODS[name](fresh(), config), tokens, table, batch_windows=arguments.batch_windows),
        )
    for parts in ILLEGAL:
        note(f"seed's {' + '.join(parts)}", False, seed_system(parts, fresh(), run))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
