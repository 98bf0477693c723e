"""`pgolf eval` and `pgolf methods`: every legal way to score an artifact."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from numpy.typing import NDArray

from pgolf import console
from pgolf.artifact import Artifact, load_artifact
from pgolf.bytes import ByteCounter
from pgolf.cli.options import (
    ARTIFACT,
    RUN_FOLDER,
    DataOption,
    DeviceOption,
    JsonOption,
    TokenizerOption,
    open_dataset,
)
from pgolf.cli.settings import with_settings
from pgolf.dataset import Dataset, byte_counter
from pgolf.evaluate import evaluate as run_evaluation
from pgolf.evaluate.methods import METHODS, MethodConfig
from pgolf.runtime import pick_device, place
from pgolf.shards import read_stream
from pgolf.tokenizer import Tokenizer, load_tokenizer


@console.one_line_errors
def evaluate(
    artifact: Annotated[Path, typer.Argument(help="What `pgolf train` wrote.")] = RUN_FOLDER / ARTIFACT,
    method: Annotated[
        list[str] | None,
        typer.Option(help="One of `pgolf methods`, or `all`; give it again for more. Default: sliding."),
    ] = None,
    data: DataOption = None,
    tokenizer: TokenizerOption = None,
    seq_len: Annotated[int | None, typer.Option(help="Window; default: as in training.")] = None,
    stride: Annotated[
        int | None, typer.Option(help="New tokens per window; default: a quarter of it.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Score only the first so many tokens.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A setting of the method, such as ttt.lr=0.001; `pgolf methods` lists them."
        ),
    ] = None,
    batch_windows: Annotated[int, typer.Option(help="Windows that are read together.")] = 32,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Score an artifact on a validation stream, each token once.

    Seconds are of the whole evaluation, compilation and hints included. Of several methods, one that cannot
    run on this model is named with its reason, and the others go on.
    """
    names = chosen(method)
    loaded = load_artifact(artifact)
    model = place(loaded.build_model(), pick_device(device)).eval()
    dataset = open_dataset(data, tokenizer, loaded.config.vocab_size)
    sp = load_tokenizer(dataset.tokenizer_path)
    tokens, table = stream_of(artifact, loaded, dataset, sp, max_tokens)
    window = seq_len if seq_len is not None else loaded.train_seq_len
    step = stride if stride is not None else max(1, window // 4)
    config = with_settings(MethodConfig(seq_len=window, stride=step, bos_id=sp.bos_id()), settings)
    rows: list[dict[str, Any]] = []
    for name in names:
        torch.compiler.reset()  # so that no method rides on what another one compiled
        try:
            with console.progress(f"scoring ({name})", plain=not json and len(names) == 1) as progress:
                result = run_evaluation(
                    METHODS[name](model, config),
                    tokens,
                    table,
                    batch_windows=batch_windows,
                    progress=progress,
                )
        except ValueError as error:
            if len(names) == 1:
                raise
            rows.append({"method": name, "not_run": str(error)})
            if not json:
                console.say(f"{name} not run: {error}")
            continue
        score, seconds = result.score, round(result.seconds, 3)
        rows.append({"method": name, "seconds": seconds, **vars(score)})
        if not json:
            console.say(
                f"{name} {score.exact()} tokens:{score.tokens} bytes:{score.bytes} {result.seconds:.1f}s "
                f"({score.tokens / result.seconds:,.0f} tokens/s)"
            )
    if json:
        console.as_json(rows[0] if len(names) == 1 else rows)


@console.one_line_errors
def methods(json: JsonOption = False) -> None:
    """List the evaluation methods, and the settings that `pgolf eval --set` knows with their defaults."""
    defaults = dataclasses.asdict(MethodConfig())
    if json:
        console.as_json({"methods": list(METHODS), "settings": defaults})
        return
    console.say("methods: " + ", ".join(METHODS))
    for name, value in defaults.items():
        section = value if isinstance(value, dict) else {}
        for field, default in section.items():
            console.say(f"{name}.{field}={default}")
        if not section:
            console.say(f"{name}={value}")


def chosen(method: list[str] | None) -> list[str]:
    """The names asked for; ValueError with the nearest known one for a name that is not."""
    if not method:
        return ["sliding"]
    if method == ["all"]:
        return list(METHODS)
    for name in method:
        if name not in METHODS:
            raise ValueError(f"unknown method {name!r}; expected all or one of {', '.join(METHODS)}")
    return method


def stream_of(
    artifact: Path, loaded: Artifact, dataset: Dataset, sp: Tokenizer, max_tokens: int | None
) -> tuple[NDArray[Any], ByteCounter]:
    """The validation stream, cut to `max_tokens` predictions, and what counts its bytes.

    Raises:
        ValueError: a tokenizer of another size than the model's, or `max_tokens` under 1.
    """
    if sp.vocab_size() != loaded.config.vocab_size:
        raise ValueError(
            f"{dataset.tokenizer_path} has {sp.vocab_size()} ids, {artifact} was trained with "
            f"{loaded.config.vocab_size}; pass the tokenizer and data of the training run"
        )
    tokens = read_stream(dataset.val_pattern, vocab_size=sp.vocab_size())
    table = byte_counter(dataset, sp, tokens)
    if max_tokens is not None:
        if max_tokens < 1:
            raise ValueError(f"--max-tokens must be at least 1, got {max_tokens}")
        tokens = tokens[: max_tokens + 1]
    return tokens, table
