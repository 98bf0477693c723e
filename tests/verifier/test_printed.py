"""Joining a logged line with the place in the script that printed it."""

from __future__ import annotations

import pytest

from verifier.printed import Data, calls_reading, printed

SOURCE = """
def calibrate(model):
    log(f"gptq:calibrated {len(h)} layers in {t:.1f}s")

def main():
    log("gptq:calibrating with training data...")
    h = gptq_calibrate(model, args.train_files, n=256)
    if late:
        log(f"  {x}  ")
    score(model, val_tokens)
"""


def test_the_loader_beside_the_print_is_found():
    (place,) = printed(SOURCE, "[12:00:01] gptq:calibrating with training data...")
    assert place.line == 6
    assert place.reads == {Data.TRAIN: 7, Data.VAL: 10}
    assert place.only is None


def test_gaps_match_anything_and_other_functions_do_not_count():
    (place,) = printed(SOURCE, "gptq:calibrated 68 layers in 3.4s")
    assert (place.line, place.reads, place.only) == (3, {}, None)


@pytest.mark.parametrize("line", ["", "step:7", "gptq: something else", "  7  "])
def test_other_lines_match_nothing(line):
    assert printed(SOURCE, line) == ()


def test_broken_source_matches_nothing():
    assert printed("def f(:", "gptq:calibrating with training data...") == ()
    assert calls_reading("def f(:", Data.TRAIN, ("calibrat",)) is None


def test_a_call_is_found_by_name_and_data():
    assert calls_reading(SOURCE, Data.TRAIN, ("calibrat",)) == 7
    assert calls_reading(SOURCE, Data.VAL, ("calibrat",)) is None
