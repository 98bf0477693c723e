"""Python 3.12 f-strings (PEP 701) made readable for Python 3.11.

About one submission in thirty nests equal quotes, backslashes, line breaks or comments inside the
replacement fields of an f-string, which 3.11 refuses. `downgrade` rewrites just those f-strings:
inner strings get other quotes, characters that no 3.11 field may hold become `{chr(n)}`, comments
go, and line breaks move behind the string, so that every statement keeps its line and its value.
Stdlib only: the sandboxed child imports this module alone.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>(?P<prefix>[rRbBfFuU]{0,2})(?P<quote>'{3}|"{3}|'|"))
      | (?P<word>\w+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTES = ("'", '"', "'''", '"""')
_MAX_NESTING = 12
_REBINDS_CHR = re.compile(r"\bchr\s*(?:=(?!=)|:=)|\b(?:def|class|as|import|global|nonlocal|for)\s+chr\b")


class Parsed(NamedTuple):
    """A syntax tree and the lowest grammar that its source needs, `3.11` or `3.12`."""

    tree: ast.Module
    grammar: str


class _NotPossible(Exception):
    """No 3.11 spelling was found, or the text is not Python."""


@dataclass(frozen=True)
class _Plain:
    """A string literal that is not an f-string."""

    raw: str
    prefix: str
    body: str


@dataclass(frozen=True)
class _Field:
    """A replacement field. `text` is its expression as written, `expression` the same in pieces."""

    text: str
    expression: tuple[_Chunk, ...]
    debug: str | None
    conversion: str
    spec: tuple[str | _Field, ...] | None


@dataclass(frozen=True)
class _Formatted:
    """An f-string: literal text and fields in turn."""

    raw: str
    prefix: str
    quote: str
    parts: tuple[str | _Field, ...]


@dataclass(frozen=True)
class _Code:
    """Anything between strings. Comments are pieces of their own."""

    raw: str
    comment: bool = False


_Chunk = _Plain | _Formatted | _Code


def parse(source: str) -> Parsed:
    """The syntax tree of 3.11 or 3.12 source, without the warnings that foreign code would print.

    Raises what `ast.parse` raises: SyntaxError, ValueError, RecursionError or MemoryError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source)
        except SyntaxError:
            rewritten = rewrite(source)
            if rewritten == source:
                raise
            return Parsed(ast.parse(rewritten), "3.12")
    plain = sys.version_info < (3, 12) or rewrite(source) == source
    return Parsed(tree, "3.11" if plain else "3.12")


def downgrade(source: str) -> str:
    """Source that Python 3.11 parses, with the same values and the same line for every statement.

    Returned unchanged when the running interpreter parses it as it is, or when nothing can be done.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for spelling in (str, rewrite):
            candidate = spelling(source)
            try:
                ast.parse(candidate)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            return candidate
    return source


def rewrite(source: str) -> str:
    """Rewrite every f-string that needs PEP 701, whatever the running interpreter parses."""
    try:
        chunks, end = _Scanner(source).code(0, in_field=False)
        if end != len(source):
            return source
        out: list[str] = []
        for chunk in chunks:
            if not isinstance(chunk, _Formatted) or _is_old(chunk):
                out.append(chunk.raw)
                continue
            if _REBINDS_CHR.search(source):
                return source
            text = _string(chunk)
            out.append(text + "\\\n" * (chunk.raw.count("\n") - text.count("\n")))
        if out and out[-1].endswith("\\\n"):
            out.append("\n")  # a continuation may not be the end of a file
        return "".join(out)
    except (_NotPossible, RecursionError, SyntaxError, ValueError):
        return source


class _Scanner:
    """Splits source into code and strings by the 3.12 rules."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.nesting = 0

    def code(self, at: int, *, in_field: bool) -> tuple[tuple[_Chunk, ...], int]:
        """Chunks up to the end of the source, or of the field's expression."""
        chunks: list[_Chunk] = []
        start, depth = at, 0

        def flush(end: int) -> None:
            if end > start:
                chunks.append(_Code(self.source[start:end]))

        while at < len(self.source):
            match = _TOKEN.match(self.source, at)
            if match is None:
                raise _NotPossible
            if match["string"] is not None:
                flush(at)
                chunk, at = self.string(at, match["prefix"].lower(), match["quote"], match.end())
                chunks.append(chunk)
                start = at
                continue
            if match["comment"] is not None:
                flush(at)
                chunks.append(_Code(match["comment"], comment=True))
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

    def string(self, at: int, prefix: str, quote: str, body: int) -> tuple[_Plain | _Formatted, int]:
        if "f" in prefix:
            self.nesting += 1
            if self.nesting > _MAX_NESTING:
                raise _NotPossible
            parts, end = self.parts(body, "r" in prefix, quote)
            self.nesting -= 1
            return _Formatted(self.source[at:end], prefix, quote, parts), end
        end = body
        while not self.source.startswith(quote, end):
            if end >= len(self.source) or (self.source[end] == "\n" and len(quote) == 1):
                raise _NotPossible
            end += 2 if self.source[end] == "\\" else 1
        return _Plain(self.source[at : end + len(quote)], prefix, self.source[body:end]), end + len(quote)

    def parts(self, at: int, raw: bool, quote: str) -> tuple[tuple[str | _Field, ...], int]:
        """The inside of an f-string, from behind its opening quote to behind its closing one."""
        parts: list[str | _Field] = []
        start, source = at, self.source
        while not source.startswith(quote, at):
            if at >= len(source) or (source[at] == "\n" and len(quote) == 1):
                raise _NotPossible
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

    def field(self, at: int, raw: bool) -> tuple[_Field, int]:
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
                raise _NotPossible
            conversion, end = found.group().replace(" ", ""), found.end()
        if self.source.startswith(":", end):
            spec, end = self.spec(end + 1, raw)
        if not self.source.startswith("}", end) or not text.strip():
            raise _NotPossible
        return _Field(text, expression, debug, conversion, spec), end + 1

    def spec(self, at: int, raw: bool) -> tuple[tuple[str | _Field, ...], int]:
        parts: list[str | _Field] = []
        start = at
        while not self.source.startswith("}", at):
            if at >= len(self.source):
                raise _NotPossible
            if self.source[at] == "{":
                parts.append(self.source[start:at])
                field, at = self.field(at + 1, raw)
                parts.append(field)
                start = at
            else:
                at += 1
        parts.append(self.source[start:at])
        return tuple(parts), at


def _fields(parts: tuple[str | _Field, ...]) -> Iterator[_Field]:
    for part in parts:
        if isinstance(part, _Field):
            yield part
            yield from _fields(part.spec or ())


def _is_old(string: _Formatted) -> bool:
    """True when 3.11 already reads this f-string as 3.12 does."""
    for field in _fields(string.parts):
        if "\\" in field.text or string.quote in field.text:
            return False
        if "\n" in field.text and len(string.quote) == 1:
            return False
        for chunk in field.expression:
            if isinstance(chunk, _Formatted) and not _is_old(chunk):
                return False
            if isinstance(chunk, _Code) and chunk.comment:
                return False
    return True


def _string(string: _Formatted, outer: tuple[str, ...] = ()) -> str:
    """Spell an f-string for 3.11 inside the given enclosing quotes."""
    others = [quote for quote in _QUOTES if quote != string.quote]
    for quote in (string.quote, *others):
        inside = (*outer, quote)
        try:
            body = "".join(_part(part, string.prefix, inside, nested=bool(outer)) for part in string.parts)
        except _NotPossible:
            continue
        prefix = string.prefix if not outer else "f"
        text = f"{prefix}{quote}{body}{quote}"
        if quote in body.replace("\\" + quote[0], "") or body.endswith(quote[0]) and quote != string.quote:
            continue
        if len(quote) == 1 and "\n" in body.replace("\\\n", ""):
            continue
        if not any(enclosing in text for enclosing in outer):
            return text
    raise _NotPossible


def _part(part: str | _Field, prefix: str, inside: tuple[str, ...], *, nested: bool) -> str:
    if isinstance(part, str):
        if not nested:
            return part
        value = part.replace("{{", "{").replace("}}", "}") if "r" in prefix else _unbrace(part)
        return _literal(value, inside)
    debug, conversion = "", part.conversion
    if part.debug is not None:
        debug = _literal(part.debug, inside)
        if not conversion and part.spec is None:
            conversion = "!r"
    expression = _expression(part.expression, inside)
    spec = ""
    if part.spec is not None:
        spec = ":" + "".join(_part(each, prefix, inside, nested=nested) for each in part.spec)
    if expression.startswith("{"):
        expression = " " + expression
    return f"{debug}{{{expression}{conversion}{spec}}}"


def _unbrace(part: str) -> str:
    """The value of the literal text of an f-string that is not raw."""
    named: list[str] = re.split(r"(\\N\{[^}]*\})", part)
    return "".join(
        _value(piece) if index % 2 else _value(piece.replace("{{", "{").replace("}}", "}"))
        for index, piece in enumerate(named)
    )


def _value(body: str) -> str:
    """The value of a string literal's body, whichever quotes it was written in."""
    escaped = re.sub(
        r"\\.|['\"\n]",
        lambda m: m[0] if len(m[0]) > 1 else {"\n": "\\n"}.get(m[0], "\\" + m[0]),
        body,
        flags=re.DOTALL,
    )
    value = ast.literal_eval(f"'{escaped}'")
    if not isinstance(value, str):
        raise _NotPossible
    return value


def _literal(value: str, inside: tuple[str, ...]) -> str:
    """Literal text inside nested f-strings: what no enclosing quote allows becomes a `chr` field."""
    closed = {quote[0] for quote in inside}
    out: list[str] = []
    for character in value:
        if character in "{}":
            out.append(character * 2)
        elif character in closed or character == "\\" or not character.isprintable():
            out.append(f"{{chr({ord(character)})}}")
        else:
            out.append(character)
    return "".join(out)


def _expression(chunks: tuple[_Chunk, ...], inside: tuple[str, ...]) -> str:
    one_line = any(len(quote) == 1 for quote in inside)
    out: list[str] = []
    for index, chunk in enumerate(chunks):
        if isinstance(chunk, _Code):
            if chunk.comment:
                continue
            code = re.sub(r"\\\n", " " if one_line else "\n", chunk.raw)
            out.append(code.replace("\n", " ") if one_line else code)
            continue
        adjacent = any(_is_adjacent(chunks, index, step) for step in (-1, 1))
        text = _string(chunk, inside) if isinstance(chunk, _Formatted) else _plain(chunk, inside, adjacent)
        lost = 0 if one_line else chunk.raw.count("\n") - text.count("\n")
        out.append(text + "\n" * lost)
    return "".join(out)


def _is_adjacent(chunks: tuple[_Chunk, ...], index: int, step: int) -> bool:
    """True when the next chunk that is not blank is a string too: the two are concatenated."""
    index += step
    while 0 <= index < len(chunks):
        chunk = chunks[index]
        if not isinstance(chunk, _Code):
            return True
        if not chunk.comment and chunk.raw.strip(" \t\n\\"):
            return False
        index += step
    return False


def _plain(string: _Plain, inside: tuple[str, ...], adjacent: bool) -> str:
    """Spell a nested plain string without backslashes and without the enclosing quotes."""
    if not ("\\" in string.raw or "\n" in string.raw or any(quote in string.raw for quote in inside)):
        return string.raw
    if "b" in string.prefix:
        if adjacent:
            raise _NotPossible
        data = ast.literal_eval(string.raw)
        return f"bytes(({''.join(f'{byte},' for byte in data)}))"
    value = string.body if "r" in string.prefix else _value(string.body)
    closed = {quote[0] for quote in inside}
    for quote in ("'", '"'):
        if quote in closed:
            continue
        if all(c.isprintable() and c not in closed and c not in (quote, "\\") for c in value):
            return f"{quote}{value}{quote}"
    for quote in _QUOTES:
        text = f"f{quote}{_literal(value, (*inside, quote))}{quote}"
        if (
            not any(enclosing in text for enclosing in inside)
            and quote not in text[1 + len(quote) : -len(quote)]
        ):
            return text
    if adjacent:
        raise _NotPossible
    return "(" + ("+".join(f"chr({ord(character)})" for character in value) or "str()") + ")"
