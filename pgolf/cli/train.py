"""`pgolf train`."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from pgolf import console
from pgolf.artifact import Scheme, write_artifact
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
from pgolf.dataset import Dataset, byte_counter
from pgolf.distributed import Ranks, process_group
from pgolf.evaluate import Evaluation, evaluate_plain
from pgolf.export import export_model, log_final, read_back
from pgolf.loader import Loader, TokenLoader
from pgolf.model import GPT
from pgolf.presets import PRESETS
from pgolf.runlog import RunLog
from pgolf.runtime import pick_device, place
from pgolf.shards import read_stream
from pgolf.size import count_code
from pgolf.strided import StridedLoader
from pgolf.tokenizer import load_tokenizer
from pgolf.train import Log, TrainConfig, say_nothing
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
    checkpoint: Annotated[Path | None, typer.Option(help="Also write the fp32 weights here.")] = None,
    scheme: SchemeOption = Scheme.INT8_ZLIB,
    loader_seed: Annotated[
        int | None,
        typer.Option(help="Draw batches from all shards in a coprime stride; default: in order."),
    ] = None,
    seed: int = 1337,
    device: DeviceOption = "auto",
) -> None:
    """Train a model, write its artifact, and score what the artifact holds.

    With no options: the tiny preset on the embedded corpus, within a minute on a CPU. On several GPUs:
    torchrun --standalone --nproc_per_node=4 -m pgolf train --preset naive-baseline ...
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
    ranks = Ranks.from_environment(os.environ)
    where = ranks.place(pick_device(device))
    with process_group(ranks, where):
        _train(
            preset,
            config,
            where,
            ranks,
            open_dataset(data, tokenizer),
            out,
            checkpoint,
            scheme,
            loader_seed,
            seed,
        )


def _train(
    preset: str,
    config: TrainConfig,
    where: torch.device,
    ranks: Ranks,
    dataset: Dataset,
    out: Path,
    checkpoint: Path | None,
    scheme: Scheme,
    loader_seed: int | None,
    seed: int,
) -> None:
    """One rank's part. Rank 0 alone writes, and exports what all of them trained."""
    sp = load_tokenizer(dataset.tokenizer_path)
    shape = dataclasses.replace(PRESETS[preset].model, vocab_size=sp.vocab_size())
    val_tokens = read_stream(dataset.val_pattern, vocab_size=shape.vocab_size)
    table = byte_counter(dataset, sp, val_tokens, shape.vocab_size)
    place_of: dict[str, Any] = {"device": where, "rank": ranks.rank, "world_size": ranks.world_size}
    loader: Loader
    if loader_seed is None:
        loader = TokenLoader(dataset.train_pattern, vocab_size=shape.vocab_size, **place_of)
    else:
        loader = StridedLoader(
            dataset.train_pattern, seed=loader_seed, vocab_size=shape.vocab_size, **place_of
        )
    torch.manual_seed(seed)
    model = place(GPT(shape), where)

    def score(scored: GPT) -> Evaluation:
        with console.progress("scoring", plain=ranks.is_main) as progress:
            return evaluate_plain(scored, val_tokens, table, seq_len=config.train_seq_len, progress=progress)

    with contextlib.ExitStack() as stack:
        log: Log = say_nothing
        if ranks.is_main:
            log = stack.enter_context(RunLog(out / "train.log", echo=console.say))
        log(f"model_params:{model.num_parameters()} device:{where} preset:{preset} seed:{seed}")
        log(
            f"train_shards:{len(loader.paths)} val_tokens:{len(val_tokens) - 1} data:{dataset.folder.name} "
            f"world_size:{ranks.world_size}"
        )
        total = config.cap_ms or float(config.iterations)
        with console.progress("training", plain=False) as progress:
            run_training(
                model,
                loader,
                config,
                log=log,
                validate=lambda: score(model).score,
                on_step=lambda step, ms: progress(ms if config.cap_ms else step, total),
                ranks=ranks,
            )
        if not ranks.is_main:
            return
        if checkpoint is not None:
            weights = io.BytesIO()
            torch.save(model.artifact_state(), weights)
            write_artifact(checkpoint, weights.getvalue())
        report = export_model(
            model,
            out / ARTIFACT,
            code_bytes=count_code(package_sources()),
            train_seq_len=config.train_seq_len,
            log=log,
            scheme=scheme,
        )
        log_final(score(read_back(out / ARTIFACT, where)), log, scheme)
    console.say(f"wrote {out / ARTIFACT} and {out / 'train.log'}: {report}")
    report.check()
