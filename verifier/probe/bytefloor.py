"""The floor of a claim in bits per byte alone: how probable the bytes of the stream are, whatever tokens spell them.

Many token streams spell the same bytes, so a predictor of bytes may spend fewer bits than the tokens hold.
Its floor is -log2 of the sum of Q over all token streams that spell these bytes. The sum here runs over
streams of any length with the same number of documents starting anywhere, which are more than the source
can draw: so the floor is a little low, and the bound stays true.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np

from verifier.probe.stream import Stream, document_starts

Spelling = Mapping[int, bytes]
"""Bytes of each id behind another token; behind a document's start a leading space is left out."""
_RESCALE = 32


def bits_of_bytes(stream: Stream, spelling: Spelling) -> float:
    """At most -log2 of the probability that the source spells what `stream` spells."""
    starts = frozenset(document_starts(stream.ids.size).tolist())
    text = b"".join(
        _behind_start(spelling[int(token)]) if at - 1 in starts else spelling[int(token)]
        for at, token in enumerate(stream.ids)
        if at not in starts
    )
    inside = Counter(spelling[token] for token in stream.source.alphabet)
    opening: Counter[bytes] = Counter()
    for piece, count in inside.items():
        opening[_behind_start(piece)] += count
    openings = sum(1 for start in starts if start + 1 < stream.ids.size)
    lengths = sorted({len(piece) for piece in (*inside, *opening)})
    size = len(stream.source.alphabet)
    # Row j: sums over all ways to spell the first j bytes, by the number of documents opened; times 2^-exponent.
    sums = np.zeros((len(text) + 1, openings + 1))
    sums[0, 0] = 1.0
    exponent = 0.0
    for end in range(1, len(text) + 1):
        row = sums[end]
        for length in lengths:
            if length > end or length == 0:
                continue
            before, piece = sums[end - length], text[end - length : end]
            if count := inside.get(piece, 0):
                row[1:] += before[1:] * (count / size)  # the first token opens a document
            if count := opening.get(piece, 0):
                row[1:] += before[:-1] * (count / size)
        if end % _RESCALE == 0 and (largest := float(row.max())) > 0.0:
            sums[max(0, end - lengths[-1]) : end + 1] /= largest
            exponent += math.log2(largest)
    return -(math.log2(float(sums[-1, openings])) + exponent)


def _behind_start(text: bytes) -> bytes:
    return text.removeprefix(b" ")
