"""Bytes to text: which encoding a shipped file is in, decided from the bytes alone.

Contest folders hold UTF-8 with and without a mark, UTF-16 logs (PowerShell redirection) and the
odd Latin-1 file. Decoding never fails: the last resort is Latin-1, which maps every byte.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_SAMPLE = 4096
_NUL_SHARE = 0.3  # ASCII text in UTF-16 is half NUL bytes; text in UTF-8 has none


@dataclass(frozen=True)
class Text:
    """Decoded text with `\\n` line ends and no byte-order mark."""

    text: str
    encoding: str
    """Python codec name; `latin-1` means that nothing better decoded it."""


def decode_text(data: bytes) -> Text | None:
    """Decode a text file, or return None when the bytes are binary."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return Text(_normalise(data.decode(encoding, errors="replace")), encoding)
    sample = data[:_SAMPLE]
    if b"\0" in sample:
        wide = _utf16_without_mark(sample)
        return None if wide is None else Text(_normalise(data.decode(wide, errors="replace")), wide)
    try:
        return Text(_normalise(data.decode("utf-8")), "utf-8")
    except UnicodeDecodeError:
        return Text(_normalise(data.decode("latin-1")), "latin-1")


def decode_python(data: bytes) -> Text | None:
    """Decode a Python file the way the interpreter would: mark, PEP 263 cookie, else UTF-8."""
    for line in data.split(b"\n", 2)[:2]:
        if (cookie := _COOKIE.match(line.removeprefix(codecs.BOM_UTF8))) is not None:
            name = cookie.group(1).decode("ascii", errors="replace")
            try:
                return Text(_normalise(data.removeprefix(codecs.BOM_UTF8).decode(name)), name.lower())
            except (LookupError, UnicodeError, ValueError):
                break
        if not re.fullmatch(rb"[ \t\f]*(?:#.*)?\r?", line):
            break
    return decode_text(data)


def _utf16_without_mark(sample: bytes) -> str | None:
    even, odd = sample[0::2], sample[1::2]
    if odd and odd.count(0) / len(odd) > _NUL_SHARE and even.count(0) == 0:
        return "utf-16-le"
    if even and even.count(0) / len(even) > _NUL_SHARE and odd.count(0) == 0:
        return "utf-16-be"
    return None


def _normalise(text: str) -> str:
    return text.replace("\r\n", "\n").removeprefix("\ufeff")
