"""A lossless case transform: lower-cased words, and operators that say how they were written.

A word is a longest run of ASCII letters. `The` becomes TITLE `the`, `NASA` becomes ALLCAPS `nasa`, and
other mixtures mark each later capital with CAPNEXT: `iPhone` is `i` CAPNEXT `phone`. Operators are four
private-use characters, which a tokenizer reserves as ids of their own; where a text holds one itself, ESC
goes before it. Letters outside ASCII stay as they are. `decode(encode(text)) == text` for every text.

SentencePiece writes a space as U+2581, and cannot tell it from that character in the text. Here it becomes
ESC and `_`, so that a text survives the tokenizer as well.

Source: lossless_caps_caseops_v1 of #1729, merged again in #1736 to #2135; the escape of U+2581 is ours.
Casefolding, which loses the case, was asked in #1604 and never ruled.
"""

from __future__ import annotations

import re

TITLE, ALLCAPS, CAPNEXT, ESC = "\ue001", "\ue002", "\ue003", "\ue004"
OPERATORS = (TITLE, ALLCAPS, CAPNEXT, ESC)
SPACE_MARKER = "\u2581"
SPACE_MARKER_ESCAPED = "_"

_TO_ENCODE = re.compile(f"[A-Za-z]*[A-Z][A-Za-z]*|[{''.join(OPERATORS)}{SPACE_MARKER}]")
_TO_DECODE = re.compile(f"{ESC}(.?)|{ALLCAPS}([A-Za-z]*)|[{TITLE}{CAPNEXT}]([a-z]?)", re.DOTALL)


def encode(text: str) -> str:
    """The text in lower case, with operators."""
    return _TO_ENCODE.sub(_encoded, text)


def decode(text: str) -> str:
    """The text that `encode` was given. Defined for every string, as a model may write anything: an
    operator that has nothing to act on is dropped."""
    return _TO_DECODE.sub(_decoded, text)


def _encoded(match: re.Match[str]) -> str:
    word = match[0]
    if word == SPACE_MARKER:
        return ESC + SPACE_MARKER_ESCAPED
    if word in OPERATORS:
        return ESC + word
    if len(word) > 1 and word.isupper():
        return ALLCAPS + word.lower()
    first = TITLE + word[0].lower() if word[0].isupper() else word[0]
    return first + re.sub("[A-Z]", lambda capital: CAPNEXT + capital[0].lower(), word[1:])


def _decoded(match: re.Match[str]) -> str:
    escaped, word, letter = match.groups()
    if escaped is not None:
        return SPACE_MARKER if escaped == SPACE_MARKER_ESCAPED else escaped
    return (word or letter or "").upper()
