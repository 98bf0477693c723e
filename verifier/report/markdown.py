"""The report as a comment for a pull request: short, neutral, each FAIL with the rule it is measured by.

Quoted text cannot break out: it is escaped, or inside a code span longer than any backtick run in it, and
cannot mention a person.
"""

from __future__ import annotations

import re

from verifier.finding import Finding, State
from verifier.report.model import Report, RuleText
from verifier.report.wording import (
    ATTENTION,
    again_command,
    bpb_number,
    clean,
    counts_line,
    evidence_line,
    measured_words,
    missing_evidence,
    origin_words,
    run_line,
)

CONTEST = "https://github.com/openai/parameter-golf"
FOOTER = (
    "PASS holds within the sensitivity that its line states; UNVERIFIED is missing evidence, not a pass. "
    "A reviewer decides; this report measures."
)
SPECIAL = re.compile(r"([\\`*<>\[\]|~])|(?<![A-Za-z0-9])(_)|(_)(?![A-Za-z0-9])")
"""Markdown's own characters; an underscore inside a word is left alone, as GitHub does."""


def render_markdown(report: Report) -> str:
    blocks = [_head(report), _bpb(report)]
    missing = missing_evidence(report)
    if missing:
        blocks.append("COMPLIANT would also need:\n\n" + "\n".join(f"- {escape(line)}" for line in missing))
    quoted: set[str] = set()
    for finding in report.in_state(State.FAIL):
        blocks.append(_fail(finding, report, quoted))
    attention = report.in_state(*(state for state in ATTENTION if state is not State.UNVERIFIED))
    if attention:
        blocks.append("#### For a reviewer\n\n" + "\n".join(_item(finding) for finding in attention))
    blocks += [_rest(report), _run(report), f"<sub>{FOOTER}</sub>"]
    return "\n\n".join(block for block in blocks if block) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is; `@name` stays visible and notifies nobody."""
    return _guarded(clean(text))


def _guarded(line: str) -> str:
    """A clean line, or a part of one, whose blanks at the ends belong to it."""
    escaped = SPECIAL.sub(lambda match: "\\" + match.group(0), line)
    return escaped.replace("@", "@<!-- -->")


def prose(text: str) -> str:
    """A message: what it quotes in backticks becomes code spans, the rest is escaped."""
    parts = re.split(r"`([^`]+)`", clean(text))
    return "".join(code(part) if index % 2 else _guarded(part) for index, part in enumerate(parts))


def code(text: str) -> str:
    """A code span that its content cannot close."""
    content = clean(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", content)), default=0) + 1)
    pad = " " if content.startswith("`") or content.endswith("`") else ""
    return f"{fence}{pad}{content}{pad}{fence}"


def _head(report: Report) -> str:
    submission = report.submission
    script = "no script" if submission.script is None else code(submission.script)
    origin = "" if submission.git is None else f" · {escape(origin_words(submission.git))}"
    digest = f" at sha256 {code(submission.sha256[:16])}" if submission.sha256 else ""
    grade = "" if report.verdict.grade is None else f" ({report.verdict.grade} evidence)"
    return (
        f"### pgolf-verify: {report.verdict.call}{grade}\n\n"
        f"{code(submission.name)} · {script}{digest}{origin} · rules {escape(report.rule_edition)} · "
        f"pgolf-verify {escape(report.tool_version)}\n\n"
        f"{counts_line(report)}"
    )


def _bpb(report: Report) -> str:
    bpb = report.bpb
    rows = ["| bits per byte | value | from |", "| --- | --- | --- |"]
    key = f"submission.json {code(bpb.claimed_key)}" if bpb.claimed_key else "submission.json"
    rows.append(f"| claimed | {bpb_number(bpb.claimed)} | {_cell(key)} |")
    if bpb.logged:
        files = ", ".join(code(f"{each.file}:{each.line}") for each in bpb.logged)
        values = " ".join(bpb_number(each.val_bpb) for each in bpb.logged)
        mean = f" (mean {bpb_number(bpb.logged_mean)})" if len(bpb.logged) > 1 else ""
        rows.append(f"| logged | {values}{mean} | {_cell(files)} |")
    else:
        rows.append("| logged | none | no log gives it |")
    if bpb.measured is not None:
        words = escape(measured_words(bpb.measured))
        rows.append(f"| measured | {bpb_number(bpb.measured.val_bpb)} | {words} |")
    else:
        rows.append(f"| measured | none | {escape(report.run.not_run or 'nothing was executed')} |")
    return "\n".join(rows)


def _fail(finding: Finding, report: Report, quoted: set[str]) -> str:
    """One FAIL in full. Each rule is quoted at its first FAIL only; `quoted` remembers which were."""
    quotes = [_quote(rule) for rule in report.rules if rule.id in finding.rules and rule.id not in quoted]
    quoted.update(finding.rules)
    lines = [f"- rules: {escape(' '.join(finding.rules))}"]
    lines += [f"- where: {_place(finding, index)}" for index in range(min(3, len(finding.where)))]
    evidence = evidence_line(finding)
    if evidence:
        lines.append(f"- evidence ({finding.grade}): {escape(' · '.join(evidence))}")
    legal = report.legal.get(finding.check)
    if legal:
        lines.append(f"- legal contrast: {prose(legal)}")
    if finding.try_next:
        lines.append(f"- next: {prose(finding.try_next)}")
    command = again_command(report, report.submission.name) if finding.replayable else None
    if command:
        lines.append(f"- replay: {code(command)}")
    return "\n\n".join(
        [
            f"#### FAIL {escape(finding.check)}: {escape(finding.title)}",
            *(["\n>\n".join(quotes)] if quotes else []),
            prose(finding.message),
            "\n".join(lines),
        ]
    )


def _quote(rule: RuleText) -> str:
    sources = ", ".join(_link(source) for source in rule.sources)
    cited = f" ({sources})" if sources else ""
    return f"> **{escape(rule.id)}** {escape(rule.title)}. {prose(rule.text)}{cited}"


def _link(source: str) -> str:
    """`#1017` and web addresses become links; anything else stays words."""
    if re.fullmatch(r"#\d+", source):
        return f"[{source}]({CONTEST}/issues/{source[1:]})"
    if re.fullmatch(r"https://[\w./#?=&%+-]+", source):
        return f"<{source}>"
    return escape(source)


def _place(finding: Finding, index: int) -> str:
    where = finding.where[index]
    return code(str(where)) + (f" {code(where.excerpt)}" if where.excerpt else "")


def _item(finding: Finding) -> str:
    place = f" ({_place(finding, 0)})" if finding.where else ""
    advice = f" Next: {prose(finding.try_next)}" if finding.try_next else ""
    return f"- **{finding.state}** {escape(finding.check)}: {prose(finding.message)}{place}{advice}"


def _rest(report: Report) -> str:
    rest = report.in_state(State.UNVERIFIED, State.PASS, State.NOT_APPLICABLE)
    if not rest:
        return ""
    rows = ["| state | check | evidence | what was found |", "| --- | --- | --- | --- |"]
    rows += [
        f"| {finding.state} | {escape(finding.check)} | {finding.grade} | {escape(finding.message)} |"
        for finding in rest
    ]
    return _details(f"Other findings: {len(rest)}", "\n".join(rows))


def _run(report: Report) -> str:
    run = report.run
    lines = [f"- {escape(run_line(report))}"]
    if run.not_run:
        lines.append(f"- probes did not run: {escape(run.not_run)}")
    for each in run.runs:
        numbers = ", ".join(
            f"{label} {value:.6g}" for label, value in each.reported.items() if value is not None
        )
        status = f"{each.status}: {each.reason}" if each.reason else each.status
        reported = f": {code(numbers)}" if numbers else ""
        lines.append(f"- run {code(each.name)}: {each.seconds:.1f} s, {escape(status)}{reported}")
    if run.environment:
        pairs = " ".join(f"{each.name}={each.value} ({each.why})" for each in run.environment)
        lines.append(f"- environment set: {code(pairs)}")
    if run.substitutions:
        pairs = ", ".join(f"{each.name} x{each.count}" for each in run.substitutions)
        lines.append(f"- stand-ins used: {code(pairs)}")
    lines += [f"- isolation, {escape(name)}: {escape(text)}" for name, text in run.isolation.items()]
    platform = report.platform
    torch = f"torch {platform.torch}" if platform.torch else "no torch"
    lines.append(
        f"- on Python {escape(platform.python)}, {escape(torch)}, {escape(platform.machine)}, "
        f"{platform.cpus} CPUs"
    )
    return _details("How it was measured", "\n".join(lines))


def _details(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _cell(text: str) -> str:
    """A code span does not protect a bar inside a table."""
    return text.replace("|", "\\|")
