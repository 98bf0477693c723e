"""A dataset folder: train and val shards beside the tokenizer that made them.

Each document is the tokenizer's bos id and then its tokens, as in the contest's export; documents follow
each other without padding. Names are the contest's, so that its scripts read these folders too.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sentencepiece as spm
from numpy.typing import NDArray

from pgolf import corpus
from pgolf.shards import MissingShards, shard_paths, write_shard
from pgolf.tokenizer import cached_tokenizer, default_cache_dir, load_tokenizer

SHARD_TOKENS = 100_000_000
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
        return str(self.folder / "fineweb_val_*.bin")


@dataclass(frozen=True)
class SplitCounts:
    """What one split of a dataset holds."""

    documents: int
    tokens: int
    shards: int


def require_dataset(folder: Path, tokenizer_path: Path) -> Dataset:
    """The dataset at `folder`, checked for a tokenizer and for both splits.

    Raises:
        TokenizerError, MissingShards: which one is missing, and how to get it.
    """
    if not folder.is_dir():
        raise MissingShards(
            f"no data folder at {folder}; expected fineweb_train_*.bin and fineweb_val_*.bin there; "
            "download the contest's data, or run `pgolf data build` and set the path"
        )
    load_tokenizer(tokenizer_path)
    dataset = Dataset(folder, tokenizer_path)
    shard_paths(dataset.train_pattern)
    shard_paths(dataset.val_pattern)
    return dataset


def encode_documents(sp: spm.SentencePieceProcessor, documents: Iterable[str]) -> NDArray[np.uint16]:
    """All documents as one stream of ids, each behind a bos id."""
    pieces = [np.array([sp.bos_id(), *sp.encode(document)], dtype=np.uint16) for document in documents]
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.uint16)


def write_split(
    folder: Path,
    split: corpus.Split,
    sp: spm.SentencePieceProcessor,
    documents: Iterable[str],
    *,
    shard_tokens: int = SHARD_TOKENS,
) -> SplitCounts:
    """Encode documents into `fineweb_<split>_000000.bin` and so on, `shard_tokens` to a shard.

    Raises:
        ValueError: no document, a vocabulary too large for a shard, or `shard_tokens` below 1.
    """
    if shard_tokens < 1:
        raise ValueError(f"shard_tokens must be at least 1, got {shard_tokens}")
    texts = [text for text in documents if text.strip()]
    if not texts:
        raise ValueError(f"the {split} split has no document; give more text")
    tokens = encode_documents(sp, texts)
    starts = range(0, len(tokens), shard_tokens)
    for index, start in enumerate(starts):
        write_shard(folder / f"fineweb_{split}_{index:06d}.bin", tokens[start : start + shard_tokens])
    return SplitCounts(documents=len(texts), tokens=len(tokens), shards=len(starts))


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
