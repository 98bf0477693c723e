"""Python source in pieces, by the 3.12 rules: strings, f-strings with their fields, and what is between."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>(?P<prefix>[rRbBfFuU]{0,2})(?P<quote>'{3}|"{3}|'|"))
      | (?P<word>\w+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_MAX_NESTING = 12


class NotPossible(Exception):
    """No 3.11 spelling was found, or the text is not Python."""


@dataclass(frozen=True)
class Plain:
    """A string literal that is not an f-string."""

    raw: str
    prefix: str
    body: str


@dataclass(frozen=True)
class Field:
    """A replacement field. `text` is its expression as written, `expression` the same in pieces."""

    text: str
    expression: tuple[Chunk, ...]
    debug: str | None
    conversion: str
    spec: tuple[str | Field, ...] | None


@dataclass(frozen=True)
class Formatted:
    """An f-string: literal text and fields in turn."""

    raw: str
    prefix: str
    quote: str
    parts: tuple[str | Field, ...]


@dataclass(frozen=True)
class Code:
    """Anything between strings. Comments are pieces of their own."""

    raw: str
    comment: bool = False


Chunk = Plain | Formatted | Code


class Scanner:
    """Splits source into code and strings by the 3.12 rules."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.nesting = 0

    def code(self, at: int, *, in_field: bool) -> tuple[tuple[Chunk, ...], int]:
        """Chunks up to the end of the source, or of the field's expression."""
        chunks: list[Chunk] = []
        start, depth = at, 0

        def flush(end: int) -> None:
            if end > start:
                chunks.append(Code(self.source[start:end]))

        while at < len(self.source):
            match = _TOKEN.match(self.source, at)
            if match is None:
                raise NotPossible
            if match["string"] is not None:
                flush(at)
                chunk, at = self.string(at, match["prefix"].lower(), match["quote"], match.end())
                chunks.append(chunk)
                start = at
                continue
            if match["comment"] is not None:
                flush(at)
                chunks.append(Code(match["comment"], comment=True))
                at = start = match.end()
                continue
            if in_field and match["other"] is not None:
                character = match["other"]
                if character in "([{":
                    depth += 1
                elif character in ")]}" and depth:
                    depth -= 1
                elif not depth and self._ends_expression(at):
                    break
            at = match.end()
        flush(at)
        return tuple(chunks), at

    def _ends_expression(self, at: int) -> bool:
        here, after, before = self.source[at], self.source[at + 1 : at + 2], self.source[at - 1]
        if here in "}:":
            return True
        if here == "!":
            return after != "="
        return here == "=" and after != "=" and before not in "=!<>:"

    def string(self, at: int, prefix: str, quote: str, body: int) -> tuple[Plain | Formatted, int]:
        if "f" in prefix:
            self.nesting += 1
            if self.nesting > _MAX_NESTING:
                raise NotPossible
            parts, end = self.parts(body, "r" in prefix, quote)
            self.nesting -= 1
            return Formatted(self.source[at:end], prefix, quote, parts), end
        end = body
        while not self.source.startswith(quote, end):
            if end >= len(self.source) or (self.source[end] == "\n" and len(quote) == 1):
                raise NotPossible
            end += 2 if self.source[end] == "\\" else 1
        return Plain(self.source[at : end + len(quote)], prefix, self.source[body:end]), end + len(quote)

    def parts(self, at: int, raw: bool, quote: str) -> tuple[tuple[str | Field, ...], int]:
        """The inside of an f-string, from behind its opening quote to behind its closing one."""
        parts: list[str | Field] = []
        start, source = at, self.source
        while not source.startswith(quote, at):
            if at >= len(source) or (source[at] == "\n" and len(quote) == 1):
                raise NotPossible
            if source[at] == "\\" and source[at + 1 : at + 2] not in ("{", "}"):
                if not raw and source.startswith("\\N{", at):
                    at = source.index("}", at)
                    at += 1
                else:
                    at += 2
            elif source.startswith(("{{", "}}"), at):
                at += 2
            elif source[at] == "{":
                parts.append(source[start:at])
                field, at = self.field(at + 1, raw)
                parts.append(field)
                start = at
            else:
                at += 1
        parts.append(source[start:at])
        return tuple(parts), at + len(quote)

    def field(self, at: int, raw: bool) -> tuple[Field, int]:
        """A replacement field, from behind its `{` to behind its `}`."""
        expression, end = self.code(at, in_field=True)
        text, debug, conversion, spec = self.source[at:end], None, "", None
        if self.source.startswith("=", end):
            stop = end + 1
            while self.source[stop : stop + 1].isspace():
                stop += 1
            debug, end = self.source[at:stop], stop
        if self.source.startswith("!", end):
            found = re.compile(r"!\s*[rsa]\s*").match(self.source, end)
            if found is None:
                raise NotPossible
            conversion, end = found.group().replace(" ", ""), found.end()
        if self.source.startswith(":", end):
            spec, end = self.spec(end + 1, raw)
        if not self.source.startswith("}", end) or not text.strip():
            raise NotPossible
        return Field(text, expression, debug, conversion, spec), end + 1

    def spec(self, at: int, raw: bool) -> tuple[tuple[str | Field, ...], int]:
        parts: list[str | Field] = []
        start = at
        while not self.source.startswith("}", at):
            if at >= len(self.source):
                raise NotPossible
            if self.source[at] == "{":
                parts.append(self.source[start:at])
                field, at = self.field(at + 1, raw)
                parts.append(field)
                start = at
            else:
                at += 1
        parts.append(self.source[start:at])
        return tuple(parts), at
