"""The vocabularies of the audit: SentencePiece models of its own, and plain bytes.

A script is given the kind that it was written for. A byte-level script counts one byte a token and is right;
on SentencePiece ids the same line would be wrong by a factor of two and more (#1443, merged).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgolf.bytes import SPACE_MARKER, ByteTable
from pgolf.tokenizer import BOS_ID, cached_tokenizer, load_tokenizer
from verifier.probe.scale import BYTE_VOCAB
from verifier.probe.stream import Source, Stream

BYTES = 256
_SPECIAL = ("pad", "bos", "eos", "unk")


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer of the audit: its drawable ids, its byte table and its file."""

    size: int
    normal_ids: tuple[int, ...]
    bos_id: int
    table: ByteTable
    name: str
    """As in the names of the contest's data folders: `sp1024`, `byte260`."""
    file_name: str
    file: bytes = field(repr=False)
    spelling: Mapping[int, bytes] = field(repr=False)
    """The bytes of each normal id where it does not open a document."""

    @classmethod
    @functools.cache
    def of_size(cls, size: int) -> Vocabulary:
        """Plain bytes for a size that can only mean bytes, else a SentencePiece model of `size` ids."""
        return cls._of_bytes(size) if size in BYTE_VOCAB else cls._of_pieces(size)

    @classmethod
    def _of_pieces(cls, size: int) -> Vocabulary:
        """The cached tokenizer of `size` ids, trained from the embedded corpus on first use."""
        path = cached_tokenizer(size)
        sp = load_tokenizer(path)
        special = {i for i in range(size) if sp.is_control(i) or sp.is_unknown(i) or sp.is_unused(i)}
        normal = tuple(i for i in range(size) if i not in special)
        table = ByteTable.from_tokenizer(sp, size)
        spelling = {
            token: bytes([int(sp.id_to_piece(token)[3:-1], 16)])
            if sp.is_byte(token)
            else sp.id_to_piece(token).replace(SPACE_MARKER, " ", 1).encode()
            for token in normal
        }
        name = f"fineweb_{size}_bpe.model"
        return cls(size, normal, BOS_ID, table, f"sp{size}", name, Path(path).read_bytes(), spelling)

    @classmethod
    def _of_bytes(cls, size: int) -> Vocabulary:
        """Bytes after the special ids, as the contest's pure-byte tokenizer has them: pad, bos, eos, unk.

        With 256 ids there is no room for special ones; documents then start with byte 0, which never occurs
        in text, and it counts as the byte that it is.
        """
        special = min(size - BYTES, len(_SPECIAL))
        bos = 1 if special > 1 else 0
        first = special if special else 1
        counted = np.zeros(size, dtype=np.int64)
        counted[special : special + BYTES] = 1
        table = ByteTable(counted, np.zeros(size, dtype=np.bool_), counted == 0)
        ids = {f"{name}_id": i for i, name in enumerate(_SPECIAL[:special])}
        config = {
            "tokenizer_type": "pure_byte",
            "vocab_size": size,
            "config": {**ids, "byte_offset": special},
        }
        normal = tuple(range(first, special + BYTES))
        return cls(
            size,
            normal,
            bos,
            table,
            f"byte{size}",
            f"fineweb_pure_byte_{size}.json",
            json.dumps(config).encode(),
            {token: bytes([token - special]) for token in normal},
        )

    def uniform(self) -> Source:
        """Every id that is no control id."""
        return Source("uniform", self.normal_ids, self.bos_id)

    def small(self, count: int) -> Source:
        """`count` ids spread over the vocabulary, so that all classes of token occur."""
        chosen = np.linspace(0, len(self.normal_ids) - 1, count).round().astype(int)
        return Source("small alphabet", tuple(self.normal_ids[i] for i in chosen), self.bos_id)

    def stream_bytes(self, stream: Stream) -> NDArray[np.int64]:
        """True bytes of each stream position; 0 for position 0, which is context."""
        ids = stream.ids.astype(np.int64)
        counted = np.zeros(ids.size, dtype=np.int64)
        counted[1:] = np.asarray(self.table.per_token(ids[:-1], ids[1:]))
        return counted

    def data_paths(self) -> dict[str, str]:
        """Values for the path-like variables of contest scripts, relative to the script's folder."""
        return {
            "DATA_PATH": f"./data/datasets/fineweb10B_{self.name}",
            "DATA_DIR": "./data/",
            "TOKENIZER_PATH": f"./data/tokenizers/{self.file_name}",
            "RUN_ID": "audit",
        }
