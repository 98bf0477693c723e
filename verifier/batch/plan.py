"""From what a user names (folders, pull requests, a list) to tasks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from verifier.batch.book import BatchError
from verifier.batch.task import Settings, Task
from verifier.intake.git import GitError, Repository


class Wanted(NamedTuple):
    """A pull request, and what a list says of it."""

    pr: int
    sha: str | None = None
    folder: str | None = None


def read_numbers(text: str) -> tuple[Wanted, ...]:
    """`1430,549`, or a file of numbers. Raises BatchError for anything else."""
    path = Path(text)
    if not re.fullmatch(r"[\d,\s#]+", text):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BatchError(
                f"--prs {path} cannot be read", found=str(error), expected="1430,549 or a file"
            ) from None
    words = re.split(r"[\s,]+", text.strip())
    wrong = [word for word in words if not re.fullmatch(r"#?\d+", word)]
    if wrong:
        raise BatchError(f"{wrong[0]!r} is not the number of a pull request", expected="e.g. 1430,549")
    return tuple(Wanted(int(word.lstrip("#"))) for word in words)


def read_list(path: Path) -> tuple[Wanted, ...]:
    """The rows of a JSONL file that have `pr`; `head_sha` (or `sha`) and `folder` are used where they are given."""
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BatchError(f"--list {path} cannot be read", found=str(error)) from None
    wanted: list[Wanted] = []
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        try:
            document = json.loads(row)
            sha = document.get("head_sha") or document.get("sha")
            wanted.append(Wanted(int(document["pr"]), sha, document.get("folder") or None))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BatchError(f"{path}:{number} has no pull request", expected='{"pr": 1430, …}') from None
    return tuple(wanted)


def pull_tasks(repository: Repository, wanted: Iterable[Wanted], how: Settings) -> tuple[Task, ...]:
    """One task for each pull request. Raises BatchError that lists those whose head is not there."""
    path = str(repository.path.resolve())
    tasks: list[Task] = []
    absent: list[int] = []
    for each in wanted:
        try:
            sha = repository.commit(each.sha) if each.sha else repository.pull(each.pr)
        except GitError:
            absent.append(each.pr)
            continue
        tasks.append(Task(how, path, each.pr, sha, each.folder))
    if absent:
        shown = ", ".join(str(number) for number in absent[:8]) + (", …" if len(absent) > 8 else "")
        raise BatchError(
            f"{repository.path} lacks {len(absent)} of the pull requests: {shown}",
            next="fetch them, or leave them out",
        )
    return tuple(tasks)


def all_pulls(repository: Repository) -> Sequence[Wanted]:
    """Every pull request that the repository holds."""
    return tuple(Wanted(number) for number in repository.pulls)
