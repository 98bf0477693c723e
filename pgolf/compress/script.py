"""A script that unpacks itself: the whole source, compressed, in two lines of Python.

The form in which merged records ship their code (#1394, #1412, #1413): the bytes count as they are, and the
file runs as it is, given the brotli package if that made it smaller than lzma did. The source is not
minified: names, comments and docstrings come back whole.

What the packed script cannot do is show its source at run time: `inspect.getsource`, and so `triton.jit`,
fail on functions that it defines. `__file__` is the packed file, so a script that logs its own size states
the packed one.
"""

from __future__ import annotations

import base64
import lzma
from pathlib import Path
from typing import Any

import brotli

from pgolf.compress.codec import BROTLI_WINDOW_BITS

UNPACK_LZMA = b'import lzma as C,base64 as B\nexec(C.decompress(B.b85decode("%s")))\n'
UNPACK_BROTLI = UNPACK_LZMA.replace(b"lzma", b"brotli")


def pack_code(path: Path) -> bytes:
    """The bytes of a Python file that runs as the one at `path` does. Deterministic.

    Raises:
        SyntaxError: the script does not compile.
    """
    source = path.read_bytes()
    compile(source, str(path), "exec", dont_inherit=True)
    packed = [UNPACK_BROTLI % base64.b85encode(brotli.compress(source, quality=11, lgwin=BROTLI_WINDOW_BITS))]
    # Text has no alignment, hence no position bits; how far the byte before helps depends on the script.
    packed += [UNPACK_LZMA % base64.b85encode(_lzma(source, context_bits)) for context_bits in range(5)]
    return min(packed, key=len)


def _lzma(source: bytes, context_bits: int) -> bytes:
    filters: list[dict[str, Any]] = [
        {"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "lc": context_bits, "lp": 0, "pb": 0}
    ]
    # The old .lzma container has the shortest header that `lzma.decompress` recognizes by itself.
    return lzma.compress(source, format=lzma.FORMAT_ALONE, filters=filters)
