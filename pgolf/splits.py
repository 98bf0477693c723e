"""Which documents are for training and which for validation: every document in one of the two only.

The contest's rule is that the first 50,000 documents are validation and training starts at the next (R-021
in the rule book: #2018 and #2130 were excluded for documents in both). A text of one's own is rather split
evenly. In either case a document that the other split already holds is dropped, and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pgolf.corpus import Split

CONTEST_VAL_DOCS = 50_000


@dataclass(frozen=True)
class SplitRule:
    """Validation is the first `val_docs` documents, or, where that is None, an even share of all."""

    val_share: float = 0.05
    """Above 0, at most 0.5: every (1 / val_share)-th document."""
    val_docs: int | None = None
    """The contest's is 50,000."""

    def __post_init__(self) -> None:
        if not 0 < self.val_share <= 0.5:
            raise ValueError(f"val_share must be above 0 and at most 0.5, got {self.val_share}")
        if self.val_docs is not None and self.val_docs < 1:
            raise ValueError(f"val_docs must be at least 1, got {self.val_docs}")

    def split_of(self, index: int) -> Split:
        """The split of document `index`, counted from 0."""
        if self.val_docs is not None:
            return "val" if index < self.val_docs else "train"
        every = round(1 / self.val_share)
        return "val" if index % every == every - 1 else "train"


class Splitter:
    """Deals documents out by a rule, and counts in `dropped` those that the other split already held."""

    def __init__(self, rule: SplitRule) -> None:
        self.rule = rule
        self.dropped = 0

    def split(self, documents: Iterable[str]) -> Iterator[tuple[Split, str]]:
        """Each document with its split, in order. Holds a digest of 16 bytes for each different document."""
        self.dropped = 0
        seen: dict[bytes, Split] = {}
        for index, document in enumerate(documents):
            split = self.rule.split_of(index)
            digest = hashlib.blake2b(document.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            if seen.setdefault(digest, split) != split:
                self.dropped += 1
            else:
                yield split, document
