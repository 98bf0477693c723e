"""Byte accounting: how many bytes of text a token stands for, exactly as the contest counts.

bytes(token | previous) = base_bytes[token] + (has_leading_space[token] and not is_boundary[previous]).
A piece's first marker U+2581 is not in base_bytes: the space is charged once, and only where a previous
token exists for it to follow. A marker further inside is the space that it decodes to (the contest's own
table takes it for three bytes, but no stock tokenizer has such a piece). Byte-fallback tokens are 1;
control, unknown and unused ids are 0 and a boundary, as are ids beyond the tokenizer. Rules R-060 to R-064:
the stock tokenizers and this table agree with the UTF-8 length of the decoded text.

Cannot see: text that normalization changed before it became tokens; bytes are those of the decoded ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pgolf.tokenizer import Tokenizer, has_case_operators

if TYPE_CHECKING:
    from torch import Tensor

SPACE_MARKER = "\u2581"


class ByteCounter(Protocol):
    """Whatever can say how many bytes of text a stream stands for: `ByteTable`, or `ByteSidecar`."""

    def count_stream(self, tokens: Any) -> int:
        """The bytes of tokens 1..N of a stream; its first token is only context, as in the contest."""


@dataclass(frozen=True)
class ByteTable:
    """One row per id. Build it with `from_tokenizer`; `V` is the larger of model and tokenizer vocabulary."""

    base_bytes_V: NDArray[np.int64]
    has_leading_space_V: NDArray[np.bool_]
    is_boundary_V: NDArray[np.bool_]

    @classmethod
    def from_tokenizer(cls, sp: Tokenizer, vocab_size: int | None = None) -> ByteTable:
        """Read the pieces of `sp`; `vocab_size` above the tokenizer's adds ids that count 0 bytes.

        Raises:
            ValueError: `sp` reserves case operators; a table would count the transformed text (#2138).
        """
        pieces = int(sp.vocab_size())
        if has_case_operators(sp):
            raise ValueError(
                "this tokenizer reserves case operators, so its ids stand for transformed text; "
                "count bytes from the sidecar (`pgolf.dataset.byte_counter`)"
            )
        size = max(pieces, vocab_size or 0)
        base = np.zeros(size, dtype=np.int64)
        space = np.zeros(size, dtype=np.bool_)
        boundary = np.ones(size, dtype=np.bool_)
        for token_id in range(pieces):
            if sp.is_control(token_id) or sp.is_unknown(token_id) or sp.is_unused(token_id):
                continue
            boundary[token_id] = False
            if sp.is_byte(token_id):
                base[token_id] = 1
                continue
            piece: str = sp.id_to_piece(token_id)
            space[token_id] = piece.startswith(SPACE_MARKER)
            base[token_id] = len(piece.removeprefix(SPACE_MARKER).replace(SPACE_MARKER, " ").encode())
        return cls(base, space, boundary)

    @property
    def vocab_size(self) -> int:
        return len(self.base_bytes_V)

    def per_token(
        self, prev_ids: NDArray[Any] | Tensor | list[int], target_ids: NDArray[Any] | Tensor | list[int]
    ) -> NDArray[np.int64]:
        """Bytes of each target, in the shape given. `prev_ids[i]` is the token right before `target_ids[i]`.

        Raises:
            ValueError: the shapes differ, or an id is outside the table (never clamped: R-064).
        """
        prev, target = self._ids(prev_ids, "prev_ids"), self._ids(target_ids, "target_ids")
        if prev.shape != target.shape:
            raise ValueError(f"prev_ids has shape {prev.shape}, target_ids {target.shape}; they must agree")
        return self.base_bytes_V[target] + (self.has_leading_space_V[target] & ~self.is_boundary_V[prev])

    def count(
        self, prev_ids: NDArray[Any] | Tensor | list[int], target_ids: NDArray[Any] | Tensor | list[int]
    ) -> int:
        """The bytes of all targets together."""
        return int(self.per_token(prev_ids, target_ids).sum())

    def count_stream(self, tokens: NDArray[Any] | Tensor | list[int]) -> int:
        """The bytes of tokens 1..N of a stream; its first token is only context, as in the contest."""
        ids = self._ids(tokens, "tokens")
        return self.count(ids[:-1], ids[1:])

    def _ids(self, ids: NDArray[Any] | Tensor | list[int], what: str) -> NDArray[np.int64]:
        # Torch is recognised by its method, so that counting bytes does not need torch.
        array = np.asarray(ids.detach().cpu().numpy() if hasattr(ids, "detach") else ids)
        if array.size and not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"{what} has dtype {array.dtype}; expected integers")
        array = array.astype(np.int64)
        if array.size and not (int(array.min()) >= 0 and int(array.max()) < self.vocab_size):
            bad = array[(array < 0) | (array >= self.vocab_size)].ravel()[0]
            raise ValueError(f"{what} holds id {bad}; the table has ids 0 to {self.vocab_size - 1}")
        return array
