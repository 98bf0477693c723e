"""What packing makes of the code's size, for the S_min reading of the artifact cap.

Comments, docstrings and the strongest settings of four codecs take a second a script; that the code fits
is shown in milliseconds where brotli at a low setting is enough, and nearly always it is.
"""

from __future__ import annotations

import ast
import lzma
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import brotli
import zstandard

_Documented = TypeVar("_Documented", ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_RAW_LZMA2 = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]


QUICK = 5
"""Brotli's quality that is both smaller and faster than zlib's best on Python source."""


@dataclass(frozen=True)
class PackedCode:
    size_bytes: int
    codec: str
    minified: bool
    """False where comments stay in: the quick packing, or source that this Python's grammar cannot parse."""


def packed_within(source: str, room_bytes: int) -> PackedCode:
    """A packing that fits into the room, quickest first; the smallest of all where none fits."""
    quick = PackedCode(len(brotli.compress(_encoded(source), quality=QUICK)), "brotli", minified=False)
    return quick if quick.size_bytes <= room_bytes else smallest_packed(source)


@lru_cache(maxsize=4)  # several checks ask for the same script, and the codecs take a second
def smallest_packed(source: str) -> PackedCode:
    """Drop comments and docstrings, then take the best of four codecs at their strongest setting."""
    text = minified(source)
    data = _encoded(source if text is None else text)
    sizes = {
        "brotli": len(brotli.compress(data, quality=11, lgwin=24)),
        "lzma": len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=_RAW_LZMA2)),
        "zlib": len(zlib.compress(data, 9)),
        "zstd": len(zstandard.ZstdCompressor(level=22).compress(data)),
    }
    codec = min(sizes, key=lambda name: (sizes[name], name))
    return PackedCode(sizes[codec], codec, text is not None)


def _encoded(source: str) -> bytes:
    return source.encode("utf-8", "surrogatepass")


def minified(source: str) -> str | None:
    """The source without comments and docstrings, or None where it does not parse."""
    try:
        return ast.unparse(_NoDocstrings().visit(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _NoDocstrings(ast.NodeTransformer):
    def _strip(self, node: _Documented) -> _Documented:
        self.generic_visit(node)
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _strip
