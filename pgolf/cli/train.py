"""`pgolf train`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from pgolf import console
from pgolf.artifact import Scheme
from pgolf.cli.options import (
    ARTIFACT,
    RUN_FOLDER,
    DataOption,
    DeviceOption,
    SchemeOption,
    TokenizerOption,
    open_dataset,
    package_sources,
)
from pgolf.dataset import byte_counter
from pgolf.evaluate import Evaluation, evaluate_plain
from pgolf.export import export_model, log_final, read_back
from pgolf.loader import TokenLoader
from pgolf.model import GPT
from pgolf.presets import PRESETS
from pgolf.runlog import RunLog
from pgolf.runtime import pick_device, place
from pgolf.shards import read_stream
from pgolf.size import count_code
from pgolf.tokenizer import load_tokenizer
from pgolf.train import train as run_training


@console.one_line_errors
def train(
    preset: Annotated[str, typer.Option(help=f"One of: {', '.join(PRESETS)}.")] = "tiny",
    data: DataOption = None,
    tokenizer: TokenizerOption = None,
    out: Annotated[Path, typer.Option(help="Where the log and the artifact go.")] = RUN_FOLDER,
    iterations: Annotated[int | None, typer.Option(help="Most steps.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Wallclock cap; 0 is none.")] = None,
    batch_tokens: Annotated[int | None, typer.Option(help="Tokens per step.")] = None,
    seq_len: Annotated[int | None, typer.Option(help="Tokens per sequence.")] = None,
    scheme: SchemeOption = Scheme.INT8_ZLIB,
    seed: int = 1337,
    device: DeviceOption = "auto",
) -> None:
    """Train a model, write its artifact, and score what the artifact holds.

    With no options: the tiny preset on the embedded corpus, within a minute on a CPU.
    """
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; expected {' or '.join(PRESETS)}")
    changes: dict[str, Any] = {
        "iterations": iterations,
        "max_wallclock_seconds": seconds,
        "train_batch_tokens": batch_tokens,
        "train_seq_len": seq_len,
    }
    config = dataclasses.replace(
        PRESETS[preset].train, **{name: value for name, value in changes.items() if value is not None}
    )
    where = pick_device(device)
    dataset = open_dataset(data, tokenizer)
    sp = load_tokenizer(dataset.tokenizer_path)
    shape = dataclasses.replace(PRESETS[preset].model, vocab_size=sp.vocab_size())
    val_tokens = read_stream(dataset.val_pattern, vocab_size=shape.vocab_size)
    table = byte_counter(dataset, sp, val_tokens, shape.vocab_size)
    loader = TokenLoader(dataset.train_pattern, device=where, vocab_size=shape.vocab_size)
    torch.manual_seed(seed)
    model = place(GPT(shape), where)

    def score(scored: GPT) -> Evaluation:
        with console.progress("scoring") as progress:
            return evaluate_plain(scored, val_tokens, table, seq_len=config.train_seq_len, progress=progress)

    with RunLog(out / "train.log", echo=console.say) as log:
        log(f"model_params:{model.num_parameters()} device:{where} preset:{preset} seed:{seed}")
        log(f"train_shards:{len(loader.paths)} val_tokens:{len(val_tokens) - 1} data:{dataset.folder.name}")
        total = config.cap_ms or float(config.iterations)
        with console.progress("training", plain=False) as progress:
            run_training(
                model,
                loader,
                config,
                log=log,
                validate=lambda: score(model).score,
                on_step=lambda step, ms: progress(ms if config.cap_ms else step, total),
            )
        report = export_model(
            model,
            out / ARTIFACT,
            code_bytes=count_code(package_sources()),
            train_seq_len=config.train_seq_len,
            log=log,
            scheme=scheme,
        )
        log_final(score(read_back(out / ARTIFACT, where)), log, scheme)
    console.say(f"wrote {out / ARTIFACT} and {log.path}: {report}")
    report.check()
