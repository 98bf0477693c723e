"""What the smaller commands print: a check's page, the lists of checks and rules, a replay, the doctor."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from verifier.checks import Check
from verifier.replay import Comparison
from verifier.report.model import RuleText
from verifier.report.terminal import STATE_STYLE, plain_table
from verifier.report.wording import clean, number

AS_NEAR = 0.15
"""Of two likenesses between 0 and 1: how much worse the second guess may be to be worth a reader's time."""
FOUR_COLUMNS = 100
"""Characters under which a table of four columns would break the names of checks."""


def print_checks(checks: Sequence[Check], console: Console) -> None:
    """One line for each check: id, strength of evidence, title."""
    table = plain_table("check", "evidence", "what it shows")
    for check in checks:
        table.add_row(Text(check.id, "bold"), check.grade, Text(check.title))
    console.print(table)


def print_check(check: Check, rules: Mapping[str, RuleText], console: Console) -> None:
    """A check's page: its docstring, under the rules that it bears on."""
    console.print(Text.assemble((check.id, "bold"), f"  {check.title}"))
    console.print(Text(f"{check.grade} evidence", "dim"))
    for id in check.rules:
        console.print(Text(f"rule {id}  {rules[id].title}" if id in rules else f"rule {id}", "dim"))
    console.print()
    console.print(_reflowed(check.page), markup=False, highlight=False)


def print_rule(rule: RuleText, checks: Iterable[Check], console: Console) -> None:
    """A rule as its edition words it, and the checks that bear on it."""
    console.print(Text.assemble((rule.id, "bold"), f"  {rule.title}"))
    console.print(Text(f"{rule.status}  {' '.join(rule.sources)}".rstrip(), "dim"))
    console.print()
    console.print(rule.text, markup=False, highlight=False)
    bearing = [check for check in checks if rule.id in check.rules]
    console.print()
    if not bearing:
        console.print("No check bears on it.")
    for check in bearing:
        console.print(Text.assemble((check.id, "bold"), f"  {check.title}"))


def print_rules(edition: str, rules: Sequence[RuleText], checks: Sequence[Check], console: Console) -> None:
    """The edition as a list, with the checks that bear on each rule."""
    console.print(Text(f"rule edition {edition}", "bold"))
    table = plain_table("rule", "status", "title", "checks")
    for rule in rules:
        bearing = " ".join(check.id for check in checks if rule.id in check.rules)
        if console.width >= FOUR_COLUMNS:
            table.add_row(Text(rule.id, "bold"), Text(rule.status), Text(rule.title), Text(bearing))
            continue
        console.print(Text.assemble((rule.id, "bold"), f"  {rule.title}  ", (rule.status, "dim")))
        if bearing:
            console.print(Padding(Text(bearing), (0, 0, 0, 4)))
    if table.row_count:
        console.print(table)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Recorded beside replayed, number by number."""
    recorded, replayed = comparison.recorded, comparison.replayed
    word = "agrees" if comparison.agrees else "DIFFERS"
    head = Text(word, "green" if comparison.agrees else "bold red")
    head.append(f"  {clean(recorded.check)}  {clean(recorded.title)}", "default not bold")
    console.print(head)
    table = plain_table("", "recorded", "replayed")
    now = Text("no such finding") if replayed is None else Text(replayed.state, STATE_STYLE[replayed.state])
    table.add_row("state", Text(recorded.state, STATE_STYLE[recorded.state]), now)
    for pair in comparison.pairs:
        text = "none" if pair.replayed is None else number(pair.replayed)
        table.add_row(
            Text(clean(pair.name)), number(pair.recorded), Text(text, "" if pair.agrees else "bold red")
        )
    console.print(Padding(table, (0, 0, 1, 2)))


def print_facts(facts: Iterable[tuple[str, str]], console: Console) -> None:
    """Names and what was found under them."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in facts:
        table.add_row(Text(clean(name)), Text(clean(text)))
    console.print(table)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean A or B?`, or nothing when nothing is near. B only where it is nearly as near as A."""
    by_lower = {each.lower(): each for each in known}
    starts = [lower for lower in by_lower if lower.startswith(name.lower())]
    near = difflib.get_close_matches(name.lower(), by_lower, n=2, cutoff=0.6)
    ratios = [difflib.SequenceMatcher(None, name.lower(), lower).ratio() for lower in near]
    near = [lower for lower, ratio in zip(near, ratios, strict=True) if ratio > ratios[0] - AS_NEAR]
    best = (starts or near)[:2]
    return f"did you mean {' or '.join(by_lower[each] for each in best)}?" if best else ""


def _reflowed(page: str) -> str:
    """Paragraphs as one line each, for the terminal to wrap; indented lines and lists stay as they are."""
    paragraphs = page.split("\n\n")
    return "\n\n".join(
        paragraph if re.search(r"^(\s|[-*] )", paragraph, re.MULTILINE) else paragraph.replace("\n", " ")
        for paragraph in paragraphs
    )
