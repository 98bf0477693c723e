"""The table of the properties adds up what Hypothesis says of each test."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.statistics import collector, describe_statistics

from tests.properties.table import Row, passing_examples, sentence_of, table


def test_passing_examples_are_read_from_the_statistics() -> None:
    seen: list[int] = []
    told: list[str] = []

    @settings(max_examples=37)
    @given(st.integers())
    def body(number: int) -> None:
        seen.append(number)

    with collector.with_value(lambda stats: told.append(describe_statistics({"nodeid": "x", **stats}))):
        body()
    assert [passing_examples(text) for text in told] == [len(seen)] == [37]


def test_a_row_s_sentence_is_its_file_s_first_line(tmp_path: Path) -> None:
    page = tmp_path / "test_x.py"
    page.write_text('"""Nothing is\nlost."""\n')
    assert sentence_of(page) == "Nothing is"


def test_the_last_row_is_the_sum() -> None:
    text = table([Row("b", "two", 1_000, 1, 1.4), Row("a", "one", 234, 2, 2.3)], "deep")
    assert text.splitlines()[2:] == [
        "| one | 234 | 2 | 2 |",
        "| two | 1,000 | 1 | 1 |",
        "| all, profile `deep` | 1,234 | 3 | 4 |",
    ]
