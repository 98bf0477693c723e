"""Bytes per token that evaluators are known to use: the right ones, and the wrong ones with their cause.

Bits per byte is `val_loss / ln 2 / bytes_per_token`, so two printed numbers give away the third. Every
number here was read off public training logs that print both with eight digits; a constant's `low` and
`high` are the extremes that those logs imply, and `sources` names pull requests where it can be repeated.
Several evaluators share a tokenizer: one trims the stream to whole sequences, one scores whole documents
and leaves out each first token, one counts a re-exported validation file. They differ by up to 3e-4.

A ratio cannot prove which tokens were scored, and a new tokenizer has a ratio of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

LN2 = math.log(2.0)

SAME_EVALUATOR = 2e-6
"""Relative. One evaluator repeats to 2e-7 over hundreds of eight-digit logs; ten times that is still it."""

TAIL_WINDOW = 3e-4
"""Relative. Evaluators of one tokenizer that drop a tail, first tokens or a batch rest differ by less."""

TRIMMED_TOKENS = 1 << 17
"""A loader drops the rest of a division by the sequence or batch length."""

TRIMMED_SHARE = 0.0035
"""The same as a share of the stream, which bounds it for short ones."""

DEMO_TOKENS, DEMO_BYTES = 41_369, 93_528
"""Validation targets of `pgolf data build` on CPython 3.11.7, and their bytes."""


class Standing(StrEnum):
    """What a constant says about the evaluator that produced it."""

    RIGHT = "right"
    """UTF-8 bytes of the validation text, over every scored token."""
    WRONG = "wrong"
    """A byte count that is known not to be the text's, with the cause named."""
    SUBSET = "subset"
    """Right bytes for a part of the validation set."""
    UNRULED = "unruled"
    """Bytes of a lossily normalised text: asked in #1604, never answered."""
    UNEXPLAINED = "unexplained"
    """Seen under a stock tokenizer's name, far from its constant; the cause was never shown."""


@dataclass(frozen=True)
class KnownRatio:
    """Bytes per token of one tokenizer under one evaluator."""

    tokenizer: str
    evaluator: str
    low: float
    high: float
    standing: Standing
    sources: tuple[str, ...]
    cause: str = ""

    @property
    def name(self) -> str:
        return f"{self.tokenizer} ({self.evaluator})"

    @property
    def bytes_per_token(self) -> float:
        return (self.low + self.high) / 2

    def meets(self, low: float, high: float, slack: float) -> bool:
        """Does the interval [low, high], which print rounding allows, touch this constant's?"""
        return low <= self.high * (1 + slack) and high >= self.low * (1 - slack)


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer that can be recognised by file name, dataset name or the length of its stream."""

    name: str
    files: tuple[str, ...]
    """File name endings of the model."""
    datasets: tuple[str, ...]
    full_val_tokens: tuple[int, ...]
    """Tokens of the whole validation split, one number per known export, before trimming."""
    stock: bool = True
    """Published by the organizers; everything else carries the burden of proof (R-065)."""

    def has_full_count(self, val_tokens: int) -> bool:
        """A trimmed count of one of the full exports."""
        return any(
            full - min(TRIMMED_TOKENS, int(TRIMMED_SHARE * full)) <= val_tokens <= full
            for full in self.full_val_tokens
        )


TOKENIZERS: tuple[Tokenizer, ...] = (
    Tokenizer(
        "sp1024", ("fineweb_1024_bpe.model",), ("fineweb10B_sp1024",), (62_021_846, 63_779_840 + 1_024)
    ),
    # Two builds share this name (2.9613 in #122, 2.8846 in #1338), so no constant is right for it.
    Tokenizer("sp2048", ("fineweb_2048_bpe.model",), ("fineweb10B_sp2048",), (), stock=False),
    Tokenizer(
        "sp4096",
        ("fineweb_4096_bpe.model",),
        ("fineweb10B_sp4096",),
        (45_510_000, 45_517_000),  # two exports: #1287 and #1331 count 45,508,608 and 45,514,752
    ),
    Tokenizer(
        "sp8192",
        ("fineweb_8192_bpe.model",),
        ("fineweb10B_sp8192",),
        (40_540_803, 40_549_000),  # the published export (#1394), and a re-tokenised one (#1517, #1572)
    ),
    Tokenizer(
        "caseops-sp8192",
        (
            "fineweb_8192_bpe_lossless_caps_caseops_v1_reserved.model",
            "fineweb_8192_bpe_lossless_caps_caseops_v1.model",
        ),
        ("fineweb10B_sp8192_lossless_caps_caseops_v1_reserved", "fineweb10B_sp8192_lossless_caps_caseops_v1"),
        (47_853_344,),
        stock=False,
    ),
    Tokenizer("scylla", ("candidate.vocab",), (), (62_364_000,), stock=False),
    Tokenizer("byte260", ("fineweb_pure_byte_260.json",), ("fineweb10B_byte260",), (151_130_891,)),
    # What `pgolf data build` makes of CPython 3.11.7's standard library: the demonstrations in submissions/.
    Tokenizer("stdlib-sp1024", (), ("stdlib_sp1024",), (DEMO_TOKENS,), stock=False),
)

RATIOS: tuple[KnownRatio, ...] = (
    KnownRatio(
        "sp1024", "root evaluator", 2.435914, 2.435989, Standing.RIGHT, ("#42", "#549", "#1019", "#1060")
    ),
    KnownRatio(
        "stdlib-sp1024",
        "pgolf",
        DEMO_BYTES / DEMO_TOKENS,
        DEMO_BYTES / DEMO_TOKENS,
        Standing.RIGHT,
        ("submissions/",),
    ),
    KnownRatio("sp1024", "older validation export", 2.442303, 2.442304, Standing.RIGHT, ("#2", "#1085")),
    KnownRatio("sp4096", "root evaluator", 3.319645, 3.319681, Standing.RIGHT, ("#1287", "#1334")),
    KnownRatio("sp4096", "second export", 3.319164, 3.319252, Standing.RIGHT, ("#53", "#1260", "#1331")),
    KnownRatio("sp8192", "root evaluator", 3.726583, 3.726645, Standing.RIGHT, ("#1394", "#1413", "#1493")),
    KnownRatio("sp8192", "whole documents", 3.726751, 3.726752, Standing.RIGHT, ("#1530", "#1610", "#1626")),
    KnownRatio(
        "sp8192", "re-tokenised export", 3.725867, 3.726141, Standing.RIGHT, ("#640", "#1517", "#1572")
    ),
    KnownRatio(
        "caseops-sp8192", "byte sidecar", 3.157147, 3.157208, Standing.RIGHT, ("#1729", "#1855", "#2014")
    ),
    KnownRatio(
        "caseops-sp8192",
        "byte sidecar, whole documents",
        3.157319,
        3.157427,
        Standing.RIGHT,
        ("#1736", "#1855", "#1953"),
    ),
    KnownRatio("byte260", "one byte per token", 1.0, 1.0, Standing.RIGHT, ("#705", "#1044", "#1443")),
    KnownRatio("byte260", "document marks scored too", 0.999669, 0.99967, Standing.RIGHT, ("#696", "#1104")),
    KnownRatio(
        "sp8192",
        "leading space counted twice",
        4.386401,
        4.386402,
        Standing.WRONG,
        ("#1687", "#1698", "#1711", "#1734", "#1719"),
        "the table adds the leading space's byte and the evaluator adds it again",
    ),
    KnownRatio(
        "sp1024",
        "leading space counted twice",
        2.867192,
        2.867193,
        Standing.WRONG,
        ("#1370",),
        "the table adds the leading space's byte and the evaluator adds it again",
    ),
    KnownRatio(
        "sp1024",
        "space mark counted as three bytes",
        3.250208,
        3.250220,
        Standing.WRONG,
        ("#144", "#926"),
        "U+2581 is counted by its own three UTF-8 bytes instead of the one space it stands for",
    ),
    KnownRatio(
        "sp1024",
        "space mark counted as three bytes, 261,120 tokens",
        3.254530,
        3.254531,
        Standing.WRONG,
        ("#643", "#1762"),
        "U+2581 is counted by its own three UTF-8 bytes instead of the one space it stands for",
    ),
    KnownRatio(
        "caseops-sp8192",
        "bytes of the transformed text",
        3.439689,
        3.439691,
        Standing.WRONG,
        ("#1771", "#2071", "#2138"),
        "the transformed text has 164,594,398 bytes, the original 151,074,309",
    ),
    KnownRatio(
        "caseops-sp8192",
        "bytes of the transformed text, whole documents",
        3.439852,
        3.439854,
        Standing.WRONG,
        ("#1771", "#2071"),
        "the transformed text has 164,594,398 bytes, the original 151,074,309",
    ),
    KnownRatio(
        "scylla",
        "byte fallback counted as three bytes",
        2.931346,
        2.931374,
        Standing.WRONG,
        ("#1184", "#1806", "#1813"),
        "each byte-fallback token is counted as the three bytes of U+FFFD",
    ),
    KnownRatio(
        "caseops-sp8192",
        "first 10,000 of 50,000 documents",
        3.099695,
        3.100774,
        Standing.SUBSET,
        ("#1854", "#1883", "#2039"),
        "9,662,464 of 47,851,520 tokens were scored",
    ),
    KnownRatio(
        "caseops-sp8192",
        "10,000 documents and bytes of the transformed text",
        3.390052,
        3.390389,
        Standing.SUBSET,
        ("#2032", "#2039"),
        "9,662,464 of 47,851,520 tokens were scored, over bytes of the transformed text",
    ),
    KnownRatio(
        "casefold-sp8192",
        "bytes of the folded text",
        4.157803,
        4.157977,
        Standing.UNRULED,
        ("#1670", "#1693"),
    ),
    KnownRatio(
        "casefold-sp8192",
        "bytes of the folded text, v2",
        4.163543,
        4.163544,
        Standing.UNRULED,
        ("#1578", "#1585"),
    ),
    KnownRatio(
        "casefold-sp10240",
        "bytes of the folded text",
        3.958901,
        3.958902,
        Standing.UNRULED,
        ("#1707", "#1873"),
    ),
    KnownRatio(
        "sp4096",
        "27% more bytes than the stock constant",
        4.231255,
        4.231277,
        Standing.UNEXPLAINED,
        ("#1846", "#1865", "#1878"),
        "the byte table reads as canonical; a different tokenizer or validation file is likely",
    ),
)

SUBSET_VAL_TOKENS: dict[int, str] = {
    9_662_464: "the first 10,000 of 50,000 CaseOps documents (#2039, ruled 2026-05-02)",
    36_562_944: "a non-canonical partition from a parallel build (#2109, ruled 2026-05-02)",
}
"""Validation counts that were ruled on as not the full split."""

OVERLAP_TRAIN_SHARDS = 1499
"""CaseOps rebuilt locally with 10,000 validation documents: 1,499 shards of 10M tokens then hold documents
10,000 to 49,999 of the validation split too (#2018 and #2130, excluded 2026-05-02)."""


@dataclass(frozen=True)
class Implied:
    """Bytes per token that a printed pair allows: the value, and the interval that rounding leaves."""

    value: float
    low: float
    high: float

    @property
    def relative_width(self) -> float:
        return (self.high - self.low) / self.value


def implied_bytes_per_token(
    loss_nats: float, val_bpb: float, *, loss_digits: int, bpb_digits: int
) -> Implied | None:
    """Both numbers were rounded to their last printed digit; None where they carry no information."""
    loss_error, bpb_error = 0.5 * 10.0**-loss_digits, 0.5 * 10.0**-bpb_digits
    if not (math.isfinite(loss_nats) and math.isfinite(val_bpb)):
        return None
    if loss_nats <= loss_error or val_bpb <= bpb_error:
        return None
    return Implied(
        value=loss_nats / LN2 / val_bpb,
        low=(loss_nats - loss_error) / LN2 / (val_bpb + bpb_error),
        high=(loss_nats + loss_error) / LN2 / (val_bpb - bpb_error),
    )


def printed_digits(number: float) -> int:
    """Digits after the point in the shortest text of a JSON number; dropped zeros make it coarser."""
    text = repr(float(number))
    if "e" in text or "." not in text:
        return 0
    return len(text.partition(".")[2].rstrip("0"))


def ratios_near(implied: Implied, slack: float) -> tuple[KnownRatio, ...]:
    """Known constants that the printed pair cannot be told from, nearest first."""
    near = [ratio for ratio in RATIOS if ratio.meets(implied.low, implied.high, slack)]
    return tuple(sorted(near, key=lambda ratio: abs(ratio.bytes_per_token - implied.value)))


def tokenizer_named(text: str) -> Tokenizer | None:
    """The one known tokenizer whose file or dataset `text` names; None when none or several are."""
    named = {
        tokenizer.name: tokenizer
        for tokenizer in TOKENIZERS
        for word in chain(tokenizer.files, tokenizer.datasets)
        if _has_word(text, word)
    }
    return next(iter(named.values())) if len(named) == 1 else None


def tokenizer_counted(val_tokens: int) -> Tokenizer | None:
    """The known tokenizer whose full validation stream has this many tokens, up to trimming."""
    return next((each for each in TOKENIZERS if each.has_full_count(val_tokens)), None)


def _has_word(text: str, word: str) -> bool:
    start = text.find(word)
    while start >= 0:
        after = text[start + len(word) : start + len(word) + 1]
        if not (after.isalnum() or after == "_"):
            return True
        start = text.find(word, start + 1)
    return False
