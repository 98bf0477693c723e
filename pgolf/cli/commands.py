"""The commands on models: train, eval, pack."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from pgolf import console
from pgolf.artifact import Scheme, load_artifact
from pgolf.cli.data import data_app
from pgolf.dataset import Dataset, byte_counter, embedded_dataset, require_dataset
from pgolf.evaluate import Evaluation, TTTConfig, evaluate_plain, evaluate_sliding, evaluate_ttt
from pgolf.export import export_model, log_final, read_back
from pgolf.loader import TokenLoader
from pgolf.model import GPT
from pgolf.presets import PRESETS
from pgolf.runlog import RunLog
from pgolf.runtime import pick_device, place
from pgolf.shards import read_stream
from pgolf.size import CAP_BYTES, SizeReport, count_code
from pgolf.tokenizer import load_tokenizer
from pgolf.train import train as run_training

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Train, score and pack parameter-golf models."
)
app.add_typer(data_app, name="data")

RUN_FOLDER = Path("pgolf-run")
ARTIFACT = "final_model.pgolf"

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of shards; default: the embedded corpus.")
]
TokenizerOption = Annotated[Path | None, typer.Option("--tokenizer", help="What made the shards.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
SchemeOption = Annotated[Scheme, typer.Option(help="Bits and compressor of the artifact.")]


@app.command()
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


@app.command(name="eval")
@console.one_line_errors
def evaluate(
    artifact: Annotated[Path, typer.Argument(help="What `pgolf train` wrote.")] = RUN_FOLDER / ARTIFACT,
    method: Annotated[str, typer.Option(help="plain, sliding or ttt.")] = "sliding",
    data: DataOption = None,
    tokenizer: TokenizerOption = None,
    seq_len: Annotated[int | None, typer.Option(help="Window; default: as in training.")] = None,
    stride: Annotated[
        int | None, typer.Option(help="New tokens per window; default: a quarter of it.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Score only the first so many tokens.")] = None,
    ttt_optimizer: Annotated[str, typer.Option(help="sgd or adamw.")] = "sgd",
    ttt_lr: float = 0.002,
    ttt_epochs: int = 3,
    ttt_chunk_tokens: int = 32_768,
    device: DeviceOption = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print JSON alone.")] = False,
) -> None:
    """Score an artifact on a validation stream, each token once."""
    if method not in ("plain", "sliding", "ttt"):
        raise ValueError(f"unknown method {method!r}; expected plain, sliding or ttt")
    where = pick_device(device)
    loaded = load_artifact(artifact)
    model = place(loaded.build_model(), where).eval()
    dataset = open_dataset(data, tokenizer, loaded.config.vocab_size)
    sp = load_tokenizer(dataset.tokenizer_path)
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
    window = seq_len if seq_len is not None else loaded.train_seq_len
    step = stride if stride is not None else max(1, window // 4)
    with console.progress(f"scoring ({method})", plain=not json) as progress:
        shared: dict[str, Any] = {"seq_len": window, "progress": progress}
        if method == "plain":
            result = evaluate_plain(model, tokens, table, **shared)
        elif method == "sliding":
            result = evaluate_sliding(model, tokens, table, stride=step, **shared)
        else:
            ttt = TTTConfig(ttt_chunk_tokens, ttt_epochs, ttt_optimizer, ttt_lr)  # type: ignore[arg-type]
            result = evaluate_ttt(model, tokens, table, stride=step, config=ttt, **shared)
    if json:
        console.as_json({"method": method, "seconds": round(result.seconds, 3), **vars(result.score)})
        return
    score = result.score
    console.say(f"{method} {score.exact()} tokens:{score.tokens} bytes:{score.bytes} {result.seconds:.1f}s")


@app.command()
@console.one_line_errors
def pack(
    artifact: Annotated[Path, typer.Argument(help="A model file.")] = RUN_FOLDER / ARTIFACT,
    code: Annotated[list[Path] | None, typer.Option(help="Code files; default: the pgolf package.")] = None,
    cap: Annotated[int, typer.Option(help="Most bytes in all.")] = CAP_BYTES,
    json: Annotated[bool, typer.Option("--json", help="Print JSON alone.")] = False,
) -> None:
    """Count code and model bytes against the cap. Exits with 1 when they are over."""
    load_artifact(artifact)
    report = SizeReport(count_code(code or package_sources()), artifact.stat().st_size, cap)
    if json:
        console.as_json({**vars(report), "total_bytes": report.total_bytes})
    else:
        console.say(str(report))
    if report.spare_bytes < 0:
        raise typer.Exit(1)


def open_dataset(data: Path | None, tokenizer: Path | None, vocab_size: int = 1024) -> Dataset:
    """The dataset that the options name, or the embedded one."""
    if data is None and tokenizer is None:
        return embedded_dataset(vocab_size)
    if data is None or tokenizer is None:
        raise ValueError(
            "--data and --tokenizer belong together: shards mean nothing without their tokenizer"
        )
    return require_dataset(data, tokenizer)


def package_sources() -> list[Path]:
    """The code that a run of this package needs."""
    return sorted(Path(__file__).parent.parent.rglob("*.py"))
