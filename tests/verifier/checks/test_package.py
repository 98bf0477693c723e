"""P1: what is missing, and what does not read."""

from __future__ import annotations

from tests.verifier.checks.builders import log, only, outcomes, script, states, submission
from verifier.finding import State, Where
from verifier.submission import Problem

P1 = "P1-package"


def test_a_whole_folder_passes():
    assert states(P1, submission([log()], 1.06, shipped=script())) == [State.PASS]


def test_a_packed_script_is_no_problem():
    assert states(P1, submission([log()], 1.06, shipped=script(wrapper="lzma_xz+b85"))) == [State.PASS]


def test_problems_of_one_class_are_one_outcome():
    problems = [Problem("log-encoding", "not UTF-8", Where(f"{i}.log")) for i in range(3)]
    outcome = only(P1, submission([log()], 1.06, shipped=script(), problems=problems))
    assert outcome.state is State.WARN
    assert outcome.message == "log-encoding: 3 times: not UTF-8"
    assert len(outcome.where) == 3


def test_a_fatal_problem_is_unverified_with_the_way_out():
    problem = Problem("script-syntax", "line 3 does not parse", Where("train_gpt.py", 3), fatal=True)
    outcome = only(P1, submission([log()], 1.06, shipped=script(), problems=[problem]))
    assert outcome.state is State.UNVERIFIED
    assert outcome.try_next is not None


def test_missing_parts_are_named_once():
    found = outcomes(P1, submission(files={}, readme=None))
    assert [outcome.state for outcome in found] == [State.UNVERIFIED, State.WARN, State.WARN, State.WARN]
    problems = [Problem("no-script", "no script", fatal=True), Problem("no-json", "no submission.json")]
    found = outcomes(P1, submission([log()], files={}, problems=problems))
    assert [outcome.message.partition(":")[0] for outcome in found] == ["no-script", "no-json"]


def test_it_never_fails():
    problems = [Problem(f"code-{i}", "broken", fatal=bool(i)) for i in range(2)]
    assert State.FAIL not in states(P1, submission(problems=problems))


def test_form_is_advice_and_what_was_not_read_is_not():
    form = Problem("log-encoding", "not UTF-8", Where("a.log"))
    unread = Problem("too-many-files", "over 5000 files", Where("."))
    found = outcomes(P1, submission([log()], 1.06, shipped=script(), problems=[form, unread]))
    assert [outcome.rules for outcome in found] == [("R-083",), ("R-083", "R-086")]
