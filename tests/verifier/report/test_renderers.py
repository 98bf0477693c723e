"""Terminal and Markdown: exact snapshots, and what must hold whatever a submission writes."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.verifier.report import samples, snapshots
from verifier.finding import State
from verifier.report.markdown import code, escape, prose, render_markdown
from verifier.report.terminal import render_line, render_terminal
from verifier.report.wording import bpb_number, clean, evidence_line, number

RENDERED = snapshots.rendered()


@pytest.mark.parametrize("name", RENDERED)
def test_snapshot(name: str) -> None:
    expected = (snapshots.FOLDER / name).read_text(encoding="utf-8")
    assert RENDERED[name] == expected, "if this is meant: make snapshots, then read the diff"


def test_no_snapshot_is_left_over() -> None:
    assert {path.name for path in snapshots.FOLDER.iterdir()} == set(RENDERED)


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("name", samples.ALL)
def test_every_line_but_replay_keeps_to_the_width(name: str, width: int) -> None:
    for line in snapshots.terminal(samples.ALL[name](), width).splitlines():
        assert len(line) <= width or line.lstrip().startswith("replay"), line


def test_the_verdict_is_the_first_word() -> None:
    assert snapshots.terminal(samples.cheat(), 100).startswith("NON_COMPLIANT")
    assert render_markdown(samples.cheat()).startswith("### pgolf-verify: NON_COMPLIANT")


def test_fails_come_before_warnings_and_those_before_passes() -> None:
    text = snapshots.terminal(samples.cheat(), 100)
    marks = [text.index(f"\n{state}") for state in (State.FAIL, State.WARN, State.UNVERIFIED, State.PASS)]
    assert marks == sorted(marks)


def test_code_in_a_message_keeps_its_distance_from_the_words() -> None:
    assert (
        prose("read the *lines*; `--level probes` measures")
        == r"read the \*lines\*; `--level probes` measures"
    )


def test_replay_lines_survive_a_narrow_terminal_whole() -> None:
    text = snapshots.terminal(samples.cheat(), 40, saved_as="a/rather/long/folder/report.json")
    assert "pgolf-verify replay a/rather/long/folder/report.json --finding E1-floor" in text


def test_colour_repeats_what_the_text_says() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
    render_terminal(samples.cheat(), console)
    assert isinstance(console.file, io.StringIO)
    coloured = console.file.getvalue()
    assert "\x1b[" in coloured
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()] == RENDERED["cheat.txt"].splitlines()


def test_quiet_is_one_line() -> None:
    assert render_line(samples.honest()) == "COMPLIANT  score_first_ttt  11 PASS · 1 NOT_APPLICABLE"


def test_the_comment_quotes_the_rule_with_its_source() -> None:
    text = render_markdown(samples.cheat())
    assert "> **C1** Strict causal dependence." in text
    assert "[#1017](https://github.com/openai/parameter-golf/issues/1017)" in text
    assert "- replay: `pgolf-verify scored_slot --seed 471108`" in text
    assert "- legal contrast: score a chunk first, then train on it (#549)" in text


def test_a_report_without_findings_still_renders() -> None:
    assert "no findings" in snapshots.terminal(samples.report(), 80)
    assert "no findings" in render_markdown(samples.report())


nasty = st.text(st.characters() | st.sampled_from("\x1b`|*_<>[]@#\n\u202e\u200b"), max_size=40)


@given(nasty)
def test_clean_text_is_one_visible_line(text: str) -> None:
    shown = clean(text)
    assert shown.isprintable()
    assert clean(shown) == shown


@given(nasty)
def test_a_code_span_cannot_be_closed_from_inside(text: str) -> None:
    span = code(text)
    fence = re.match("`+", span)
    assert fence is not None
    longest = max((len(run) for run in re.findall("`+", clean(text))), default=0)
    assert span.startswith("`" * (longest + 1)) or longest == 0
    assert span.endswith("`" * (longest + 1))


@given(nasty)
def test_escaped_text_opens_no_html_link_or_mention(text: str) -> None:
    shown = escape(text).replace("@<!-- -->", "")
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>\[\]`|]", shown)
    assert "@" not in shown


@settings(max_examples=40)
@given(nasty)
def test_any_name_and_message_renders_within_its_place(text: str) -> None:
    finding = samples.finding("S1-any", text, State.FAIL, text, rules=("C1",), try_next=text, replayable=True)
    report = samples.report(finding)
    markdown = render_markdown(report)
    assert markdown.count("<details>") == markdown.count("</details>")
    assert "\x1b" not in markdown + snapshots.terminal(report, 80)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (31844.0, "31,844"),
        (0.31, "0.31"),
        (1e-7, "1e-07"),
        (10**400, "about 10^400"),
        (-12, "-12"),
    ],
)
def test_numbers_read_as_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_bpb_has_no_false_precision() -> None:
    assert [bpb_number(value) for value in (1.1, 1.14739, None, float("nan"))] == [
        "1.1",
        "1.14739",
        "none",
        "none",
    ]


def test_structures_stay_in_the_json() -> None:
    shown = evidence_line(samples.finding("X", "t", State.PASS, "m", n=1, many=[1, 2], text="a\nb", yes=True))
    assert shown == ["n 1", "yes yes"]
