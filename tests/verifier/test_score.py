"""The scoreboard, from lines and labels made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from verifier.batch.line import Failed, Line
from verifier.report.scoreboard import print_scoreboard, render_scoreboard, scoreboard_document
from verifier.score import Label, LabelError, Share, read_labels, score
from verifier.verdict import Call

GOOD, BAD, OPEN = Call.COMPLIANT, Call.NON_COMPLIANT, Call.NEEDS_REVIEW


def line(pr: int, verdict: Call, *grades: str, reached: bool | None = True, seconds: float = 10.0) -> Line:
    failed = tuple(Failed("E1-floor", grade, f"{pr} bits under the floor") for grade in grades)
    reason = f"E1-floor: {failed[0].message}" if failed else "no evidence" if verdict is OPEN else ""
    return Line(
        key=f"k{pr}",
        name=str(pr),
        status="audited",
        verdict=str(verdict),
        path="repo",
        pr=pr,
        sha="a" * 40,
        folder="records/x",
        failed=failed,
        reason=reason,
        reached=reached,
        seconds=seconds,
    )


def label(pr: int, kind: str, confidence: str = "high", *violations: str) -> Label:
    return Label(pr, kind, confidence, violations)


LABELS = (
    label(1, "legal"),
    label(2, "legal"),
    label(3, "legal", "medium"),
    label(4, "illegal", "high", "C1", "C3"),
    label(5, "illegal", "medium", "C1"),
    label(6, "illegal", "medium", "bytes"),
    label(7, "illegal", "low", "bytes"),
    label(8, "disputed"),
    label(9, "illegal", "high", "C3"),
)
LINES = (
    line(1, GOOD),
    line(2, BAD, "log", "probed"),  # a false accusation
    line(3, OPEN, reached=False),
    line(4, BAD, "replayed", seconds=30.0),
    line(5, GOOD),  # a miss
    line(6, BAD, "static"),
    line(7, OPEN, reached=None),
    line(8, BAD, "log"),
    line(77, GOOD),
)


def test_the_counts() -> None:
    board = score(LINES, LABELS)
    assert board.matrix == {
        "legal": {GOOD: 1, BAD: 1, OPEN: 1},
        "illegal": {GOOD: 1, BAD: 2, OPEN: 1},
        "disputed": {BAD: 1},
    }
    assert [row.label.pr for row in board.false_accusations] == [2]
    assert [row.label.pr for row in board.misses] == [5]
    assert [row.label.pr for row in board.reviews] == [3, 7]
    assert list(board.by_confidence) == [
        *(("legal", "high"), ("legal", "medium")),
        *(("illegal", "high"), ("illegal", "medium"), ("illegal", "low")),
        ("disputed", "high"),
    ]
    assert board.by_confidence["illegal", "medium"] == {GOOD: 1, BAD: 1}
    assert board.by_violation == {"C1": {GOOD: 1, BAD: 1}, "C3": {BAD: 1}, "bytes": {BAD: 1, OPEN: 1}}
    assert board.by_grade == {
        "static": {"illegal": 1},
        "log": {"disputed": 1},
        "probed": {"legal": 1},
        "replayed": {"illegal": 1},
        "decoded": {},
    }
    assert board.proven == Share(1, 3)  # of #4, #5 and #6: a static match proves nothing
    assert board.reached == Share(6, 7)
    assert board.median_seconds == 10.0


def test_what_only_one_list_has_is_named() -> None:
    board = score(LINES, LABELS)
    assert (board.not_audited, board.unlabelled) == ((9,), ("77",))
    assert "#9" in render_scoreboard(board)


def test_the_last_line_of_a_pull_request_counts() -> None:
    board = score((line(1, BAD, "log"), line(1, GOOD)), LABELS[:1])
    assert board.matrix == {"legal": {GOOD: 1}}
    assert board.repeated == (1,)


def test_a_line_without_report_is_a_review_and_is_named() -> None:
    board = score((replace(line(4, OPEN, reached=None), status="killed"),), LABELS)
    assert [row.label.pr for row in board.unfinished] == [4]
    assert board.median_seconds is None
    assert "no report: 1: #4" in render_scoreboard(board)


def test_another_folder_than_the_label_is_about_is_named() -> None:
    labels = [replace(LABELS[0], folder="records/y"), replace(LABELS[1], head_sha="b" * 40), LABELS[2]]
    assert [row.label.pr for row in score(LINES, labels).elsewhere] == [1, 2]


def test_nothing_at_all() -> None:
    board = score((), ())
    assert (board.matrix, board.reached, str(board.proven)) == ({}, Share(0, 0), "0 of 0")
    assert "none was run" in render_scoreboard(board)
    json.loads(scoreboard_document(board))


def test_every_disagreement_has_its_reason_in_each_form() -> None:
    board = score(LINES, LABELS)
    console = Console(record=True, width=200)
    print_scoreboard(board, console)
    for text in (console.export_text(), render_scoreboard(board).replace("\\", "")):
        assert "#2 legal high, we say NON_COMPLIANT (probed): E1-floor: 2 bits under the floor" in text
        assert "#5 illegal medium C1, we say COMPLIANT: every requirement is met" in text
    document = json.loads(scoreboard_document(board))
    assert document["matrix"]["illegal"] == {"COMPLIANT": 1, "NON_COMPLIANT": 2, "NEEDS_REVIEW": 1}
    assert document["proven"] == {"part": 1, "whole": 3}
    assert len(document["rows"]) == 8


def test_labels_are_read_with_what_they_have(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(
        '{"pr": 4, "label": "illegal", "violations": ["C1"], "folder": null, "extra": 1}\n\n{"pr": 5, "label": "legal"}\n'
    )
    assert read_labels(path) == (Label(4, "illegal", "", ("C1",)), Label(5, "legal"))


@pytest.mark.parametrize(
    "row", ["{", "[]", '{"pr": 1}', '{"label": "legal"}', '{"pr": "x", "label": "legal"}', "1"]
)
def test_a_row_that_is_no_label_is_named(tmp_path: Path, row: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(f'{{"pr": 5, "label": "legal"}}\n{row}\n')
    with pytest.raises(LabelError, match=r"labels\.jsonl:2 is not a label"):
        read_labels(path)
