"""A challenge in one screen, as a comment, and as JSON: the answer first, then what it rests on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from statistics import stdev
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verifier.challenge import Answer, Challenge, Difference, Side
from verifier.finding import State
from verifier.report.json import plain
from verifier.report.markdown import code, escape
from verifier.report.terminal import CALL_STYLE, STATE_STYLE, plain_table
from verifier.report.wording import bpb_number, clean, number, origin_words
from verifier.seedrun import SeedRun
from verifier.significance import MARGIN_NATS

ANSWER_STYLE = {Answer.YES: "bold green", Answer.NO: "bold red", Answer.OPEN: "bold yellow"}
DIFFERENCES_SHOWN = 10
SHORT_MESSAGE = 110


def render_challenge(found: Challenge, console: Console) -> None:
    """Print it. Plain text carries everything."""
    console.print(_question(found))
    for ruling in (found.practice, found.written):
        line = Text(f"{ruling.answer:<5}", ANSWER_STYLE[ruling.answer])
        console.print(line.append(f" {ruling.rule}: {clean(ruling.why)}", "default not bold"))
    console.print()
    table = plain_table("", "challenger", "holder")
    for name, left, right in _rows(found):
        table.add_row(Text(name, "dim"), Text(left, _style(name, left)), Text(right, _style(name, right)))
    console.print(table)
    console.print()
    facts = plain_table("", "")
    for name, words in (*_numbers(found), *_techniques(found)):
        facts.add_row(Text(name, "dim"), words)
    console.print(facts)
    if found.differences:
        console.print()
        console.print(_differences(found.differences))


def render_challenge_markdown(found: Challenge) -> str:
    """A comment: rulings, numbers, techniques, findings."""
    lines = [f"### {escape(_question(found))}", ""]
    lines += [
        f"- **{ruling.answer}** {escape(ruling.rule)}: {escape(ruling.why)}"
        for ruling in (found.practice, found.written)
    ]
    lines += ["", "| | challenger | holder |", "|---|---|---|"]
    lines += [f"| {name} | {escape(left)} | {escape(right)} |" for name, left, right in _rows(found)]
    lines += ["", *(f"- {name}: {escape(words)}" for name, words in (*_numbers(found), *_techniques(found)))]
    if found.differences:
        lines += ["", "| check | challenger | holder | |", "|---|---|---|---|"]
        lines += [
            f"| {code(each.check)} | {_state(each.challenger)} | {_state(each.holder)} | {escape(each.message)} |"
            for each in found.differences
        ]
    return "\n".join(lines) + "\n"


def challenge_document(found: Challenge) -> dict[str, Any]:
    """As JSON values."""
    document: dict[str, Any] = plain(
        {
            "challenger": _side_document(found.challenger),
            "holder": _side_document(found.holder),
            "gap_bpb": found.gap_bpb,
            "gap_nats": found.gap_nats,
            "margin_nats": MARGIN_NATS,
            "margins_bpb": found.margins_bpb,
            "welch": None if found.better is None else asdict(found.better),
            "welch_against_margin": None
            if found.better_by_margin is None
            else asdict(found.better_by_margin),
            "written": asdict(found.written),
            "practice": asdict(found.practice),
            "techniques": {
                "challenger": found.only_challenger,
                "holder": found.only_holder,
                "both": found.shared,
            },
            "findings": [asdict(each) for each in found.differences],
        }
    )
    return document


def render_challenge_json(found: Challenge) -> str:
    return json.dumps(challenge_document(found), ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def named(side: Side) -> str:
    """The pull request where there is one, else the name."""
    submission = side.report.submission
    git = submission.git
    return f"#{git.pr}" if git is not None and git.pr is not None else clean(submission.name)


def _question(found: Challenge) -> str:
    return f"Is {named(found.challenger)} a record over {named(found.holder)}?"


def _rows(found: Challenge) -> list[tuple[str, str, str]]:
    tellers: dict[str, Callable[[Side], str]] = {
        "name": lambda side: clean(side.report.submission.name),
        "commit": _commit,
        "author": _author,
        "audit": _audit,
        "BPB": _bpb,
        "nats a token": _nats,
        "seeds": _seeds,
        "bytes": lambda side: _most(side, lambda run: run.artifact_bytes),
        "training s": lambda side: _most(side, lambda run: run.train_seconds),
        "evaluation s": lambda side: _most(side, lambda run: run.eval_seconds),
    }
    rows = [(name, tell(found.challenger), tell(found.holder)) for name, tell in tellers.items()]
    return [row for row in rows if row[1] or row[2]]


def _commit(side: Side) -> str:
    git = side.report.submission.git
    return "" if git is None else origin_words(git)


def _author(side: Side) -> str:
    submission = side.report.submission
    return ", ".join(clean(each) for each in (submission.author, submission.date) if each)


def _audit(side: Side) -> str:
    return f"{side.report.verdict.call} (level {clean(side.report.run.level)})"


def _bpb(side: Side) -> str:
    if not side.report.seed_runs:
        return f"{bpb_number(side.mean)} (claimed; no log gives it)" if side.values else "none"
    spread = f" ± {stdev(side.values):.5f}" if len(side.values) > 1 else ""
    return f"{bpb_number(side.mean)}{spread}"


def _nats(side: Side) -> str:
    if side.nats_per_bpb is None or side.mean is None:
        return "not logged"
    return f"{side.mean * side.nats_per_bpb:.5f}"


def _seeds(side: Side) -> str:
    runs = side.report.seed_runs
    return (
        f"{len(runs)}: " + " ".join("?" if run.seed is None else str(run.seed) for run in runs)
        if runs
        else "0"
    )


def _most(side: Side, read: Callable[[SeedRun], float | None]) -> str:
    values = [value for run in side.report.seed_runs if (value := read(run)) is not None]
    return number(round(max(values), 1)) if values else "not logged"


def _numbers(found: Challenge) -> list[tuple[str, str]]:
    if found.gap_bpb is None:
        return [("gap", "unknown: a side gives no bits per byte")]
    side = "lower" if found.gap_bpb > 0 else "higher" if found.gap_bpb < 0 else "the same"
    nats = "" if found.gap_nats is None else f", {abs(found.gap_nats):.5f} nats a token"
    lines = [("gap", f"{abs(found.gap_bpb):.5f} BPB {side}{nats}")]
    if found.margins_bpb:
        words = [f"{margin:.5f}" for margin in dict.fromkeys(round(each, 5) for each in found.margins_bpb)]
        apart = " by the challenger's and by the holder's bytes per token" if len(words) > 1 else ""
        lines.append(("margin", f"{MARGIN_NATS} nats a token are {' or '.join(words)} BPB{apart}"))
    if found.better is not None:
        test = found.better
        text = f"t {test.t:.2f}, {test.freedom:.1f} degrees of freedom; p {test.p:.3g} that it is no better"
        if found.better_by_margin is not None:
            text += f", {found.better_by_margin.p:.3g} that it is better by less than the margin"
        lines.append(("Welch", text))
    return lines


def _techniques(found: Challenge) -> list[tuple[str, str]]:
    lists = (
        ("only challenger", found.only_challenger),
        ("only holder", found.only_holder),
        ("both name", found.shared),
    )
    return [(name, ", ".join(words)) for name, words in lists if words]


def _differences(differences: tuple[Difference, ...]) -> Table:
    table = plain_table("findings that differ", "challenger", "holder", "")
    for each in differences[:DIFFERENCES_SHOWN]:
        states = [
            Text(_state(one), STATE_STYLE[one] if one else "dim") for one in (each.challenger, each.holder)
        ]
        message = clean(each.message)
        short = message if len(message) <= SHORT_MESSAGE else message[: SHORT_MESSAGE - 1] + "…"
        table.add_row(Text(each.check, "bold"), *states, Text(short))
    if len(differences) > DIFFERENCES_SHOWN:
        table.add_row(
            Text(f"{len(differences) - DIFFERENCES_SHOWN} more", "dim"),
            "",
            "",
            Text("--json has them", "dim"),
        )
    return table


def _state(state: State | None) -> str:
    return "not run" if state is None else str(state).replace("NOT_APPLICABLE", "n/a")


def _style(name: str, text: str) -> str:
    calls = {str(call): style for call, style in CALL_STYLE.items()}
    return calls.get(text.partition(" ")[0], "") if name == "audit" else ""


def _side_document(side: Side) -> dict[str, Any]:
    report = side.report
    git = report.submission.git
    return {
        "name": report.submission.name,
        "pr": None if git is None else git.pr,
        "sha": None if git is None else git.sha,
        "verdict": report.verdict.call,
        "level": report.run.level,
        "mean_bpb": side.mean,
        "nats_per_bpb": side.nats_per_bpb,
        "values_bpb": side.values,
        "seed_runs": [asdict(run) for run in report.seed_runs],
    }
