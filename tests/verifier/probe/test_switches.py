"""Switches that a claimed label implies."""

from __future__ import annotations

import pytest

from verifier.intake.environment import environment_reads
from verifier.probe.switches import implied_switches

SETTINGS = """\
import os
class Args:
    ngram_eval = bool(int(os.environ.get("NGRAM_EVAL", "0")))
    ppm_enabled = bool(int(os.environ.get("PPM", 0)))
    sliding = bool(int(os.environ.get("SLIDING", "1")))
args = Args()
"""


def implied(body: str, label: str | None) -> tuple[str, ...]:
    source = SETTINGS + body
    return implied_switches(source, label, environment_reads(source))


CALLED = """\
def mixture(prefix="ppm_mix"):
    print(f"{prefix} bytes=7 mix_bpb:1.5")

def evaluate(h):
    collect = bool(getattr(h, "ppm_enabled", False))
    if collect and rank == 0:
        mixture()

evaluate(args)
"""


@pytest.mark.parametrize(
    ("body", "label", "names"),
    [
        ("if args.ngram_eval:\n    print(f'final_ngram val_loss:{x}')", "final_ngram", ("NGRAM_EVAL",)),
        ("if args.ngram_eval and rank == 0:\n    print(f'final_ngram val_loss:{x}')", "final_ngram", ("NGRAM_EVAL",)),
        (CALLED, "ppm_mix bytes=10982035 mix_bpb", ("PPM",)),
        ("if args.sliding:\n    print('final_sliding val_loss:1')", "final_sliding", ()),
        ("if not args.ngram_eval:\n    print('final val_loss:1')", "final", ()),
        ("if args.ngram_eval:\n    pass\nelse:\n    print('final val_loss:1')", "final", ()),
        ("if args.ngram_eval:\n    print('final val_loss:1')\nprint('final val_loss:2')", "final", ()),
        ("if args.ngram_eval:\n    print('other val_loss:1')", "final_ngram", ()),
        ("if args.ngram_eval:\n    print('final_ngram val_loss:1')", None, ()),
    ],
)  # fmt: skip
def test_only_what_the_label_cannot_do_without(body: str, label: str | None, names: tuple[str, ...]) -> None:
    assert implied(body, label) == names


def test_recursion_ends() -> None:
    body = "def a():\n    b()\ndef b():\n    a()\n    if args.ngram_eval:\n        print('final val_loss:1')\nb()\n"
    assert implied(body, "final") == ("NGRAM_EVAL",)


def test_a_broken_script_implies_nothing() -> None:
    assert implied_switches("def (", "final", {}) == ()
