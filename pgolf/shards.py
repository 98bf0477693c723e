"""Token shards in the contest's format: a 1,024-byte header, then little-endian uint16 ids.

The header is 256 little-endian int32: magic 20240520, version 1, the number of tokens, zeros.
Every way in which a file can be wrong has its own error, all of them `ShardError`.
"""

from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAGIC = 20240520
VERSION = 1
HEADER_INTS = 256
HEADER_BYTES = HEADER_INTS * 4
TOKEN_BYTES = 2


class ShardError(ValueError):
    """A shard cannot be used. The message says what was found, what was expected and in which file."""


class MissingShards(ShardError):
    """No file, or no file that matches the pattern: usually a wrong DATA_PATH."""


class BadMagic(ShardError):
    """Not a shard at all, or one of another project."""


class BadVersion(ShardError):
    """A shard of a format version that this reader does not know."""


class TruncatedShard(ShardError):
    """Fewer bytes than the header promises: usually an interrupted download."""


class TrailingBytes(ShardError):
    """More bytes than the header promises: two files joined, or a wrong count."""


class TokenOutOfRange(ShardError):
    """An id at or beyond the vocabulary: the shards were made with another tokenizer."""


def write_shard(path: Path | str, tokens: ArrayLike) -> Path:
    """Write ids (1-D, 0 to 65,535) as one shard. The file appears whole or not at all.

    Raises:
        ShardError: the ids are not a 1-D integer array, or do not fit 16 bits or the header's count.
    """
    path = Path(path)
    ids = np.asarray(tokens)
    if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
        raise ShardError(
            f"{path}: tokens have dtype {ids.dtype} and shape {ids.shape}; expected 1-D integers"
        )
    if ids.size >= 2**31:
        raise ShardError(f"{path}: {ids.size:,} tokens; a shard's header counts at most {2**31 - 1:,}")
    if ids.size and not (int(ids.min()) >= 0 and int(ids.max()) < 2**16):
        raise TokenOutOfRange(f"{path}: ids from {ids.min()} to {ids.max()}; a shard holds 0 to 65535")
    header = np.zeros(HEADER_INTS, dtype="<i4")
    header[:3] = MAGIC, VERSION, ids.size
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(header.tobytes())
        file.write(ids.astype("<u2").tobytes())
    os.replace(file.name, path)
    return path


def read_shard(
    path: Path | str, *, vocab_size: int | None = None, memmap: bool = False
) -> NDArray[np.uint16]:
    """Read one shard's ids, uint16 of shape (N,). `memmap=True` maps the file read-only instead.

    With `vocab_size`, every id is checked against it.

    Raises:
        ShardError: one of its kinds above.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingShards(f"{path}: no such file")
    size = path.stat().st_size
    if size < HEADER_BYTES:
        raise TruncatedShard(f"{path}: {size:,} bytes; the header alone has {HEADER_BYTES:,}")
    header = np.fromfile(path, dtype="<i4", count=HEADER_INTS)
    magic, version, count = (int(value) for value in header[:3])
    if magic != MAGIC:
        raise BadMagic(f"{path}: magic {magic}, expected {MAGIC}; this is not a token shard")
    if version != VERSION:
        raise BadVersion(f"{path}: format version {version}, expected {VERSION}")
    expected = HEADER_BYTES + count * TOKEN_BYTES
    if count < 0 or size < expected:
        held = (size - HEADER_BYTES) // TOKEN_BYTES
        raise TruncatedShard(f"{path}: {held:,} tokens in the file, {count:,} in its header; fetch it again")
    if size > expected:
        raise TrailingBytes(f"{path}: {size - expected:,} bytes after the {count:,} tokens of its header")
    tokens: NDArray[np.uint16]
    if memmap and count:
        tokens = np.memmap(path, dtype="<u2", mode="r", offset=HEADER_BYTES, shape=(count,))
    else:
        tokens = np.fromfile(path, dtype="<u2", count=count, offset=HEADER_BYTES)
    if vocab_size is not None and count:
        check_ids(tokens, vocab_size, str(path))
    return tokens


def check_ids(tokens: NDArray[Any], vocab_size: int, where: str) -> None:
    """Raise `TokenOutOfRange` with the first position at which an id is not below `vocab_size`."""
    if int(tokens.max()) >= vocab_size:
        position = int(np.argmax(tokens >= vocab_size))
        raise TokenOutOfRange(
            f"{where}: id {int(tokens[position])} at position {position:,}; "
            f"the vocabulary has {vocab_size:,} ids; the shards were made with another tokenizer"
        )


def shard_paths(pattern: str) -> list[Path]:
    """The files that match a glob pattern, sorted by name; `MissingShards` when there is none."""
    paths = [Path(name) for name in sorted(glob.glob(pattern))]
    if not paths:
        raise MissingShards(
            f"no shard matches {pattern}; expected files such as fineweb_val_000000.bin; "
            "check the data path, or get shards with `pgolf data fineweb` or `pgolf data build`"
        )
    return paths


def read_stream(pattern: str, *, vocab_size: int | None = None) -> NDArray[np.uint16]:
    """All shards that match a glob pattern as one stream of ids, in the order of their names."""
    return np.concatenate([read_shard(path, vocab_size=vocab_size) for path in shard_paths(pattern)])
