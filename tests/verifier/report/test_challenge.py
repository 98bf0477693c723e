"""A challenge on a terminal, as a comment and as JSON."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from tests.verifier.report import samples
from tests.verifier.test_challenge import HOLDER, made
from verifier.challenge import Challenge, challenge
from verifier.report.challenge import render_challenge, render_challenge_json, render_challenge_markdown


def shown(found: Challenge, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    render_challenge(found, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def cheat_over_honest() -> Challenge:
    return challenge(made([0.396, 0.397, 0.398], base=samples.cheat()), made(HOLDER))


def test_the_answers_come_first_and_all_of_it_is_one_screen() -> None:
    lines = shown(cheat_over_honest()).splitlines()
    assert lines[0] == "Is scored_slot a record over score_first_ttt?"
    assert lines[1].startswith("NO    final practice (Welch p<0.25): its audit is NON_COMPLIANT")
    assert lines[2].startswith("NO    written rule (0.005 nats at p<0.01)")
    assert len(lines) <= 48


@pytest.mark.parametrize("width", [60, 100])
def test_every_line_keeps_to_the_width(width: int) -> None:
    assert max(map(len, shown(cheat_over_honest(), width).splitlines())) <= width


def test_the_json_has_every_number_of_the_screen() -> None:
    document = json.loads(render_challenge_json(cheat_over_honest()))
    assert document["practice"]["answer"] == "NO"
    assert document["challenger"]["values_bpb"] == [0.396, 0.397, 0.398]
    assert document["welch"]["p"] < 1e-6
    assert document["margins_bpb"][0] == pytest.approx(0.00296, abs=1e-5)
    assert {each["check"] for each in document["findings"]} >= {"C1-flip", "E1-floor"}


def test_what_is_unknown_is_said_and_not_left_out() -> None:
    bare = replace(samples.documents(), seed_runs=(), techniques=())
    nothing = replace(bare, bpb=replace(bare.bpb, claimed=None))
    text = shown(challenge(bare, nothing))
    assert "gap  unknown: a side gives no bits per byte" in text
    assert "claimed; no log gives it" in text.replace("\n", " ")
    assert json.loads(render_challenge_json(challenge(bare, nothing)))["welch"] is None


def test_what_a_submission_wrote_cannot_leave_its_place() -> None:
    found = challenge(samples.hostile(), samples.hostile())
    comment = render_challenge_markdown(found)
    assert "@everyone" not in comment
    assert "\n# PASS" not in comment
    for text in (comment, shown(found)):
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_the_comment_names_rulings_and_differences() -> None:
    comment = render_challenge_markdown(cheat_over_honest())
    assert "- **NO** final practice" in comment
    assert "| `C1-flip` | FAIL | PASS |" in comment
