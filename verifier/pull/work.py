"""Audit every submission folder that a pull request adds, and leave the reports in one folder.

Runs where the pull request's own job runs: it needs no token, and writes nothing but files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from verifier.audit import Level, audit
from verifier.intake.checkout import check_out
from verifier.intake.choose import added_folders
from verifier.intake.git import Repository
from verifier.pull.handover import MAX_FOLDERS, Handover, write_handover
from verifier.report.model import Report
from verifier.report.store import save_report
from verifier.stage import Progress, unheard


def find_folders(repository: Repository, base: str, head: str) -> tuple[str, ...]:
    """The submission folders that `head` adds to where it left `base`; likeliest first, "." for the root."""
    start = repository.merge_base(repository.commit(base), repository.commit(head)) or base
    changes = repository.changes(start, repository.commit(head))
    return tuple(folder or "." for folder in added_folders(changes))


def audit_pull(
    repository: Repository,
    *,
    pr: int,
    base: str,
    head: str,
    out: Path,
    level: Level,
    time_limit_seconds: float,
    progress: Progress = unheard,
) -> Sequence[Report]:
    """Audit what the range adds, and write `out/pull.json` and `out/N/report.*`; the time limit is for each."""
    folders = find_folders(repository, base, head)
    sha = repository.commit(head)
    reports = []
    for number, folder in enumerate(folders[:MAX_FOLDERS]):
        with tempfile.TemporaryDirectory(prefix="pgolf-verify-") as scratch:
            checkout = check_out(repository, Path(scratch), pr=pr, sha=sha, folder=folder)
            report = audit(
                checkout.root,
                level=level,
                time_limit_seconds=time_limit_seconds,
                progress=progress,
                checkout=checkout,
            )
        save_report(report, out / str(number))
        reports.append(report)
    write_handover(Handover(pr, sha, folders[:MAX_FOLDERS], folders[MAX_FOLDERS:]), out)
    return reports
