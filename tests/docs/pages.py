"""`python -m tests.docs.pages --write`: a page for each check, from its docstring and its examples.

The examples are written by `tests.docs.examples`; `test_pages` runs them, and fails when a page is not up to date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.docs.examples import Example, examples_of
from verifier.audit import all_rules
from verifier.checks import Check, load_checks
from verifier.finding import Grade
from verifier.report.model import RuleText
from verifier.report.store import write_whole

FOLDER = Path(__file__).parents[2] / "docs" / "checks"
INDEX = "README.md"
HEADINGS = {"illegal": "Illegal", "lookalike": "Looks illegal, and is legal"}
LEVELS = {Grade.LOG: " --level documents", Grade.STATIC: " --level static"}
SHOWN_LINES = 24
NOTICE = "<!-- Written by `python -m tests.docs.pages --write`; edit the check's docstring instead. -->\n<!-- fmt: off -->"
"""The second line keeps the formatter from code that is quoted as its test has it."""


def all_pages() -> dict[str, str]:
    """The text of each page by its file name."""
    checks, rules = load_checks(), {rule.id: rule for rule in all_rules()}
    return {INDEX: index(checks)} | {f"{check.id}.md": page(check, rules) for check in checks}


def index(checks: tuple[Check, ...]) -> str:
    rows = [f"| [{each.id}]({each.id}.md) | {each.grade} | {each.title} |" for each in checks]
    return "\n".join(
        [
            "# Checks",
            "",
            NOTICE,
            "",
            "One page for each check, with a folder to try it on. `pgolf-verify explain ID` prints the same text. What a",
            "state and a grade of evidence mean is in the [README](../../README.md).",
            "",
            "| check | evidence | what it shows |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def page(check: Check, rules: Mapping[str, RuleText]) -> str:
    cited = [f"- rule {id}" + (f": {rules[id].title}" if id in rules else "") for id in check.rules]
    examples = examples_of(check)
    blocks = [
        f"# {check.id}: {check.title}",
        NOTICE,
        f"Evidence: {check.grade}. It bears on:" if cited else f"Evidence: {check.grade}.",
        *(["\n".join(cited)] if cited else []),
        check.page,
        "## Try it",
        _commands(check, examples),
    ]
    for kind, heading in HEADINGS.items():
        if kind in examples:
            blocks += _example(heading, examples[kind])
    return "\n\n".join(blocks) + "\n"


def _commands(check: Check, examples: Mapping[str, Example]) -> str:
    kind = "illegal" if "illegal" in examples else "legal"
    said = " · ".join(f"{kind}: {example.state}" for kind, example in examples.items())
    return (
        "From a checkout of this repository:\n\n"
        f"```console\n$ python -m tests.docs.examples {check.id} {kind} example\n"
        f"$ pgolf-verify example{LEVELS.get(check.grade, '')}\n```\n\n"
        f"What it says of each example: {said}."
        + ("" if "illegal" in examples else " Nothing in the corpus breaks it.")
    )


def _example(heading: str, example: Example) -> list[str]:
    if example.submission:
        return [f"### {heading}", f"`submissions/{example.submission}`: {example.what}."]
    lines = example.shown.splitlines()
    cut = ["…"] if len(lines) > SHOWN_LINES else []
    language = "c" if example.files else "python" if example.shown in (example.script or "") else "diff"
    block = "\n".join([*lines[:SHOWN_LINES], *cut])
    environment = " ".join(f"{name}={value}" for name, value in example.environment.items())
    note = f" Run with `{environment}`." if environment else ""
    return [
        f"### {heading}",
        f"{example.what[:1].upper()}{example.what[1:]}.{note}",
        f"```{language}\n{block}\n```",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.docs.pages", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--write", action="store_true", help="write docs/checks; without it, only say what differs"
    )
    options = parser.parse_args()
    pages = all_pages()
    there = {path.name for path in FOLDER.glob("*.md")}
    stale = sorted(
        name for name, text in pages.items() if name not in there or (FOLDER / name).read_text() != text
    )
    stray = sorted(there - set(pages))
    if options.write:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in stale:
            write_whole(FOLDER / name, pages[name])
        for name in stray:
            (FOLDER / name).unlink()
    print(f"{len(pages)} pages, {len(stale)} changed, {len(stray)} of no check")
    return 0 if options.write or not (stale or stray) else 1


if __name__ == "__main__":
    sys.exit(main())
