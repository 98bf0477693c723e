"""D1: the author's own words about calibration data."""

from __future__ import annotations

import pytest

from tests.verifier.checks.builders import log, metric, only, states, submission
from verifier.finding import State

D1 = "D1-calibration-source"


def test_validation_data_warns_and_says_whose_words():
    outcome = only(
        D1, submission([log(metrics=[metric(1.06)], calibration_source="val", calibration_line=61)])
    )
    assert outcome.state is State.WARN
    assert "author's own words" in outcome.message
    assert str(outcome.where[0]) == "train_seed42.log:61"


@pytest.mark.parametrize("source", ["train", "self-generated"])
def test_other_data_passes_whatever_the_folder_is_called(source):
    assert states(D1, submission([log(path="ValCalib/train.log", calibration_source=source)])) == [State.PASS]


def test_two_sources_give_two_outcomes():
    logs = [log(1, calibration_source="val"), log(2, calibration_source="train")]
    assert states(D1, submission(logs)) == [State.PASS, State.WARN]


def test_silence_is_not_applicable():
    assert states(D1, submission([log()])) == [State.NOT_APPLICABLE]
