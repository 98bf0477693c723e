"""An f-string of 3.12 in the spelling of 3.11, with the same value and as many lines."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifier.grammar.scan import Chunk, Code, Field, Formatted, NotPossible, Plain

_QUOTES = ("'", '"', "'''", '"""')


def _fields(parts: tuple[str | Field, ...]) -> Iterator[Field]:
    for part in parts:
        if isinstance(part, Field):
            yield part
            yield from _fields(part.spec or ())


def is_old(string: Formatted) -> bool:
    """True when 3.11 already reads this f-string as 3.12 does."""
    for field in _fields(string.parts):
        if "\\" in field.text or string.quote in field.text:
            return False
        if "\n" in field.text and len(string.quote) == 1:
            return False
        for chunk in field.expression:
            if isinstance(chunk, Formatted) and not is_old(chunk):
                return False
            if isinstance(chunk, Code) and chunk.comment:
                return False
    return True


def spelled(string: Formatted, outer: tuple[str, ...] = ()) -> str:
    """Spell an f-string for 3.11 inside the given enclosing quotes."""
    others = [quote for quote in _QUOTES if quote != string.quote]
    for quote in (string.quote, *others):
        inside = (*outer, quote)
        try:
            body = "".join(_part(part, string.prefix, inside, nested=bool(outer)) for part in string.parts)
        except NotPossible:
            continue
        prefix = string.prefix if not outer else "f"
        text = f"{prefix}{quote}{body}{quote}"
        if quote in body.replace("\\" + quote[0], "") or body.endswith(quote[0]) and quote != string.quote:
            continue
        if len(quote) == 1 and "\n" in body.replace("\\\n", ""):
            continue
        if not any(enclosing in text for enclosing in outer):
            return text
    raise NotPossible


def _part(part: str | Field, prefix: str, inside: tuple[str, ...], *, nested: bool) -> str:
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
        raise NotPossible
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


def _expression(chunks: tuple[Chunk, ...], inside: tuple[str, ...]) -> str:
    one_line = any(len(quote) == 1 for quote in inside)
    out: list[str] = []
    for index, chunk in enumerate(chunks):
        if isinstance(chunk, Code):
            if chunk.comment:
                continue
            code = re.sub(r"\\\n", " " if one_line else "\n", chunk.raw)
            out.append(code.replace("\n", " ") if one_line else code)
            continue
        adjacent = any(_is_adjacent(chunks, index, step) for step in (-1, 1))
        text = spelled(chunk, inside) if isinstance(chunk, Formatted) else _plain(chunk, inside, adjacent)
        lost = 0 if one_line else chunk.raw.count("\n") - text.count("\n")
        out.append(text + "\n" * lost)
    return "".join(out)


def _is_adjacent(chunks: tuple[Chunk, ...], index: int, step: int) -> bool:
    """True when the next chunk that is not blank is a string too: the two are concatenated."""
    index += step
    while 0 <= index < len(chunks):
        chunk = chunks[index]
        if not isinstance(chunk, Code):
            return True
        if not chunk.comment and chunk.raw.strip(" \t\n\\"):
            return False
        index += step
    return False


def _plain(string: Plain, inside: tuple[str, ...], adjacent: bool) -> str:
    """Spell a nested plain string without backslashes and without the enclosing quotes."""
    if not ("\\" in string.raw or "\n" in string.raw or any(quote in string.raw for quote in inside)):
        return string.raw
    if "b" in string.prefix:
        if adjacent:
            raise NotPossible
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
        raise NotPossible
    return "(" + ("+".join(f"chr({ord(character)})" for character in value) or "str()") + ")"
