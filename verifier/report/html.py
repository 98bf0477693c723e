"""The report as one self-contained page: no request leaves it, and nothing that a submission wrote runs in it.

Every string is cleaned and escaped on its way into the template, and a content security policy allows the
page's own style and script by their digests and nothing else, should an escape ever be missed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from verifier.finding import Finding, State, Where
from verifier.report.json import plain, render_json
from verifier.report.markdown import CONTEST
from verifier.report.model import Report, RuleText, Snippet
from verifier.report.pictures import pictures
from verifier.report.wording import (
    HIDDEN_CATEGORIES,
    SAVED_REPORT,
    again_command,
    bpb_number,
    clean,
    counts_line,
    measured_words,
    missing_evidence,
    number,
    origin_words,
    replay_command,
    run_line,
)
from verifier.verdict import Call

LOUD = (State.FAIL, State.ERROR, State.UNRULED, State.WARN)
"""States whose findings are shown whole, worst first; the rest are lines of a list."""
PLACES_SHOWN = 3
STRUCTURE_CHARS = 6000
"""Of one structure of the evidence; the data of the page have it whole."""
CALL_WORDS = {
    Call.COMPLIANT: "COMPLIANT",
    Call.NON_COMPLIANT: "NON-COMPLIANT",
    Call.NEEDS_REVIEW: "NEEDS REVIEW",
}
STATUS_WORDS = {
    "OFF": "official: README or root script",
    "ORG": "an organizer's comment",
    "MERGE": "as merged records do",
    "COM": "community text",
    "OPEN": "never ruled",
}


@dataclass(frozen=True)
class Code:
    """The lines around one place or several, numbered, with the places marked."""

    place: str
    text: Markup
    again: bool = False
    """An earlier card of the page shows the same."""


@dataclass(frozen=True)
class Card:
    """One finding with all that a reader needs to judge it."""

    finding: Finding
    codes: tuple[Code, ...]
    place: str
    """The first place, and how many more there are."""
    more_places: tuple[str, ...]
    scalars: tuple[tuple[str, str], ...]
    structures: tuple[tuple[str, str], ...]
    legal: str | None
    also: tuple[str, ...]
    """Other rules that it cites."""
    replay: str | None
    page: str
    """The check's page, in paragraphs."""


@dataclass(frozen=True)
class Section:
    """One rule with the findings that cite it first."""

    rule: RuleText | None
    status: str
    sources: tuple[tuple[str, str | None], ...]
    """Words and, where there is one, address."""
    cards: tuple[Card, ...]

    @property
    def slug(self) -> str:
        return "rule-" + ("none" if self.rule is None else re.sub(r"[^\w-]", "_", self.rule.id))


def render_html(
    report: Report,
    pages: Mapping[str, str] | None = None,
    saved_as: str = SAVED_REPORT,
    back: str | None = None,
) -> str:
    """The page. `pages` has the page of each check by its id; `saved_as` is the file that replay lines name;
    `back` is the address of the table that the page belongs to."""
    style, script = asset("report.css"), asset("report.js")
    text: str = (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            verdict=report.verdict,
            call=CALL_WORDS[report.verdict.call],
            style=Markup(style),
            script=Markup(script),
            policy=policy(style, script),
            back=back,
            counts=counts_line(report),
            bpb=_bpb(report),
            needed=missing_evidence(report),
            sections=_sections(report, pages or {}, saved_as),
            quiet=report.in_state(State.UNVERIFIED, State.PASS, State.NOT_APPLICABLE),
            pictures=[(each, Markup(each.svg)) for each in pictures(report)],
            facts=_facts(report),
            runs=_runs(report),
            again=again_command(report, report.submission.path),
            data=_data(report, saved_as),
        )
    )
    return text


@cache
def environment() -> Environment:
    """Of every page: all text is cleaned and escaped, and a name that is not given is an error."""
    environment = Environment(
        loader=PackageLoader("verifier.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            value if not isinstance(value, str) or isinstance(value, Markup) else clean(value)
        ),
    )
    environment.filters |= {"prose": prose, "number": number, "paragraphs": _paragraphs, "lines": _lines}
    return environment


def prose(text: str) -> Markup:
    """A message: what it quotes in backticks is code, the rest is text."""
    parts = re.split(r"`([^`]+)`", clean(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )


def _paragraphs(text: str) -> Markup:
    return Markup("").join(
        Markup("<p>{}</p>").format(prose(part)) for part in text.split("\n\n") if part.strip()
    )


def _lines(text: str) -> Markup:
    return Markup("\n").join(_visible(line) for line in text.split("\n"))


def asset(name: str) -> str:
    """The text of a file beside the templates."""
    return resources.files("verifier.report").joinpath("templates", name).read_text(encoding="utf-8")


def policy(style: str, *scripts: str) -> str:
    """What a page may load: its own style and its own scripts, by their digests."""
    allowed = " ".join(f"'{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(report: Report, saved_as: str) -> Markup:
    """The JSON report for a script element: it cannot be closed from inside, and reads back the same."""
    text = render_json(report, saved_as)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


def _bpb(report: Report) -> tuple[tuple[str, str, str], ...]:
    """Name, number and where from."""
    bpb = report.bpb
    claimed = f"submission.json {bpb.claimed_key}" if bpb.claimed_key else "submission.json"
    logs = "no log gives it"
    if bpb.logged:
        logs = (
            f"mean of {len(bpb.logged)} logs"
            if len(bpb.logged) > 1
            else f"{bpb.logged[0].file}:{bpb.logged[0].line}"
        )
    ours = report.run.not_run or "nothing was executed"
    if bpb.measured is not None:
        ours = measured_words(bpb.measured)
    return (
        ("claimed", bpb_number(bpb.claimed), claimed),
        ("logged", bpb_number(bpb.logged_mean), logs),
        ("measured here", bpb_number(None if bpb.measured is None else bpb.measured.val_bpb), ours),
    )


def _sections(report: Report, pages: Mapping[str, str], saved_as: str) -> tuple[Section, ...]:
    """Findings under the first rule that they cite: the rule with the worst finding first."""
    cards: dict[str, list[Card]] = {}
    for finding in report.in_state(*LOUD):
        first = finding.rules[0] if finding.rules else ""
        cards.setdefault(first, []).append(_card(finding, report, pages, saved_as))
    rules = {rule.id: rule for rule in report.rules}
    seen: set[Markup] = set()
    return tuple(_section(rules.get(id), _once(group, seen)) for id, group in cards.items())


def _once(cards: Iterable[Card], seen: set[Markup]) -> Iterator[Card]:
    """With the code that the page has shown before marked as such."""
    for card in cards:
        yield replace(card, codes=tuple(replace(code, again=code.text in seen) for code in card.codes))
        seen |= {code.text for code in card.codes if code.text}


def _section(rule: RuleText | None, cards: Iterable[Card]) -> Section:
    if rule is None:
        return Section(None, "", (), tuple(cards))
    words = [STATUS_WORDS.get(word) for word in rule.status.split()]
    status = ", ".join(word for word in words if word) if all(words) else rule.status
    return Section(rule, status, tuple(_source(each) for each in rule.sources), tuple(cards))


def _source(source: str) -> tuple[str, str | None]:
    if re.fullmatch(r"#\d+", source):
        return source, f"{CONTEST}/issues/{source[1:]}"
    return source, source if re.fullmatch(r"https://[\w./#?=&%+-]+", source) else None


def _card(finding: Finding, report: Report, pages: Mapping[str, str], saved_as: str) -> Card:
    return Card(
        finding=finding,
        codes=tuple(_codes(finding.where[:PLACES_SHOWN], report.snippets)),
        place=_first(finding.where),
        more_places=tuple(str(where) for where in finding.where[PLACES_SHOWN:]),
        scalars=tuple(_scalars(finding)),
        structures=tuple(_structures(finding)),
        legal=report.legal.get(finding.check) or _legal(pages.get(finding.check, "")),
        also=finding.rules[1:],
        replay=replay_command(finding, saved_as),
        page=pages.get(finding.check, ""),
    )


def _legal(page: str) -> str | None:
    found = re.search(r"Legal contrast:\s*(.+?)(?:\n\s*\n|\Z)", page, re.DOTALL)
    return None if found is None else " ".join(found.group(1).split())


def _first(places: Sequence[Where]) -> str:
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"{places[0]}{more}" if places else ""


def _codes(places: Sequence[Where], snippets: Sequence[Snippet]) -> Iterator[Code]:
    """Each place with the lines around it; places that one snippet shows share it."""
    shared: dict[Snippet, list[Where]] = {}
    for where in places:
        around = next((each for each in [*shared, *snippets] if _shows(each, where)), None)
        if around is None:
            yield Code(str(where), Markup("") if where.excerpt is None else _visible(where.excerpt))
        else:
            shared.setdefault(around, []).append(where)
    for around, group in shared.items():
        yield Code(", ".join(map(str, group)), _numbered(around, {where.line for where in group}))


def _shows(snippet: Snippet, where: Where) -> bool:
    after = snippet.line + len(snippet.lines)
    return snippet.file == where.file and where.line is not None and snippet.line <= where.line < after


def _numbered(snippet: Snippet, marked: Container[int | None]) -> Markup:
    """One line of the page for each, without the indentation that all share."""
    plain_lines = [line.expandtabs(4) for line in snippet.lines]
    deep = min((len(line) - len(line.lstrip()) for line in plain_lines if line.strip()), default=0)
    rows = []
    for at, line in enumerate(plain_lines, snippet.line):
        row = Markup('<span class="n">{}</span>{}').format(at, _visible(line[deep:]))
        rows.append(Markup("<mark>{}</mark>").format(row) if at in marked else row)
    return Markup("\n").join(rows)


def _visible(line: str) -> Markup:
    """A line of code with its indentation; what hides is written as an escape."""
    shown = "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in HIDDEN_CATEGORIES else char
        for char in line.expandtabs(4)
    )
    return escape(shown)


def _scalars(finding: Finding) -> Iterable[tuple[str, str]]:
    for name, value in finding.evidence.items():
        if isinstance(value, bool):
            yield name, "yes" if value else "no"
        elif isinstance(value, int | float):
            yield name, number(value) if value == value and abs(value) != float("inf") else str(value)
        elif isinstance(value, str) and "\n" not in value:
            yield name, value


def _structures(finding: Finding) -> Iterable[tuple[str, str]]:
    """Lists and mappings as JSON, tracebacks as they are; each cut to what a page can hold."""
    for name, value in finding.evidence.items():
        if isinstance(value, str):
            text = value if "\n" in value else ""
        elif value is None or isinstance(value, bool | int | float):
            continue
        else:
            text = json.dumps(plain(value), ensure_ascii=False, indent=1)
        if text:
            yield (
                name,
                text
                if len(text) <= STRUCTURE_CHARS
                else text[:STRUCTURE_CHARS] + "\n… the rest is in the data",
            )


def _facts(report: Report) -> list[tuple[str, str]]:
    """What was measured and where, by name."""
    submission, run, platform = report.submission, report.run, report.platform
    facts = [("submission", submission.path)]
    if submission.git is not None:
        facts.append(("commit", f"{origin_words(submission.git)} ({submission.git.sha})"))
    if submission.script is not None:
        facts.append(("script", f"{submission.script}, sha256 {submission.sha256}"))
    if submission.wrapper:
        facts.append(("packed", f"{submission.wrapper}; opened text sha256 {submission.payload_sha256}"))
    facts += [("track", submission.track), ("run", run_line(report))]
    if run.not_run:
        facts.append(("probes did not run", run.not_run))
    torch = f"torch {platform.torch}" if platform.torch else "no torch"
    words = f"Python {platform.python}, {torch}, {platform.machine}, {platform.cpus} CPUs, {run.device}"
    return [*facts, ("machine", words)]


def _runs(report: Report) -> list[tuple[str, str]]:
    """Each execution, what was set for it, and inside which walls, by name."""
    run, facts = report.run, []
    for each in run.runs:
        numbers = ", ".join(
            f"{label} {value:.6g}" for label, value in each.reported.items() if value is not None
        )
        ending = f"{each.status}: {each.reason}" if each.reason else each.status
        facts.append(
            (f"run {each.name}", f"{each.seconds:.1f} s, {ending}" + (f"; {numbers}" if numbers else ""))
        )
    if run.environment:
        pairs = (f"{each.name}={shlex.quote(each.value)} ({each.why})" for each in run.environment)
        facts.append(("environment set", " ".join(pairs)))
    if run.substitutions:
        uses = (f"{each.name} x{each.count}" for each in run.substitutions)
        facts.append(("stand-ins used", ", ".join(uses)))
    return facts + [(f"isolation, {name}", text) for name, text in run.isolation.items()]
