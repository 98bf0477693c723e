"""One script with several attacks at once, audited whole; `python -m tests.redteam.table` audits them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cheats.corpus import write_folder
from tests.redteam.attack import Attack
from tests.redteam.corpus import ATTACKS
from tests.redteam.host import adopting_orphans, audit, live_in_comment, orphans
from verifier.verdict import Call

MANY = """
import gc, os

gc.get_objects()
for _ in range(1200):
    os.mkdir("d")
    os.chdir("d")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 3)
        while True:
            pass
    os._exit(0)
os.wait()
os.write(3, b"[" * 100_000 + b"\\n")
os._exit(0)
"""


def write_many(folder: Path) -> None:
    write_folder(folder, MANY)


@pytest.mark.slow
def test_an_attack_on_everything_ends_in_a_review_and_leaves_the_host_as_it_was(tmp_path: Path) -> None:
    attack = Attack("many", "several at once", write_many)
    with adopting_orphans():
        row = audit(attack, tmp_path / "many")
    assert row.harm == ()
    assert row.call == Call.NEEDS_REVIEW
    assert "H1-harness" in row.by


def test_every_attack_has_a_name_of_its_own() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 24


def test_what_a_process_leaves_is_found(tmp_path: Path) -> None:
    script = "import os, sys\nif os.fork() == 0:\n    sys.stdin.read()\n"
    with adopting_orphans():
        parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
        parent.wait()
        found = orphans()
        assert parent.stdin is not None
        parent.stdin.close()
        assert len(found) == 1
        while orphans():
            pass


def test_a_child_that_was_there_before_is_nobody_s_orphan() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        with adopting_orphans():
            assert orphans() == []
        assert child.poll() is None


@pytest.mark.parametrize(
    ("text", "live"),
    [
        ("`<script>alert(1)</script>`", []),
        ("``a`b <img src=x``", []),
        ("` <img src=x", ["<img src=x"]),
        ("[a](javascript:b)", ["](javascript:"]),
        (r"\[a\](javascript:b)", []),
    ],
)
def test_markup_is_live_outside_code_spans_alone(text: str, live: list[str]) -> None:
    assert live_in_comment(text) == live
