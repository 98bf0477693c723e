"""What the half that audits leaves for the half that publishes: a folder of report.json files and one index.

Written by a job that ran untrusted code, so everything is bounded and checked on reading: sizes, the schema of
each report, and that each one is about the commit that the reader was told of by somebody else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from verifier.report.json import ReportError, read_report
from verifier.report.model import Report
from verifier.report.store import write_whole

INDEX = "pull.json"
MAX_INDEX_BYTES = 1 << 16
MAX_REPORT_BYTES = 8 << 20
MAX_FOLDERS = 8
"""A pull request that adds more is an archive, and each audit takes minutes. Code scanning takes 20 at most."""


class HandoverError(ValueError):
    """What was left is not what an audit leaves."""


@dataclass(frozen=True)
class Handover:
    """The index."""

    pr: int
    head: str
    """The full name of the commit that was audited."""
    folders: tuple[str, ...]
    """Audited; the report of the first is in `0/report.json`."""
    left_out: tuple[str, ...] = ()
    """Added too, and over the limit."""


def write_handover(handover: Handover, out: Path) -> None:
    write_whole(out / INDEX, json.dumps(asdict(handover), indent=2) + "\n")


def read_handover(out: Path) -> tuple[Handover, tuple[Report, ...]]:
    """The index and its reports, in its order.

    Raises:
        HandoverError: something is missing, too large, malformed, or says another commit than the index.
    """
    handover = _index(_bounded(out / INDEX, MAX_INDEX_BYTES))
    reports = []
    for number in range(len(handover.folders)):
        path = out / str(number) / "report.json"
        try:
            report = read_report(_bounded(path, MAX_REPORT_BYTES))
        except ReportError as error:
            raise HandoverError(f"{path.relative_to(out)} is no report: {error}") from None
        origin = report.submission.git
        if origin is None or (origin.sha, origin.pr) != (handover.head, handover.pr):
            raise HandoverError(f"{path.relative_to(out)} is about another commit than {INDEX}")
        reports.append(report)
    return handover, tuple(reports)


def _bounded(path: Path, limit_bytes: int) -> str:
    """The text of a plain file. A link could name any file of the machine that reads it."""
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        raise HandoverError(f"{path.name} is missing, or no plain file")
    if path.stat().st_size > limit_bytes:
        raise HandoverError(f"{path.name} has more than {limit_bytes:,} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise HandoverError(f"{path.name} is not UTF-8") from None


def _index(text: str) -> Handover:
    try:
        data = json.loads(text)
        handover = Handover(data["pr"], data["head"], tuple(data["folders"]), tuple(data.get("left_out", ())))
    except (ValueError, KeyError, TypeError):
        raise HandoverError(f"{INDEX} is not what an audit leaves") from None
    names = (handover.head, *handover.folders, *handover.left_out)
    if type(handover.pr) is not int or not all(isinstance(name, str) for name in names):
        raise HandoverError(f"{INDEX} is not what an audit leaves")
    if len(handover.folders) > MAX_FOLDERS:
        raise HandoverError(f"{INDEX} names {len(handover.folders)} folders, more than {MAX_FOLDERS}")
    return handover
