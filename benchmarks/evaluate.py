"""Every legal evaluation method on one artifact and one stream: loss, bits per byte, seconds.

    python -m benchmarks.evaluate --artifact pgolf-run/final_model.pgolf [--data FOLDER --tokenizer MODEL]

Seconds are of the whole evaluation, compilation and hints included. A method that cannot run on the model
at hand is named with its reason, and the others go on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from pgolf import console
from pgolf.artifact import load_artifact
from pgolf.bytes import ByteTable
from pgolf.cli import open_dataset
from pgolf.evaluate import evaluate
from pgolf.evaluate.methods import METHODS, MethodConfig
from pgolf.runtime import pick_device, place
from pgolf.shards import read_stream
from pgolf.tokenizer import load_tokenizer


@console.one_line_errors
def main(
    artifact: Annotated[Path, typer.Option(help="What `pgolf train` wrote.")],
    data: Annotated[Path | None, typer.Option(help="Folder of shards; default: the embedded corpus.")] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="SentencePiece model of the shards.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Score only the first so many tokens.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Only these; default: all.")] = None,
    seq_len: Annotated[int | None, typer.Option(help="Window; default: as in training.")] = None,
    stride: Annotated[int, typer.Option(help="New tokens per window.")] = 64,
    batch_windows: int = 32,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print JSON alone.")] = False,
) -> None:
    """Run the methods one after the other and print a line for each."""
    names = method or list(METHODS)
    for name in names:
        if name not in METHODS:
            raise ValueError(f"unknown method {name!r}; expected one of {', '.join(METHODS)}")
    loaded = load_artifact(artifact)
    model = place(loaded.build_model(), pick_device(device)).eval()
    dataset = open_dataset(data, tokenizer, loaded.config.vocab_size)
    sp = load_tokenizer(dataset.tokenizer_path)
    tokens = read_stream(dataset.val_pattern, vocab_size=loaded.config.vocab_size)
    if max_tokens is not None:
        tokens = tokens[: max_tokens + 1]
    table = ByteTable.from_tokenizer(sp, loaded.config.vocab_size)
    config = MethodConfig(seq_len=seq_len or loaded.train_seq_len, stride=stride, bos_id=sp.bos_id())
    rows: list[dict[str, Any]] = []
    if not json:
        console.say(f"{'method':<18}{'val_loss':>10}{'val_bpb':>10}{'seconds':>10}{'tokens/s':>12}")
    for name in names:
        torch.compiler.reset()  # so that no method rides on what another one compiled
        try:
            with console.progress(name, plain=False) as progress:
                result = evaluate(
                    METHODS[name](model, config),
                    tokens,
                    table,
                    batch_windows=batch_windows,
                    progress=progress,
                )
        except ValueError as error:
            rows.append({"method": name, "not_run": str(error)})
            if not json:
                console.say(f"{name:<18}not run: {error}")
            continue
        score, rate = result.score, result.score.tokens / result.seconds
        rows.append(
            {"method": name, **vars(score), "seconds": round(result.seconds, 3), "tokens_per_s": round(rate)}
        )
        if not json:
            console.say(
                f"{name:<18}{score.val_loss:>10.4f}{score.val_bpb:>10.4f}{result.seconds:>10.1f}{rate:>12,.0f}"
            )
    if json:
        console.as_json(rows)


if __name__ == "__main__":
    typer.run(main)
