"""Which folder a pull request submits, chosen from the paths that it changes. Pure: no git, no disk.

A submission is one new folder `records/TRACK/DATE_NAME/` with `submission.json` and a training script. Of
2,059 real pull requests, 264 touch several such folders (older attempts, ablations, a work log), 98 edit only
the script at the repository's root, and 39 put their folder elsewhere. Cannot see: what the pull request's
title says it submits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CLAIM = "submission.json"
SCRIPT = "train_gpt.py"
RECORDS = "records/"
ROOT = ""
"""The repository's root as a folder: a submission that edits the contest's own script."""
_TRAINING = re.compile(r"train\w*\.py", re.IGNORECASE)
_RECORD = re.compile(r"(records/track_[^/]+/[^/]+)/[^/].*")
_DATE = re.compile(r"20\d\d-\d\d-\d\d")


@dataclass(frozen=True)
class Change:
    """One path that the pull request adds or changes. Deleted paths submit nothing and are left out."""

    path: str
    """POSIX, relative to the repository's root."""
    added: bool
    """False where the path was there before the pull request."""
    age: int = 0
    """How many commits of the pull request came after the one that added the path; 0 where none is known."""


@dataclass(frozen=True)
class Choice:
    """The submitted folder, and the ones that were passed over."""

    folder: str
    """Relative to the repository's root; `ROOT` for the root itself."""
    others: tuple[str, ...] = ()
    """Other folders of the pull request that look like submissions, likeliest first."""


def choose_folder(changes: Iterable[Change]) -> Choice | None:
    """The likeliest submission, or None when nothing looks like one. The order of the changes is no matter."""
    changed = sorted(set(changes), key=lambda change: (change.path, change.added, change.age))
    folders = _folders(changed)
    if not folders:
        return None
    ranked = sorted(folders, key=lambda folder: _rank(folder, changed))
    return Choice(ranked[0], tuple(ranked[1:]))


def added_folders(changes: Iterable[Change]) -> tuple[str, ...]:
    """All submissions that are new, likeliest first; where none is, the one that the changes rework."""
    changed = tuple(changes)
    choice = choose_folder(changed)
    if choice is None:
        return ()
    new = {
        _folder_of(change.path)
        for change in changed
        if change.added and (_name(change.path) == CLAIM or _is_training(change.path))
    }
    found = tuple(folder for folder in (choice.folder, *choice.others) if folder in new)
    return found or (choice.folder,)


def borrowed_script(folder: str, files: Iterable[str], changes: Iterable[Change]) -> str | None:
    """The script that the pull request keeps above its folder; None when the folder has Python of its own.

    `files` are all paths of the folder at the head. A folder with a claim and logs alone belongs with the
    nearest training script that the same pull request changes in a folder above it, often the root's.
    """
    if any(path.lower().endswith(".py") for path in files):
        return None
    above = {change.path for change in changes if _is_training(change.path)}
    parent = folder
    while parent:
        parent = parent.rpartition("/")[0]
        here = sorted(path for path in above if _folder_of(path) == parent)
        if here:
            return next((path for path in here if _name(path) == SCRIPT), here[0])
    return None


def root_files(changes: Iterable[Change]) -> tuple[str, ...]:
    """What a submission at the root consists of: its changed scripts, and what it adds beside them."""
    return tuple(
        sorted(
            {
                change.path
                for change in changes
                if not change.path.startswith((RECORDS, "."))
                and (change.added or ("/" not in change.path and change.path.endswith(".py")))
            }
        )
    )


def _folders(changed: Sequence[Change]) -> set[str]:
    """Every folder of the changes that looks like a submission, outermost only."""
    marked = {
        _folder_of(change.path)
        for change in changed
        if _name(change.path) == CLAIM or _is_training(change.path)
    }
    records = {match.group(1) for change in changed if (match := _RECORD.fullmatch(change.path))}
    found = (marked - {ROOT}) or records
    found = {folder for folder in found if not any(_inside(folder, other) for other in found)}
    return found | (marked & {ROOT})


def _rank(folder: str, changed: Sequence[Change]) -> tuple[object, ...]:
    """Smallest first: a new claim with a script, in the records, of the newest date, added last, with the most
    files. A branch that carries several attempts was opened for the newest of them."""
    inside = [change for change in changed if folder == ROOT or _inside(change.path, folder)]
    claims = [
        change for change in inside if _folder_of(change.path) == folder and _name(change.path) == CLAIM
    ]
    scripts = [change for change in inside if change.path.endswith(".py")]
    date = _DATE.search(_name(folder))
    return (
        folder == ROOT,
        not any(change.added for change in (*claims, *scripts)),
        not claims,
        not scripts,
        not folder.startswith(RECORDS),
        _backwards(date.group() if date else ""),
        min((change.age for change in (*claims, *scripts)), default=0),
        -len(inside),
        folder,
    )


def _backwards(date: str) -> tuple[int, ...]:
    """Sorts the newest date first, and no date last."""
    return tuple(-ord(char) for char in date.ljust(10))


def _is_training(path: str) -> bool:
    return _TRAINING.fullmatch(_name(path)) is not None


def _inside(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]
