"""T3: training data read after the training budget, by the log and by the script that printed it."""

from __future__ import annotations

import pytest

from tests.verifier.checks.builders import log, metric, only, script, states, submission
from verifier.finding import Grade, State
from verifier.submission import LoggedLine, Track

T3 = "T3-late-data"
PHASE = "gptq:calibrating with 256 batches..."
SCRIPT = """
def main():
    log0(f"gptq:calibrating with {args.batches} batches...")
    loader = Loader({data}, rank)
    hessians = collect_hessians(model, loader)
"""


def ran(seconds: float, *phases: str, took: float | None = None, source: str | None = None, **fields):
    lines = tuple(LoggedLine(text, 70 + n) for n, text in enumerate(phases))
    fields = {"world_size": 8, "stop_line": 60} | fields
    return log(
        metrics=[metric(1.08)],
        train_ms=seconds * 1000,
        train_line=60,
        late_calibration=lines,
        calibration_seconds=took,
        calibration_line=71,
        calibration_source=source,
        **fields,
    )


def reading(data: str):
    return script(SCRIPT.replace("{data}", data))


def test_calibration_on_training_files_after_the_whole_budget_fails():
    outcome = only(T3, submission([ran(600.119, PHASE)], 1.08, shipped=reading("args.train_files")))
    assert (outcome.state, outcome.rules) == (State.FAIL, ("R-015",))
    assert "600.119 s" in outcome.message
    assert [str(where) for where in outcome.where] == [
        "train_seed42.log:60",
        "train_seed42.log:70",
        "train_gpt.py:4",
    ]


def test_the_log_s_own_words_are_enough():
    run = ran(600.038, "gptq:calibrating with training data...", took=3.4, source="train")
    assert states(T3, submission([run], 1.08)) == [State.FAIL]


def test_a_record_s_log_that_names_no_gpus_stopped_at_the_contest_s_cap():
    run = ran(600.04, PHASE, world_size=None)
    sub = submission([run], 1.08, shipped=reading("args.train_files"))
    assert states(T3, sub) == [State.FAIL]
    slower = ran(4_800.0, PHASE, world_size=None)
    assert states(T3, submission([slower], 1.08, shipped=reading("args.train_files"))) == [
        State.NOT_APPLICABLE
    ]


@pytest.mark.parametrize("data", ["args.val_files", "val_tokens", "blob", "generate_tokens(model)"])
def test_other_data_after_the_budget_is_not_this_check_s(data):
    assert states(T3, submission([ran(600.1, PHASE)], 1.08, shipped=reading(data))) == [State.NOT_APPLICABLE]


def test_self_generated_text_after_the_budget_is_legal():
    """As in #1019: the loop took 600.1 s, and the calibration read what the model wrote itself."""
    run = ran(600.137, PHASE, took=196.0, source="self-generated")
    sub = submission([run], 1.08, shipped=reading("args.train_files"))
    assert states(T3, sub) == [State.NOT_APPLICABLE]


@pytest.mark.parametrize(
    ("training", "calibration", "state", "rules"),
    [
        (588.0, 11.4, State.PASS, ("R-015",)),
        (599.4, 4.9, State.WARN, ("R-016",)),
        (599.7, 6.9, State.WARN, ("R-016",)),
        (600.0, 9.0, State.WARN, ("R-015",)),
        (599.6, 12.7, State.FAIL, ("R-015",)),
    ],
)
def test_training_and_calibration_together(training, calibration, state, rules):
    outcome = only(T3, submission([ran(training, took=calibration)], 1.08))
    assert (outcome.state, outcome.rules) == (state, rules)


def test_a_reserve_keeps_a_phase_on_training_files_advice():
    run = ran(599.4, PHASE, took=4.9)
    outcome = only(T3, submission([run], 1.08, shipped=reading("args.train_files")))
    assert (outcome.state, outcome.rules) == (State.WARN, ("R-016",))


def test_code_alone_warns():
    source = "hessians = gptq_calibrate(model, args.train_files, device)\nprint(memory_reserved())\n"
    outcome = only(T3, submission([], 1.08, shipped=script(source)))
    assert (outcome.state, outcome.grade) == (State.WARN, Grade.STATIC)
    kept = script(source + "cap -= float(environ.get('GPTQ_RESERVE_SECONDS', 4))\n")
    assert states(T3, submission([], 1.08, shipped=kept)) == [State.NOT_APPLICABLE]


def test_a_run_that_the_claim_does_not_use_cannot_fail():
    run = ran(600.119, PHASE)
    assert State.FAIL not in states(T3, submission([run], 0.5, shipped=reading("args.train_files")))


def test_the_non_record_track_has_no_limit():
    run = ran(9_000.0, PHASE)
    assert states(T3, submission([run], 1.08, track=Track.NON_RECORD)) == [State.NOT_APPLICABLE]
