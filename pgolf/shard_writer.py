"""Documents to shards: each is the tokenizer's bos id and then its tokens, without padding, as in the contest.

Documents arrive in batches, are encoded on SentencePiece's own threads, and leave as soon as a shard is full.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgolf import caseops
from pgolf.corpus import Split
from pgolf.shards import write_shard
from pgolf.sidecar import OriginalBytes
from pgolf.tokenizer import Tokenizer, has_case_operators

SHARD_TOKENS = 100_000_000
BATCH_DOCUMENTS = 1024
ALL_THREADS = -1
NO_BYTES = np.zeros(1, dtype=np.uint16)  # of a bos id


@dataclass(frozen=True)
class SplitCounts:
    """What one split of a dataset holds."""

    documents: int
    tokens: int
    shards: int
    original_bytes: int | None = None
    """The sum of the byte sidecar, for the validation split of a case-transformed dataset."""


class ShardWriter:
    """Writes one split as `fineweb_<split>_000000.bin` and so on, `shard_tokens` to a shard.

    A tokenizer with case operators gets the transformed text, and then the validation split gets its byte
    sidecar, `fineweb_val_bytes_000000.bin`.
    """

    def __init__(
        self, folder: Path, split: Split, tokenizer: Tokenizer, *, shard_tokens: int = SHARD_TOKENS
    ) -> None:
        if shard_tokens < 1:
            raise ValueError(f"shard_tokens must be at least 1, got {shard_tokens}")
        if not (tokenizer.bos_id() >= 0 and tokenizer.vocab_size() <= 2**16):
            raise ValueError(
                f"the tokenizer has {tokenizer.vocab_size():,} ids and bos {tokenizer.bos_id()}; "
                "a shard needs a bos id and holds ids below 65,536"
            )
        self._split = split
        self._tokenizer = tokenizer
        self._transformed = has_case_operators(tokenizer)
        self._documents = 0
        self._original_bytes = 0
        self._tokens = Stream(folder, f"fineweb_{split}", shard_tokens)
        self._bytes: Stream | None = None
        if self._transformed and split == "val":
            self._bytes = Stream(folder, "fineweb_val_bytes", shard_tokens)
            self._original = OriginalBytes(tokenizer)

    def add(self, documents: Sequence[str]) -> None:
        """Encode a batch, and write the shards that it fills."""
        texts = [caseops.encode(text) for text in documents] if self._transformed else list(documents)
        bos = self._tokenizer.bos_id()
        for ids in self._tokenizer.encode(texts, num_threads=ALL_THREADS):
            self._tokens.add(np.array([bos, *ids], dtype=np.uint16))
            if self._bytes is not None:
                counts = self._original.per_token(ids)
                self._bytes.add(np.concatenate([NO_BYTES, counts]))
                self._original_bytes += int(counts.sum(dtype=np.int64))
        self._documents += len(documents)

    def close(self) -> SplitCounts:
        """Write the last shard. ValueError when the split has no document."""
        if not self._documents:
            raise ValueError(f"the {self._split} split has no document; give more text")
        self._tokens.flush()
        if self._bytes is not None:
            self._bytes.flush()
        return SplitCounts(
            self._documents,
            self._tokens.total,
            self._tokens.shards,
            None if self._bytes is None else self._original_bytes,
        )


class Stream:
    """uint16 values on their way into numbered shards."""

    def __init__(self, folder: Path, name: str, shard_tokens: int) -> None:
        self.name = name
        self.shards = 0
        self.total = 0
        self._folder = folder
        self._shard_tokens = shard_tokens
        self._held: list[NDArray[np.uint16]] = []
        self._held_tokens = 0

    def add(self, values: NDArray[np.uint16]) -> None:
        self._held.append(values)
        self._held_tokens += len(values)
        self.total += len(values)
        if self._held_tokens >= self._shard_tokens:
            values = np.concatenate(self._held)
            whole = len(values) // self._shard_tokens * self._shard_tokens
            for start in range(0, whole, self._shard_tokens):
                self._write(values[start : start + self._shard_tokens])
            self._held, self._held_tokens = [values[whole:]], len(values) - whole

    def flush(self) -> None:
        if self._held_tokens:
            self._write(np.concatenate(self._held))
            self._held, self._held_tokens = [], 0

    def _write(self, values: NDArray[Any]) -> None:
        write_shard(self._folder / f"{self.name}_{self.shards:06d}.bin", values)
        self.shards += 1


def write_split(
    folder: Path,
    split: Split,
    tokenizer: Tokenizer,
    documents: Iterable[str],
    *,
    shard_tokens: int = SHARD_TOKENS,
) -> SplitCounts:
    """Write all documents that are not blank as one split.

    Raises:
        ValueError: no document, `shard_tokens` below 1, or a tokenizer that does not suit shards.
    """
    writer = ShardWriter(folder, split, tokenizer, shard_tokens=shard_tokens)
    texts = (text for text in documents if text.strip())
    while batch := list(islice(texts, BATCH_DOCUMENTS)):
        writer.add(batch)
    return writer.close()
