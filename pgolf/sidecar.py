"""The raw-byte sidecar: for each token of a transformed stream, the bytes of the original text it stands for.

Bits per byte are over the text as it was, not over what a transform made of it: the transformed bytes of
CaseOps are 9% more, and a score over them was rejected (#2138, #2071). The sidecar has the shards' format
with counts for ids, in `fineweb_val_bytes_000000.bin` beside `fineweb_val_000000.bin` (#1729, #1736).

A case operator is 0 bytes and a letter is as many in lower case as in capitals, so a token's bytes are those
of its characters; only an escaped character needs a look at the token before it. The counts of a document
add up to the UTF-8 length of the text that its ids decode to. With a tokenizer that does not normalize, as
`pgolf data build --case-transform` trains, that is the document itself.

Shapes: N tokens of the stream, V ids.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgolf.caseops import ESC, OPERATORS, SPACE_MARKER, SPACE_MARKER_ESCAPED
from pgolf.shards import ShardError, read_stream
from pgolf.tokenizer import Tokenizer

ESCAPED_BYTES = len(SPACE_MARKER.encode())
"""Of each character that is escaped: the operators and U+2581, three bytes all of them."""


class OriginalBytes:
    """Counts the original bytes behind ids of a tokenizer whose text went through `caseops.encode`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        size = tokenizer.vocab_size()
        pieces = [tokenizer.id_to_piece(i) for i in range(size)]
        self._bytes_V = np.zeros(size, dtype=np.uint16)
        self._operators_V = np.array([piece in OPERATORS for piece in pieces])
        self._starts_escaped_V = np.array([piece.startswith(SPACE_MARKER_ESCAPED) for piece in pieces])
        self._is_esc_V = np.array([piece == ESC for piece in pieces])
        for i, piece in enumerate(pieces):
            if tokenizer.is_byte(i):
                self._bytes_V[i] = 1
            elif not (self._operators_V[i] or tokenizer.is_control(i) or tokenizer.is_unknown(i)):
                self._bytes_V[i] = len(piece.replace(SPACE_MARKER, " ").encode())

    def per_token(self, ids: list[int]) -> NDArray[np.uint16]:
        """uint16 of shape (N,) for the N ids of one document, without its bos."""
        array = np.array(ids, dtype=np.int64)
        counts = self._bytes_V[array]
        if not self._is_esc_V[array].any():
            return counts
        after_esc = False
        for position, token in enumerate(ids):
            if after_esc and self._operators_V[token]:
                counts[position] = ESCAPED_BYTES
            elif after_esc and self._starts_escaped_V[token]:
                counts[position] += ESCAPED_BYTES - len(SPACE_MARKER_ESCAPED)
            after_esc = bool(self._is_esc_V[token]) and not after_esc
        return counts


class ByteSidecar:
    """The bytes of one validation stream, counted from its sidecar. Stands where a `ByteTable` would."""

    def __init__(self, tokens_N: NDArray[Any], bytes_N: NDArray[Any]) -> None:
        if len(tokens_N) != len(bytes_N):
            raise ShardError(
                f"the byte sidecar has {len(bytes_N):,} counts for {len(tokens_N):,} tokens; "
                "shards and sidecar are not of one build"
            )
        self._tokens_N = tokens_N
        self._bytes_N = bytes_N

    def count_stream(self, tokens: Any) -> int:
        """The original bytes of tokens 1..N of the stream or of its beginning.

        Raises:
            ValueError: these are not the tokens that the sidecar was made for.
        """
        ids = np.asarray(tokens.detach().cpu().numpy() if hasattr(tokens, "detach") else tokens)
        if not np.array_equal(ids, self._tokens_N[: len(ids)]):
            raise ValueError(
                f"the {len(ids):,} tokens do not begin the stream of {len(self._tokens_N):,} that the byte "
                "sidecar counts; score the validation stream from its start"
            )
        return int(self._bytes_N[1 : len(ids)].sum(dtype=np.int64))


def read_sidecar(pattern: str | Path, tokens_N: NDArray[Any]) -> ByteSidecar:
    """The sidecar files that match a glob pattern, for the stream `tokens_N`."""
    return ByteSidecar(tokens_N, read_stream(str(pattern)))
