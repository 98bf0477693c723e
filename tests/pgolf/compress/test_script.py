"""A packed script runs and prints what the raw one does; the four readings of its size are what they say."""

import subprocess
import sys

import pytest

from pgolf.compress.script import pack_code
from pgolf.size import ArtifactTooLarge, CodeSize, measure_code

SCRIPT = '''"""A docstring with "quotes", a backslash \\\\ and é."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Point:
    x: int
    y: later  # an annotation that is never evaluated


def main() -> None:
    print(__doc__, __name__, sys.argv[1:], Path(__file__).name, Point(1, 2))


if __name__ == "__main__":
    main()
    sys.exit(3)
'''


def run(path):
    return subprocess.run(
        [sys.executable, path, "one", "two"], capture_output=True, text=True, encoding="utf-8", timeout=60
    )


@pytest.mark.parametrize("filler", ["", "# " + "all work and no play " * 400])
def test_the_packed_script_does_what_the_raw_one_does(tmp_path, filler):
    raw, packed = tmp_path / "raw" / "train_gpt.py", tmp_path / "packed" / "train_gpt.py"
    for path in (raw, packed):
        path.parent.mkdir()
    raw.write_text(SCRIPT + filler, encoding="utf-8")
    packed.write_bytes(pack_code(raw))
    assert packed.stat().st_size < raw.stat().st_size
    expected, seen = run(raw), run(packed)
    assert (seen.returncode, seen.stdout, seen.stderr) == (3, expected.stdout, "")
    assert "['one', 'two'] train_gpt.py Point(x=1, y=2)" in seen.stdout
    assert pack_code(raw) == packed.read_bytes()


def test_a_script_that_does_not_compile_is_refused(tmp_path):
    (tmp_path / "broken.py").write_text("def f(:\n")
    with pytest.raises(SyntaxError):
        pack_code(tmp_path / "broken.py")


def test_the_four_readings_of_code_size(tmp_path):
    script, helper, tokenizer = (tmp_path / name for name in ("train_gpt.py", "helper.py", "sp.model"))
    script.write_text("x = 1\n" * 1000)
    helper.write_text("y = 2\n")
    tokenizer.write_bytes(bytes(10))
    size = measure_code(script, [helper, tokenizer], logged=4321)
    assert size == CodeSize(logged=4321, shipped=6000, minimal=len(pack_code(script)), all=6016)
    assert size.minimal < 150
    script.write_text("x\n")
    assert measure_code(script) == CodeSize(logged=2, shipped=2, minimal=2, all=2)


def test_logged_and_minimal_bytes_bind_and_the_other_readings_are_told():
    size = CodeSize(logged=20, shipped=90, minimal=10, all=100)
    assert size.check(model_bytes=10, cap_bytes=110) == []
    assert size.check(model_bytes=80, cap_bytes=100) == [
        "shipped: code 90 + model 80 = 170 bytes, 70 OVER the cap of 100",
        "all: code 100 + model 80 = 180 bytes, 80 OVER the cap of 100",
    ]
    with pytest.raises(ArtifactTooLarge, match=r"logged: code 20 \+ model 81 = 101 bytes, 1 OVER"):
        size.check(model_bytes=81, cap_bytes=100)
    with pytest.raises(ArtifactTooLarge, match="minimal: code 30"):
        CodeSize(logged=0, shipped=0, minimal=30, all=0).check(model_bytes=80, cap_bytes=100)
