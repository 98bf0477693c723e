"""What the live source names."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.verifier.checks.builders import script, submission
from verifier.static import read_source
from verifier.techniques import techniques


def named(source: str, env: Mapping[str, str] | None = None) -> tuple[str, ...]:
    return techniques(read_source(submission(shipped=script(source), env=env or {})))


@pytest.mark.parametrize(
    ("name", "technique"),
    [
        ("SmearGate", "SmearGate"),
        ("eval_val_ttt_lora", "LoRA at test time"),
        ("slot_steps", "SLOT"),
        ("eval_val_slot", "SLOT"),
        ("BackoffNgramMixer", "n-gram cache"),
        ("collect_gptq_hessians", "GPTQ"),
        ("GatedDeltaNet", "delta rule"),
        ("zstandard", "zstd"),
    ],
)
def test_a_live_name_is_a_technique(name: str, technique: str) -> None:
    assert technique in named(f"def {name}():\n    pass\n{name}()\n")


@pytest.mark.parametrize("name", ["num_slots", "system", "watttage", "flora", "step", "schema"])
def test_a_name_that_only_looks_like_one_is_none(name: str) -> None:
    assert named(f"{name} = 1\nprint({name})\n") == ()


def test_what_the_environment_turns_off_is_not_named() -> None:
    source = (
        "import os\ndef eval_val_slot():\n    pass\n"
        "if bool(int(os.environ.get('SLOT', '0'))):\n    eval_val_slot()\n"
    )
    assert named(source) == ()
    assert named(source, {"SLOT": "1"}) == ("SLOT",)


def test_without_a_script_nothing_is_named() -> None:
    assert techniques(None) == ()
