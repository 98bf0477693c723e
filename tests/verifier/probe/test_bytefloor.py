"""The entropy of bytes: exact where spellings are unique, lower where tokens spell the same bytes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from verifier.probe.bytefloor import Spelling, bits_of_bytes
from verifier.probe.stream import Source, document_starts

TOKENS = 512
BOS = 1


def bits(spelling: Spelling, tokens: int = TOKENS) -> tuple[float, float]:
    """Entropy of the bytes and of the tokens, for a stream over all ids of `spelling`."""
    drawn = Source("test", tuple(spelling), BOS).draw(tokens, (3,))
    return bits_of_bytes(drawn, spelling), float(drawn.code_length_nats()[1:].sum()) / math.log(2)


def opened(tokens: int = TOKENS) -> float:
    """At most what it is worth that documents may open anywhere."""
    starts = document_starts(tokens + 1)
    return len(starts) * math.log2(tokens)


def test_tokens_of_one_byte_each_are_their_bytes() -> None:
    of_bytes, of_tokens = bits({10 + i: bytes([65 + i]) for i in range(16)})
    assert of_tokens - opened() <= of_bytes <= of_tokens


def test_two_ids_for_one_byte_are_a_bit_less() -> None:
    of_bytes, of_tokens = bits({10 + i: bytes([65 + i // 2]) for i in range(16)})
    drawn = of_tokens / math.log2(16)
    assert of_tokens - drawn - opened() <= of_bytes <= of_tokens - drawn


def test_another_way_to_spell_lowers_the_floor() -> None:
    """`ab` is one token or two: every `a` before a `b` may have been either."""
    unique, _ = bits({10: b"a", 11: b"b", 12: b"cd"})
    several, of_tokens = bits({10: b"a", 11: b"b", 12: b"ab"})
    assert several < of_tokens - 64 < unique


def test_no_stream_of_the_source_is_more_probable_than_said() -> None:
    """By hand: two tokens over {a, aa}; `aa` is spelled by a+a, aa alone, and three bytes by a+aa or aa+a."""
    spelling = {10: b"a", 11: b"aa"}
    drawn = Source("test", (10, 11), BOS).draw(2, (0,))
    drawn.ids[:] = np.asarray([BOS, 10, 11], dtype=np.uint16)
    # Three bytes: a+a+a (1/8), a+aa and aa+a (1/4 each).
    assert bits_of_bytes(drawn, spelling) == pytest.approx(-math.log2(1 / 8 + 1 / 4 + 1 / 4))
