"""The model and the validation stream that a benchmark names on its command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pgolf.artifact import Artifact, load_artifact
from pgolf.bytes import ByteCounter
from pgolf.dataset import byte_counter, require_dataset
from pgolf.shards import read_stream
from pgolf.tokenizer import load_tokenizer


class Opened(NamedTuple):
    """An artifact, the stream that it is scored on, and what counts the stream's bytes."""

    artifact: Artifact
    tokens: NDArray[Any]
    table: ByteCounter
    bos_id: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """ARTIFACT, --data, --tokenizer, --max-tokens and --json."""
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("--json", type=Path)


def opened(arguments: argparse.Namespace) -> Opened:
    """Read what `add_arguments` named."""
    artifact = load_artifact(arguments.artifact)
    dataset = require_dataset(arguments.data, arguments.tokenizer)
    sp = load_tokenizer(dataset.tokenizer_path)
    tokens = read_stream(dataset.val_pattern, vocab_size=artifact.config.vocab_size)
    table = byte_counter(dataset, sp, tokens, artifact.config.vocab_size)
    return Opened(artifact, tokens[: arguments.max_tokens and arguments.max_tokens + 1], table, sp.bos_id())
