"""Options that several commands share, and what they name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgolf.artifact import Scheme
from pgolf.dataset import Dataset, embedded_dataset, require_dataset

RUN_FOLDER = Path("pgolf-run")
ARTIFACT = "final_model.pgolf"

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of shards; default: the embedded corpus.")
]
TokenizerOption = Annotated[Path | None, typer.Option("--tokenizer", help="What made the shards.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
SchemeOption = Annotated[Scheme, typer.Option(help="Bits and compressor of the artifact.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone.")]


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
