"""The examples of docs/testing.md run, and its messages are those that they give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "testing.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"<!-- example: (.+?) -->\n```python\n(.+?)```", PAGE, re.DOTALL))
MESSAGES = dict(re.findall(r"<!-- message: (.+?) -->\n```text\n(.+?)\n```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def page() -> dict[str, object]:
    """Every name that the page defines, by example."""
    names: dict[str, object] = {"__name__": "docs.testing"}
    for name, code in EXAMPLES.items():
        exec(compile(code, f"docs/testing.md: {name}", "exec"), names)
    return names


def example(name: str, page: dict[str, object]) -> object:
    (found,) = re.findall(r"def (test_\w+)", EXAMPLES[name])
    return page[found]


def test_every_message_belongs_to_an_example() -> None:
    assert set(MESSAGES) == set(EXAMPLES) - {"legal"}


def test_the_legal_scorer_passes(page) -> None:
    example("legal", page)()


@pytest.mark.parametrize("name", MESSAGES)
def test_an_illegal_scorer_gets_the_message_of_the_page(name: str, page) -> None:
    with pytest.raises(AssertionError) as caught:
        example(name, page)()
    assert str(caught.value) == MESSAGES[name]
