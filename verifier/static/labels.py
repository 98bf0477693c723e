"""What a name alone says of a value, in words that the contest's scripts share.

`val_tokens`, `y_batch`, `nll` and `load_validation_tokens` mean the same wherever they stand; `flow` follows from
there. Cannot see: a value under a name of its own.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple


class Label:
    """Bits of a set of labels; plain integers, because sets are joined a hundred thousand times a script."""

    NONE: Final = 0
    VAL: Final = 1
    """Comes from validation tokens."""
    TRAIN: Final = 2
    """Comes from training tokens."""
    TARGET: Final = 4
    """Token ids that are about to be scored."""
    MIXED: Final = 8
    """A number that a target and something else went into."""
    LOSS: Final = 16
    """Losses of tokens, or something made from them."""
    AT_TARGET: Final = 32
    """The model's probability of the realised token."""
    LOOKUP: Final = 64
    """A table's entry at a key that the realised token went into."""
    ALL_TOKENS: Final = 128
    """Runs over the whole vocabulary."""
    FRESH: Final = 256
    """A fresh tensor, of zeros or a copy, that learns."""


NONE: Final = Label.NONE
_SEEDS: tuple[tuple[re.Pattern[str], int], ...] = (
    (
        re.compile(
            r"^(?:\w*_)?val(?:id|idation)?_?(?:\w+_)?(?:tok|tokens|np|data|stream|files|pattern|glob|shards?|seqs?|ids|"
            r"tokens_\w+|loader|docs?|batch(?:es)?|inputs?|x|y)$"
        ),
        Label.VAL,
    ),
    (
        re.compile(
            r"^(?:\w*_)?train(?:ing)?_(?:files|pattern|glob|loader|shards?|tokens|data|batch(?:es)?|stream)$"
        ),
        Label.TRAIN,
    ),
    (
        re.compile(
            r"^(?:y|yb|y_b|y_?batch|y_?bat|tgt|tgts|target|targets|\w+_tgt|\w+_targets?|(?:tgt|targets?)_"
            r"(?:np|ids?|idx|tok|toks|tokens?|flat|t|v|u64|i64)|y_(?:np|flat|true|ids|cpu)|true_(?:tok|token|next|ids?))$"
        ),
        Label.TARGET,
    ),
    (
        re.compile(
            r"^(?:\w*_)?(?:nll|nlls|ce|xent|loss|losses|ptl|token_losses)(?:_\w+)?$",
        ),
        Label.LOSS,
    ),
)
_NOT_TARGET = re.compile(
    r"device|param|module|layer|lr|bytes|size|bpb|steps?|ratio|rate|rank|dtype|shape|modules"
)
_LOADERS = re.compile(r"^load_(?:val|validation)\w*$")
_HASH = re.compile(r"hash|hkey|(?:^|_)keys?(?:_|$)|bucket", re.IGNORECASE)
_LOSS_CALLS = re.compile(r"cross_entropy|nll_loss|(?:^|_)(?:nll|ce|loss|losses)(?:_|$)")
NAMES_KEPT = 1 << 14
"""Between scripts too, which share most of their names."""


class Called(NamedTuple):
    """What the name of a function says of its result; asked of the same few hundred names all the time."""

    loads: bool
    """Validation tokens."""
    hashes: bool
    loses: bool


@lru_cache(maxsize=NAMES_KEPT)
def called(name: str) -> Called:
    return Called(bool(_LOADERS.match(name)), bool(_HASH.search(name)), bool(_LOSS_CALLS.search(name)))


@lru_cache(maxsize=NAMES_KEPT)
def seed(name: str) -> int:
    """What a name alone says."""
    found = NONE
    for pattern, label in _SEEDS:
        if pattern.match(name) and not (label in (Label.TARGET, Label.LOSS) and _NOT_TARGET.search(name)):
            found |= label
    return found
