"""A dataset folder from documents: train a tokenizer, then write the shards of both splits.

The documents are read twice, once for the tokenizer and once for the shards, and never held together. The
folder gets its files at the end, all of them or none.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pgolf import byte_tokenizer, caseops
from pgolf.corpus import Split
from pgolf.shard_writer import BATCH_DOCUMENTS, SHARD_TOKENS, ShardWriter, SplitCounts
from pgolf.tokenizer import TokenizerError, has_case_operators, load_tokenizer, train_tokenizer

TOKENIZER_TRAIN_BYTES = 32_000_000
"""Text that a vocabulary is trained on; more takes longer and changes little."""

TOKENIZER_TYPES = ("bpe", "byte")

LabelledDocuments = Callable[[], Iterable[tuple[Split, str]]]
"""Starts reading all documents with their splits, from the beginning, the same each time."""


@dataclass(frozen=True)
class TokenizerConfig:
    """The tokenizer to make where the user brings none."""

    type: str = "bpe"
    """`bpe`, or `byte` for the contest's 260 ids."""
    vocab_size: int = 1024
    """Ids of a BPE vocabulary; the contest's are 1,024, 4,096 and 8,192."""
    case_transform: bool = False
    """Lower-case the text and reserve operators that say how it was written (`pgolf.caseops`)."""

    def __post_init__(self) -> None:
        if self.type not in TOKENIZER_TYPES:
            raise ValueError(f"unknown tokenizer type {self.type!r}; expected {' or '.join(TOKENIZER_TYPES)}")
        if self.type == "byte" and self.case_transform:
            raise ValueError("bytes have no vocabulary to reserve case operators in; use tokenizer type bpe")

    @property
    def file_name(self) -> str:
        """The contest's and the records' names."""
        if self.type == "byte":
            return byte_tokenizer.FILE_NAME
        caps = "_lossless_caps_caseops_v1_reserved" if self.case_transform else ""
        return f"fineweb_{self.vocab_size}_bpe{caps}.model"


@dataclass(frozen=True)
class Built:
    """What a build made."""

    tokenizer_path: Path
    counts: dict[Split, SplitCounts] = field(default_factory=dict)


def build_dataset(
    out: Path,
    documents: LabelledDocuments,
    tokenizer: TokenizerConfig | Path,
    *,
    text_bytes: int,
    shard_tokens: int = SHARD_TOKENS,
) -> Built:
    """Write train and val shards, and the tokenizer unless its path is given, into the folder `out`.

    Shards of an earlier build in that folder are replaced. `text_bytes` is the size of all documents
    together, to choose the even sample that a vocabulary is trained on.

    Raises:
        TokenizerError: the text cannot fill the vocabulary, or the given tokenizer cannot be read.
        ValueError: a split has no document.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-building-") as building:
        folder = Path(building)
        path = (
            tokenizer
            if isinstance(tokenizer, Path)
            else make_tokenizer(folder / tokenizer.file_name, tokenizer, documents, text_bytes)
        )
        counts = write_shards(folder, documents, path, shard_tokens)
        move_into(out, folder)
    return Built(tokenizer if isinstance(tokenizer, Path) else out / tokenizer.file_name, counts)


def make_tokenizer(
    path: Path, config: TokenizerConfig, documents: LabelledDocuments, text_bytes: int
) -> Path:
    """Train the tokenizer on an even sample of the training documents, and write it to `path`."""
    if config.type == "byte":
        return byte_tokenizer.write_description(path)
    every = -(-text_bytes // TOKENIZER_TRAIN_BYTES) or 1
    sample: Iterator[str] = islice((text for split, text in documents() if split == "train"), 0, None, every)
    if config.case_transform:
        sample = map(caseops.encode, sample)
    return train_tokenizer(sample, config.vocab_size, path, case_operators=config.case_transform)


def write_shards(
    folder: Path, documents: LabelledDocuments, tokenizer_path: Path, shard_tokens: int
) -> dict[Split, SplitCounts]:
    """Encode all documents in one reading, each split into its own shards."""
    loaded = load_tokenizer(tokenizer_path)
    splits: tuple[Split, ...] = ("train", "val")
    writers = {name: ShardWriter(folder, name, loaded, shard_tokens=shard_tokens) for name in splits}
    waiting: dict[Split, list[str]] = {name: [] for name in splits}
    for name, document in documents():
        waiting[name].append(document)
        if len(waiting[name]) == BATCH_DOCUMENTS:
            writers[name].add(waiting[name])
            waiting[name] = []
    for name in splits:
        writers[name].add(waiting[name])
    return {name: writers[name].close() for name in splits}


def move_into(out: Path, folder: Path) -> None:
    """Put the files of `folder` into `out`, and remove the shards there that they do not replace."""
    out.mkdir(exist_ok=True)
    made = {path.name for path in folder.iterdir()}
    for pattern in ("fineweb_train_*.bin", "fineweb_val_*.bin"):
        for stale in out.glob(pattern):
            if stale.name not in made:
                stale.unlink()
    for name in sorted(made):
        os.replace(folder / name, out / name)


def check_transform(tokenizer_path: Path, case_transform: bool) -> None:
    """Refuse a given tokenizer whose vocabulary is not for the kind of text that is asked for."""
    if has_case_operators(load_tokenizer(tokenizer_path)) == case_transform:
        return
    raise TokenizerError(
        f"{tokenizer_path} has no case operators; leave out --case-transform, or the tokenizer"
        if case_transform
        else f"{tokenizer_path} has case operators, so its text is transformed; add --case-transform"
    )
