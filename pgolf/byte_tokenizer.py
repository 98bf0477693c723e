"""Bytes as tokens: 256 ids behind pad, bos, eos and unk. The contest's `byte260`.

Source: PureByteTokenizer in the contest's data/download_hf_docs_and_tokenize.py. It has the methods of
SentencePiece's processor that are used here, so that shards, byte counts and models need not know which of
the two made a stream.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAD_ID, BOS_ID, EOS_ID, UNK_ID = 0, 1, 2, 3
BYTE_OFFSET = 4
VOCAB_SIZE = BYTE_OFFSET + 256
FILE_NAME = "fineweb_pure_byte_260.json"
DESCRIPTION: dict[str, Any] = {
    "tokenizer_type": "pure_byte",
    "config": {
        "pad_id": PAD_ID,
        "bos_id": BOS_ID,
        "eos_id": EOS_ID,
        "unk_id": UNK_ID,
        "byte_offset": BYTE_OFFSET,
        "byte_count": 256,
    },
    "vocab_size": VOCAB_SIZE,
}
"""What the contest's exporter writes as the tokenizer's file."""


class ByteTokenizer:
    """Id 4 + b stands for byte b of the text's UTF-8."""

    def vocab_size(self) -> int:
        return VOCAB_SIZE

    def bos_id(self) -> int:
        return BOS_ID

    def encode(self, text: str | Sequence[str], *, num_threads: int = 1) -> Any:
        """The ids of a text, or a list of them for a list of texts. A lone surrogate becomes `?`."""
        if not isinstance(text, str):
            return [self.encode(each) for each in text]
        return [BYTE_OFFSET + value for value in text.encode("utf-8", errors="replace")]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; special ids are left out, and broken UTF-8 reads as U+FFFD."""
        return bytes(i - BYTE_OFFSET for i in ids if i >= BYTE_OFFSET).decode("utf-8", errors="replace")

    def id_to_piece(self, token_id: int) -> str:
        """As SentencePiece spells them: `<s>`, `<0x41>`."""
        if token_id < BYTE_OFFSET:
            return ("<pad>", "<s>", "</s>", "<unk>")[token_id]
        return f"<0x{token_id - BYTE_OFFSET:02X}>"

    def is_control(self, token_id: int) -> bool:
        return token_id in (PAD_ID, BOS_ID, EOS_ID)

    def is_unknown(self, token_id: int) -> bool:
        return token_id == UNK_ID

    def is_unused(self, token_id: int) -> bool:
        return False

    def is_byte(self, token_id: int) -> bool:
        return token_id >= BYTE_OFFSET


def write_description(path: Path) -> Path:
    """Write the file that stands for this tokenizer beside its shards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(DESCRIPTION, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def is_description(path: Path) -> bool:
    """Whether the file describes exactly this tokenizer; it may say more."""
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        return bool(
            described["tokenizer_type"] == DESCRIPTION["tokenizer_type"]
            and described["vocab_size"] == VOCAB_SIZE
            and DESCRIPTION["config"].items() <= described["config"].items()
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
