"""How the verdicts of a batch compare with labels that people gave. Pure: index lines and labels in, counts out.

A false accusation is a legal submission that was called NON_COMPLIANT, a miss an illegal one that was called
COMPLIANT. NEEDS_REVIEW is neither. What is in only one of the two lists is named, never dropped.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from verifier.batch.line import Line
from verifier.finding import Grade
from verifier.verdict import GRADE_ORDER, Call

LEGAL, ILLEGAL = "legal", "illegal"
SURE = ("high", "medium")
"""Confidences that count as settled in the headline share."""
WEAKEST_PROOF = Grade.LOG


class LabelError(Exception):
    """The labels cannot be read: where, and what was expected."""


@dataclass(frozen=True)
class Label:
    """What people say about one pull request."""

    pr: int
    label: str
    """`legal`, `illegal` or `disputed`."""
    confidence: str = ""
    violations: tuple[str, ...] = ()
    folder: str | None = None
    head_sha: str | None = None
    title: str = ""


@dataclass(frozen=True)
class Row:
    """A label beside the line of its audit."""

    label: Label
    line: Line

    @property
    def grade(self) -> str | None:
        """Of the strongest FAIL; None without one."""
        grades = [each.grade for each in self.line.failed]
        return max(grades, key=lambda grade: GRADE_ORDER.index(Grade(grade)), default=None)

    @property
    def proven(self) -> bool:
        """NON_COMPLIANT on more than a static match."""
        strong = {str(grade) for grade in GRADE_ORDER[GRADE_ORDER.index(WEAKEST_PROOF) :]}
        return self.line.verdict == Call.NON_COMPLIANT and self.grade in strong

    @property
    def disagrees(self) -> bool:
        return (self.label.label, self.line.verdict) in (
            (LEGAL, Call.NON_COMPLIANT),
            (ILLEGAL, Call.COMPLIANT),
        )


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    part: int
    whole: int

    def __str__(self) -> str:
        return f"{self.part} of {self.whole}" + (f" ({self.part / self.whole:.0%})" if self.whole else "")


@dataclass(frozen=True)
class Scoreboard:
    rows: tuple[Row, ...]
    """In order of pull request."""
    unlabelled: tuple[str, ...] = ()
    """Names of index lines that no label is about."""
    not_audited: tuple[int, ...] = ()
    """Labelled pull requests without a line."""
    repeated: tuple[int, ...] = ()
    """Pull requests with several lines; the last counts."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, legal and illegal first."""
        found = {row.label.label for row in self.rows}
        return (*[each for each in (LEGAL, ILLEGAL) if each in found], *sorted(found - {LEGAL, ILLEGAL}))

    def verdicts(self, rows: Iterable[Row]) -> Counter[Call]:
        return Counter(Call(row.line.verdict) for row in rows)

    @property
    def matrix(self) -> dict[str, Counter[Call]]:
        """Label by verdict."""
        return {label: self.verdicts(self.labelled(label)) for label in self.labels}

    @property
    def by_confidence(self) -> dict[tuple[str, str], Counter[Call]]:
        """(label, confidence) by verdict."""
        order = {name: rank for rank, name in enumerate((*SURE, "low"))}
        kinds = {(row.label.label, row.label.confidence) for row in self.rows}
        ranked = sorted(kinds, key=lambda kind: (self.labels.index(kind[0]), order.get(kind[1], 9), kind[1]))
        return {
            kind: self.verdicts(r for r in self.rows if (r.label.label, r.label.confidence) == kind)
            for kind in ranked
        }

    @property
    def by_violation(self) -> dict[str, Counter[Call]]:
        """Violation class of the illegal ones by verdict; one with several classes counts in each."""
        rows = self.labelled(ILLEGAL)
        classes = sorted({each for row in rows for each in row.label.violations})
        return {name: self.verdicts(r for r in rows if name in r.label.violations) for name in classes}

    @property
    def by_grade(self) -> dict[str, Counter[str]]:
        """Grade of the strongest FAIL by label, weakest grade first."""
        return {
            str(grade): Counter(row.label.label for row in self.rows if row.grade == grade)
            for grade in GRADE_ORDER
        }

    @property
    def false_accusations(self) -> tuple[Row, ...]:
        return tuple(row for row in self.labelled(LEGAL) if row.disagrees)

    @property
    def misses(self) -> tuple[Row, ...]:
        return tuple(row for row in self.labelled(ILLEGAL) if row.disagrees)

    @property
    def reviews(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.line.verdict == Call.NEEDS_REVIEW)

    @property
    def proven(self) -> Share:
        """Settled illegal ones that are NON_COMPLIANT on evidence of grade log or better."""
        rows = [row for row in self.labelled(ILLEGAL) if row.label.confidence in SURE]
        return Share(sum(row.proven for row in rows), len(rows))

    @property
    def reached(self) -> Share:
        """Scripts that were run and printed the claimed number."""
        rows = [row for row in self.rows if row.line.reached is not None]
        return Share(sum(bool(row.line.reached) for row in rows), len(rows))

    @property
    def unfinished(self) -> tuple[Row, ...]:
        """Submissions that have no report: their verdict is NEEDS_REVIEW for want of one."""
        return tuple(row for row in self.rows if row.line.status != "audited")

    @property
    def elsewhere(self) -> tuple[Row, ...]:
        """Audited at another folder or commit than the label is about."""
        return tuple(row for row in self.rows if _is_elsewhere(row))

    @property
    def median_seconds(self) -> float | None:
        seconds = [row.line.seconds for row in self.rows if row.line.status == "audited"]
        return median(seconds) if seconds else None

    def labelled(self, label: str) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.label.label == label)


def score(lines: Sequence[Line], labels: Sequence[Label]) -> Scoreboard:
    """Join by pull request. The last line of a pull request counts, and so does its last label."""
    by_pr = {line.pr: line for line in lines if line.pr is not None}
    wanted = {label.pr: label for label in labels}
    times = Counter(line.pr for line in lines if line.pr is not None)
    return Scoreboard(
        rows=tuple(Row(wanted[pr], by_pr[pr]) for pr in sorted(wanted) if pr in by_pr),
        unlabelled=tuple(line.name for line in lines if line.pr not in wanted),
        not_audited=tuple(sorted(set(wanted) - set(by_pr))),
        repeated=tuple(sorted(pr for pr, count in times.items() if count > 1)),
    )


def read_labels(path: Path) -> tuple[Label, ...]:
    """JSONL rows with `pr` and `label`. Raises LabelError."""
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path} cannot be read: {error}") from None
    labels: list[Label] = []
    for number, row in enumerate(rows, 1):
        if row.strip():
            try:
                labels.append(_label(json.loads(row)))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise LabelError(f"{path}:{number} is not a label: {type(error).__name__} {error}") from None
    return tuple(labels)


def _label(row: Mapping[str, object]) -> Label:
    violations = row.get("violations") or ()
    if not isinstance(violations, list | tuple):
        raise TypeError("violations is not a list")
    folder, sha = row.get("folder"), row.get("head_sha")
    return Label(
        pr=int(str(row["pr"])),
        label=str(row["label"]),
        confidence=str(row.get("confidence") or ""),
        violations=tuple(str(each) for each in violations),
        folder=None if folder is None else str(folder),
        head_sha=None if sha is None else str(sha),
        title=str(row.get("title") or ""),
    )


def _is_elsewhere(row: Row) -> bool:
    label, line = row.label, row.line
    other_folder = bool(label.folder) and line.folder is not None and label.folder != line.folder
    other_commit = bool(label.head_sha) and line.sha is not None and label.head_sha != line.sha
    return other_folder or other_commit
