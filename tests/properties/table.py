"""Runs every property and writes what was drawn: examples, illegal twins caught, seconds of one core.

    python -m tests.properties.table [--profile deep] [--write README.md]

Exits with 1, and writes nothing, when a property fails.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from verifier.report.markers import write_between

FOLDER = Path(__file__).parent
MARKER = "properties"
_PASSING = re.compile(r"(\d+) passing")


@dataclass
class Row:
    """A file of `tests/properties`: one property."""

    name: str
    sentence: str
    examples: int = 0
    twins: int = 0
    cpu_seconds: float = 0.0

    def markdown(self) -> str:
        return f"| {self.sentence} | {self.examples:,} | {self.twins} | {self.cpu_seconds:.0f} |"


@dataclass
class Collector:
    """A pytest plugin that adds up what each file did."""

    rows: dict[str, Row] = field(default_factory=dict)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            self.rows.setdefault(item.path.name, Row(item.path.stem, sentence_of(item.path)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        started = time.process_time()
        result = yield
        row = self.rows[item.path.name]
        row.cpu_seconds += time.process_time() - started
        row.twins += item.get_closest_marker("mutant") is not None
        row.examples += passing_examples(getattr(item, "hypothesis_statistics", ""))
        return result


def passing_examples(statistics: str) -> int:
    """The examples that a test's statistics count as passing, over all of its phases."""
    return sum(int(count) for count in _PASSING.findall(statistics))


def sentence_of(path: Path) -> str:
    """The first paragraph's first line of a file's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or path.stem
    return text.partition("\n")[0].rstrip(".")


def table(rows: Iterable[Row], profile: str) -> str:
    """The rows as Markdown, with their sums."""
    listed = sorted(rows, key=lambda row: row.name)
    total = Row(
        "total",
        f"all, profile `{profile}`",
        sum(row.examples for row in listed),
        sum(row.twins for row in listed),
        sum(row.cpu_seconds for row in listed),
    )
    head = "| property | examples | illegal twins caught | CPU s |\n|---|---:|---:|---:|"
    return "\n".join((head, *(row.markdown() for row in (*listed, total))))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--profile", default="ci", help="a Hypothesis profile: ci or deep")
    parser.add_argument("--write", type=Path, help=f"a page with a <!-- {MARKER} --> block")
    args = parser.parse_args()
    collector = Collector()
    options = ["-q", "-p", "no:cacheprovider", "--hypothesis-profile", args.profile, str(FOLDER)]
    if code := pytest.main(options, plugins=[collector]):
        return int(code)
    text = table(collector.rows.values(), args.profile)
    if args.write is not None:
        write_between(args.write, MARKER, text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
