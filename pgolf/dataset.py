"""A dataset folder: train and val shards beside the tokenizer that made them.

Names are the contest's, so that its scripts read these folders too. A folder whose text was transformed also
holds the byte sidecar of its val shards, without which its bits per byte cannot be counted.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pgolf import corpus
from pgolf.bytes import ByteCounter, ByteTable
from pgolf.shard_writer import write_split
from pgolf.shards import MissingShards, shard_paths
from pgolf.sidecar import read_sidecar
from pgolf.tokenizer import (
    Tokenizer,
    cached_tokenizer,
    default_cache_dir,
    has_case_operators,
    load_tokenizer,
)

EMBEDDED_TRAIN_BYTES = 6_000_000
EMBEDDED_VAL_BYTES = 120_000  # about 50,000 tokens at a vocabulary of 1,024: a few seconds to score


@dataclass(frozen=True)
class Dataset:
    """Where the shards and their tokenizer are."""

    folder: Path
    tokenizer_path: Path

    @property
    def train_pattern(self) -> str:
        return str(self.folder / "fineweb_train_*.bin")

    @property
    def val_pattern(self) -> str:
        # The digit keeps out the byte sidecar, which the contest's own pattern would read as tokens.
        return str(self.folder / "fineweb_val_[0-9]*.bin")

    @property
    def sidecar_pattern(self) -> str:
        return str(self.folder / "fineweb_val_bytes_*.bin")


def require_dataset(folder: Path, tokenizer_path: Path) -> Dataset:
    """The dataset at `folder`, checked for a tokenizer and for both splits.

    Raises:
        TokenizerError, MissingShards: which one is missing, and how to get it.
    """
    if not folder.is_dir():
        raise MissingShards(
            f"no data folder at {folder}; expected fineweb_train_*.bin and fineweb_val_*.bin there; "
            "run `pgolf data fineweb` or `pgolf data build`, and set the path"
        )
    load_tokenizer(tokenizer_path)
    dataset = Dataset(folder, tokenizer_path)
    shard_paths(dataset.train_pattern)
    shard_paths(dataset.val_pattern)
    return dataset


def byte_counter(
    dataset: Dataset, tokenizer: Tokenizer, tokens_N: NDArray[Any], vocab_size: int | None = None
) -> ByteCounter:
    """Counts the bytes of the text behind `tokens_N`, the validation stream of `dataset`.

    By the tokenizer's table, or, where the text went through the case transform, by the sidecar alone: a
    table would count the bytes of the transformed text (#2138).

    Raises:
        MissingShards: the tokenizer has case operators and the folder no sidecar.
        ShardError: the sidecar is not of these shards.
    """
    if has_case_operators(tokenizer):
        return read_sidecar(dataset.sidecar_pattern, tokens_N)
    return ByteTable.from_tokenizer(tokenizer, vocab_size)


def embedded_dataset(vocab_size: int = 1024, *, cache_dir: Path | None = None) -> Dataset:
    """The embedded corpus as a dataset, built into the cache if it is not there (seconds, no download)."""
    cache_dir = cache_dir or default_cache_dir()
    tokenizer_path = cached_tokenizer(vocab_size, cache_dir=cache_dir)
    key = f"{corpus.fingerprint()} {tokenizer_path.name} {EMBEDDED_TRAIN_BYTES} {EMBEDDED_VAL_BYTES}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    folder = cache_dir / "datasets" / f"stdlib_sp{vocab_size}-{digest}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        sp = load_tokenizer(tokenizer_path)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-") as building:
            whole = Path(building) / "whole"
            write_split(whole, "train", sp, corpus.documents("train", EMBEDDED_TRAIN_BYTES))
            write_split(whole, "val", sp, corpus.documents("val", EMBEDDED_VAL_BYTES))
            try:
                os.rename(whole, folder)
            except OSError:
                if not folder.is_dir():  # else another process built the same dataset first
                    raise
    return Dataset(folder, tokenizer_path)
