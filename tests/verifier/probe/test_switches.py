"""A label in the log says which switch was on; conditions that are met, or are none of the environment's, say nothing."""

from __future__ import annotations

import pytest

from verifier.intake.environment import environment_reads
from verifier.probe.switches import implied_switches, logged_values

SCRIPT = """
import os
class Args:
    ttt_enabled = bool(int(os.environ.get("TTT_ENABLED", "0")))
    eval_stride = int(os.environ.get("EVAL_STRIDE", 0))
    mode = os.environ.get("EVAL_MODE", "plain")
    cache_path = os.environ.get("CACHE_PATH", "")
def adapt(args):
    if not args.ttt_enabled:
        return
    print(f"legal_ttt_exact val_loss:{1.0} val_bpb:{2.0}")
def main(args, rank):
    print("final val_loss:1")
    if args.eval_stride > 0 and rank == 0:
        print("sliding val_loss:1")
    sharp = args.mode == "sharp"
    if sharp:
        print("sharp_exact val_loss:1")
    if args.cache_path:
        print("cached val_loss:1")
    adapt(args)
main(Args(), 0)
"""


def implied(label: str | None, documented: dict[str, str] | None = None) -> dict[str, str]:
    return implied_switches(label, {"train_gpt.py": SCRIPT}, environment_reads(SCRIPT), documented or {})


@pytest.mark.parametrize(
    ("label", "wanted"),
    [
        ("legal_ttt_exact", {"TTT_ENABLED": "1"}),
        ("sliding", {"EVAL_STRIDE": "64"}),
        ("sharp_exact", {"EVAL_MODE": "sharp"}),
        ("final", {}),
        ("cached", {}),
        ("nowhere", {}),
        (None, {}),
    ],
)
def test_the_condition_behind_a_label(label: str | None, wanted: dict[str, str]) -> None:
    assert implied(label) == wanted


def test_documented_values_stand() -> None:
    assert implied("legal_ttt_exact", {"TTT_ENABLED": "1"}) == {}
    assert implied("legal_ttt_exact", {"TTT_ENABLED": "0"}) == {}


CALLED = """
import os
class Args:
    ppm_enabled = bool(int(os.environ.get("PPM", 0)))
def mixture(prefix="ppm_mix"):
    print(f"{prefix} bytes=7 mix_bpb:1.5")
def evaluate(h):
    collect = bool(getattr(h, "ppm_enabled", False))
    if collect and rank == 0:
        mixture()
evaluate(Args())
"""


def test_a_switch_by_another_name_and_a_label_with_counts() -> None:
    wanted = implied_switches(
        "ppm_mix bytes=10982035 mix_bpb", {"train_gpt.py": CALLED}, environment_reads(CALLED), {}
    )
    assert wanted == {"PPM": "1"}


def test_a_printed_configuration_shows_what_differs_from_the_defaults() -> None:
    reads = environment_reads(SCRIPT)
    shown = "Hyperparameters:\n" + "".join(f"  other_{at}: {at}\n" for at in range(10))
    log = f"{shown}  ttt_enabled: True\n  eval_stride: 0\n  mode: sharp\n  cache_path: /home/me\nstep 1\n"
    assert logged_values(log, reads) == {"TTT_ENABLED": "1"}
    assert logged_values("  ttt_enabled: True\n", reads) == {}
