"""The environment variables that a script reads: names, defaults and types."""

from __future__ import annotations

import pytest

from verifier.intake.environment import EnvRead, EnvType, environment_reads


@pytest.mark.parametrize(
    ("source", "name", "default", "kind"),
    [
        ('import os\nx = int(os.environ.get("A", 3))', "A", "3", EnvType.INT),
        ('import os\nx = float(os.environ.get("A", "0.5"))', "A", "0.5", EnvType.FLOAT),
        ('import os\nx = os.environ.get("A", "text")', "A", "text", EnvType.STR),
        ('import os\nx = bool(int(os.environ.get("A", "0")))', "A", "0", EnvType.BOOL),
        ('import os\nx = os.environ.get("A", "0") == "1"', "A", "0", EnvType.BOOL),
        ('import os\nx = int(os.environ.get("A", "0")) != 0', "A", "0", EnvType.BOOL),
        ('import os\nx = os.environ.get("A", "no").lower() in ("1", "true", "yes")', "A", "no", EnvType.BOOL),
        ('import os\nx = os.environ["A"]', "A", None, EnvType.STR),
        ('import os\nx = os.getenv("A")', "A", None, EnvType.STR),
        ('import os as o\nx = int(o.getenv("A", 2048 * 48))', "A", "98304", EnvType.INT),
        ('from os import environ as E\nx = float(E.get("A", -1.5))', "A", "-1.5", EnvType.FLOAT),
        ('from os import getenv\nx = getenv("A", "y")', "A", "y", EnvType.STR),
        ('import os\nget = os.environ.get\nx = int(get("A", "5"))', "A", "5", EnvType.INT),
        ('import os\nenv = os.environ\nif "A" in env: pass', "A", None, EnvType.STR),
        ('import os\nos.environ.setdefault("A", "600")', "A", "600", EnvType.STR),
        ('import os\nNAME = "A"\nx = int(os.environ.get(NAME, 1))', "A", "1", EnvType.INT),
        ('import os\nx = os.environ.get("A", str(0.25))', "A", "0.25", EnvType.STR),
        ('import os\nx = os.environ.get("A", compute())', "A", None, EnvType.STR),
        (
            'import os\ndef env(name, value):\n    return int(os.getenv(name, value))\nx = env("A", 7)',
            "A",
            "7",
            EnvType.INT,
        ),
        (
            'import os\nF = lambda n, d: float(os.environ.get(n, d))\nx = F("A", 0.1)',
            "A",
            "0.1",
            EnvType.FLOAT,
        ),
        (
            'import os\ndef flag(n, default=False):\n    return os.getenv(n, default) == "1"\nx = flag("A")',
            "A",
            None,
            EnvType.BOOL,
        ),
    ],
)
def test_one_read(source: str, name: str, default: str | None, kind: EnvType) -> None:
    (read,) = environment_reads(source).values()
    assert read == EnvRead(name, default, source[: source.rindex("A")].count("\n") + 1, kind) or (
        "NAME" in source and (read.name, read.default, read.type) == (name, default, kind)
    )


def test_the_first_read_counts_and_order_is_kept() -> None:
    source = 'import os\na = int(os.environ.get("B", 1))\nb = os.getenv("A", "x")\nc = os.getenv("B", "2")\n'
    reads = environment_reads(source)
    assert list(reads) == ["B", "A"]
    assert reads["B"] == EnvRead("B", "1", 2, EnvType.INT)


def test_new_grammar_is_read_and_broken_source_reads_nothing() -> None:
    source = 'import os\nx = int(os.environ.get("A", 1))\nprint(f"{d["k"]}")\n'
    assert environment_reads(source)["A"].type is EnvType.INT
    assert environment_reads("def f(:") == {}


def test_a_write_is_no_read() -> None:
    assert environment_reads('import os\nos.environ["A"] = "1"\n') == {}
