"""Packed scripts: every codec pair opens to what was packed, bombs do not, and nothing is run."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.intake import codec, load_submission
from verifier.intake.environment import environment_reads
from verifier.intake.wrapper import Opened, open_wrapper

from .conftest import SCRIPT

RAW = [{"id": lzma.FILTER_LZMA2}]

# name -> (compress, what the wrapper calls, its arguments after the data)
COMPRESSORS: dict[str, tuple[Callable[[bytes], bytes], str, str]] = {
    "lzma_xz": (lzma.compress, "lzma.decompress", ""),
    "lzma_alone": (lambda data: lzma.compress(data, lzma.FORMAT_ALONE), "lzma.decompress", ""),
    "lzma_raw2": (
        lambda data: lzma.compress(data, lzma.FORMAT_RAW, filters=RAW),
        "lzma.decompress",
        ", format=lzma.FORMAT_RAW, filters=[{'id': lzma.FILTER_LZMA2, 'preset': 9 | lzma.PRESET_EXTREME}]",
    ),
    "zlib": (zlib.compress, "zlib.decompress", ""),
    "deflate": (lambda data: zlib.compress(data, wbits=-15), "zlib.decompress", ", -15"),
    "gzip": (gzip.compress, "gzip.decompress", ""),
    "bz2": (bz2.compress, "bz2.decompress", ""),
    "brotli": (brotli.compress, "brotli.decompress", ""),
    "zstd": (zstandard.compress, "zstandard.ZstdDecompressor().decompress", ""),
}
ENCODERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "b85": (base64.b85encode, "base64.b85decode"),
    "b64": (base64.b64encode, "base64.b64decode"),
    "a85": (base64.a85encode, "base64.a85decode"),
    "b32": (base64.b32encode, "base64.b32decode"),
    "hex": (lambda data: data.hex().encode(), "bytes.fromhex"),
}
IMPORTS = "import base64, brotli, bz2, gzip, lzma, zlib, zstandard\n"


def pack(source: str, compressor: str, encoder: str) -> str:
    """A wrapper in the contest's usual form."""
    compress, decompress, more = COMPRESSORS[compressor]
    encode, decode = ENCODERS[encoder]
    literal = encode(compress(source.encode())).decode()
    return f"{IMPORTS}exec({decompress}({decode}({literal!r}){more}))\n"


def opened(source: str) -> Opened:
    return open_wrapper(source, "train_gpt.py")


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_every_codec_pair_opens(compressor: str, encoder: str) -> None:
    assert opened(pack(SCRIPT, compressor, encoder)) == Opened(SCRIPT, f"{compressor}+{encoder}")


@settings(max_examples=40, deadline=None)
@given(
    source=st.text(st.characters(codec="utf-8", exclude_characters="\r\0\ufeff"), min_size=80, max_size=400),
    compressor=st.sampled_from(sorted(COMPRESSORS)),
    encoder=st.sampled_from(sorted(ENCODERS)),
)
def test_any_program_text_survives(source: str, compressor: str, encoder: str) -> None:
    program = f"text = {source!r}\n"
    assert opened(pack(program, compressor, encoder)).source == program


def test_nested_wrappers_open_outermost_first() -> None:
    inner = pack(SCRIPT * 9, "zlib", "b64")
    assert opened(pack(inner, "lzma_xz", "b85")) == Opened(SCRIPT * 9, "lzma_xz+b85 > zlib+b64")


LITERAL = base64.b85encode(zlib.compress(SCRIPT.encode())).decode()
HALF = len(LITERAL) // 2
FORMS = {
    "aliases": "import zlib as Z,base64 as B\nexec(Z.decompress(B.b85decode(LITERAL)))",
    "from imports": """
from zlib import decompress as d
from base64 import b85decode
exec(d(b85decode(LITERAL)))
""",
    "names": """
A = FIRST
A += SECOND
exec(zlib.decompress(base64.b85decode(A)))
""",
    "implicit join": """
A = (FIRST
     SECOND)
exec(compile(zlib.decompress(base64.b85decode(A)).decode('utf-8'), __file__, 'exec'), globals())
""",
    "join": "exec(zlib.decompress(base64.b85decode(''.join([FIRST, SECOND]))))",
    "dunder import": "exec(__import__('zlib').decompress(__import__('base64').b85decode(LITERAL)))",
    "lambda": """
unpack = lambda s: zlib.decompress(base64.b85decode(s))
exec(unpack(LITERAL))
""",
    "walrus and slice": "exec(zlib.decompress(base64.b85decode((a := '##' + LITERAL)[2:])))",
    "temporary file": """
src = zlib.decompress(base64.b85decode(LITERAL)).decode()
with tempfile.NamedTemporaryFile('w', suffix='.py', delete=False) as f:
    f.write(src)
runpy.run_path(f.name)
""",
    "main function": """
P = LITERAL
def main():
    code = zlib.decompress(base64.b85decode(P))
    exec(code, {})
if __name__ == '__main__':
    main()
""",
    "stream": "exec(zlib.decompressobj().decompress(io.BytesIO(base64.b85decode(LITERAL)).read()))",
}


def fill(form: str) -> str:
    """A form with its literals in place, and the modules that it takes for granted."""
    for name, text in (("LITERAL", LITERAL), ("FIRST", LITERAL[:HALF]), ("SECOND", LITERAL[HALF:])):
        form = form.replace(name, repr(text))
    return "import base64, io, runpy, tempfile, zlib\n" + form


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_wrapper_opens(form: str) -> None:
    assert opened(fill(FORMS[form])) == Opened(SCRIPT, "zlib+b85")


def test_a_partly_packed_script_is_opened_when_the_payload_is_the_program() -> None:
    helpers = "".join(f"def helper_{i}():\n    return {i}\n" for i in range(100))
    source = pack(SCRIPT * 40, "zlib", "b64") + helpers
    result = opened(source)
    assert (result.source, result.wrapper) == (SCRIPT * 40, "zlib+b64(partial)")


def test_a_small_packed_part_of_a_plain_script_stays_plain() -> None:
    source = SCRIPT * 40 + pack("x = 1\n" * 200, "zlib", "b85")
    result = opened(source)
    assert (result.source, result.wrapper) == (source, None)
    assert [problem.code for problem in result.problems] == ["packed-part"]


def test_packed_data_that_is_not_executed_is_no_wrapper() -> None:
    literal = base64.b64encode(zlib.compress(b"word " * 4000)).decode()
    source = (
        f"import base64, zlib\nWORDS = zlib.decompress(base64.b64decode({literal!r})).decode().split()\n"
        + SCRIPT
    )
    assert opened(source) == Opened(source, None)


def test_an_archive_bomb_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_DECODED_BYTES", 100_000)
    for compressor in COMPRESSORS:
        result = opened(pack("#" * 200_000, compressor, "b85"))
        assert [problem.code for problem in result.problems] == ["archive-bomb"], compressor
        assert result.wrapper is None


@pytest.mark.parametrize(
    "source",
    [
        "import zlib,base64\nexec(zlib.decompress(base64.b85decode('!!!' * 900)))",
        "import lzma,base64\nexec(lzma.decompress(base64.b64decode('" + "QUJD" * 200 + "')))",
        "import brotli,base64\nexec(brotli.decompress(base64.b64decode('" + "QUJD" * 200 + "')))",
    ],
)
def test_a_broken_payload_is_reported(source: str) -> None:
    assert {problem.code for problem in opened(source).problems} == {"wrapper-broken"}


def test_a_payload_that_no_codec_opens_is_reported() -> None:
    source = f"key = 7\nexec(''.join(chr(ord(c) ^ key) for c in {'~' * 5000!r}))"
    assert {problem.code for problem in opened(source).problems} == {"wrapper-closed"}


def test_a_wrapper_that_writes_several_files_opens_to_the_longest() -> None:
    packed = base64.b85encode(zlib.compress(f"{SCRIPT}#cut\n{SCRIPT * 2}#cut\nint x;\n".encode())).decode()
    source = (
        "import base64, os, zlib\n"
        f"parts = zlib.decompress(base64.b85decode({packed!r})).decode().split('#cut\\n')\n"
        "for name, part in zip(['run.py', 'train_gpt.py', 'x.c'], parts):\n    open(name, 'w').write(part)\n"
        "exec(open('run.py').read())\n"
    )
    result = opened(source)
    assert (result.source, result.wrapper) == (SCRIPT * 2, "zlib+b85")
    assert [problem.code for problem in result.problems] == ["packed-files"]


@pytest.mark.parametrize(
    "value", ["{[1]: 2}", "'a' * -1", "b'a' + [1][9]", "'%d'.join(1)", "''.split('')", "-'a'"]
)
def test_an_operation_that_python_refuses_is_no_constant(value: str) -> None:
    assert opened(f"x = {value}\nexec(x)\n").wrapper is None


def test_modules_held_in_strings_are_named_and_their_variables_read(make_folder: Any) -> None:
    module = "import os\n\nLR = float(os.environ.get('HELD_LR', 0.5))\n" + "def f():\n    return LR\n" * 9
    source = f"import types\nm = types.ModuleType('m')\nexec(compile({module!r}, 'm', 'exec'), m.__dict__)\n"
    result = opened(source)
    assert (result.source, result.wrapper) == (source, None)
    assert [problem.code for problem in result.problems] == ["code-in-strings"]
    assert environment_reads(source)["HELD_LR"].default == "0.5"


def test_a_folder_with_a_packed_script_names_its_wrapper(make_folder: Any, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    program = f"open({str(marker)!r}, 'w').close()\n" + SCRIPT
    script = load_submission(make_folder({"train_gpt.py": pack(program, "lzma_raw2", "b85")})).script
    assert script is not None
    assert (script.wrapper, script.source) == ("lzma_raw2+b85", program)
    assert script.sha256 != script.payload_sha256
    assert not marker.exists()
