"""The table of decode proofs: what a row says, and which rows a page keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.decodes import MARKER, Row, kept
from verifier.finding import Outcome, failed, passed, unverified

DECODED = passed(
    "decoded",
    tokens=4096,
    bitstream_bytes=5192,
    bits=41536,
    model_bits=41531.9,
    largest_gap_nats=9.2e-7,
)


def test_a_row_has_tokens_bytes_bits_and_the_gap() -> None:
    assert Row("fair", True, DECODED).markdown() == (
        "| `fair` | legal | 4,096 | 5,192 | 41,536 / 41,531.9 (+0.010%) | 9.2e-07 | decoded |"
    )


def test_a_row_without_bits_has_the_reason() -> None:
    row = Row("cheat", False, failed("the probabilities sum to 2; more", position=3))
    assert row.markdown() == "| `cheat` | illegal |  |  |  |  | FAIL: the probabilities sum to 2 |"


@pytest.mark.parametrize(
    ("legal", "outcome", "expected"),
    [
        (True, DECODED, True),
        (True, unverified("no time"), False),
        (False, DECODED, False),
        (False, unverified("no time"), False),
        (False, failed("other tokens"), True),
    ],
)
def test_what_is_expected(legal: bool, outcome: Outcome, expected: bool) -> None:
    assert Row("some", legal, outcome).expected == expected


def test_rows_that_were_not_measured_are_kept(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        f"<!-- {MARKER} -->\n| head |\n| `old` | legal |\n| `new` | legal |\n<!-- /{MARKER} -->\n"
    )
    assert kept(page, {"new"}) == {"old": "| `old` | legal |"}
