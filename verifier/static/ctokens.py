"""A light reading of C-like text: tokens with lines, split into brace-balanced functions.

Enough to see which index a token was read at and what was written after a condition on it; no
preprocessor, no types. Comments and strings are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"(?P<skip>//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|\s+)|(?P<word>\w+)|(?P<other>.)",
    re.DOTALL,
)
MAX_CHARACTERS = 2 << 20


@dataclass(frozen=True)
class Token:
    text: str
    line: int


@dataclass(frozen=True)
class CFunction:
    """The tokens of one top-level brace block."""

    tokens: tuple[Token, ...]

    def gates(self, classes: re.Pattern[str]) -> Iterator[int]:
        """Lines where the class of `tokens[i]` is looked up ahead of a write at `[i]` behind an `if` on it."""
        realised: dict[str, str] = {}
        classed: dict[str, tuple[str, int]] = {}
        words = self.tokens
        for position, token in enumerate(words):
            text = [each.text for each in words[position : position + 8]]
            # name = tokens[i]
            if text[1:2] == ["="] and text[3:4] == ["["] and text[5:6] == ["]"] and "tok" in text[2]:
                realised[text[0]] = text[4]
            # name = some_class_lut[tok]
            looked_up = (
                text[1:2] == ["="] and text[3:4] == ["["] and text[5:6] == ["]"] and text[4] in realised
            )
            if looked_up and (classes.search(text[0]) or classes.search(text[2])):
                classed[text[0]] = (realised[text[4]], token.line)
            if token.text == "if" and classed:
                condition, body = self._condition(position)
                for name in sorted(condition & classed.keys()):
                    index, line = classed[name]
                    if self._writes_at(body, index):
                        yield line
                        del classed[name]

    def _condition(self, position: int) -> tuple[set[str], tuple[Token, ...]]:
        """The words of an if's condition, and the tokens of the block behind it."""
        end = self._balanced(position + 1, "(", ")")
        block = end + 1
        if block < len(self.tokens) and self.tokens[block].text == "{":
            body = self.tokens[block : self._balanced(block, "{", "}")]
        else:
            stop = block
            while stop < len(self.tokens) and self.tokens[stop].text != ";":
                stop += 1
            body = self.tokens[block:stop]
        return {each.text for each in self.tokens[position:end]}, body

    def _balanced(self, start: int, opening: str, closing: str) -> int:
        depth = 0
        for position in range(start, len(self.tokens)):
            depth += (self.tokens[position].text == opening) - (self.tokens[position].text == closing)
            if depth == 0:
                return position
        return len(self.tokens)

    @staticmethod
    def _writes_at(body: tuple[Token, ...], index: str) -> bool:
        texts = [each.text for each in body]
        return any(
            texts[at + 1 : at + 5] == ["[", index, "]", "="] and texts[at + 5 : at + 6] != ["="]
            for at in range(len(texts))
        )


def functions_of(text: str) -> Iterator[CFunction]:
    """The top-level brace blocks of C-like text."""
    line, depth, held = 1, 0, []
    for match in _TOKEN.finditer(text[:MAX_CHARACTERS]):
        piece = match.group()
        if match.lastgroup != "skip":
            if piece == "{":
                depth += 1
            if depth:
                held.append(Token(piece, line))
            if piece == "}":
                depth = max(depth - 1, 0)
                if not depth and held:
                    yield CFunction(tuple(held))
                    held = []
        line += piece.count("\n")
