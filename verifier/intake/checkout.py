"""From a pull request in a git repository to a folder that can be audited, written into a scratch place.

Nothing of `git checkout` is used: no hooks, filters, links or submodules, and only the submission's own files.
Paths come from the pull request and are untrusted: one that could leave the scratch place is refused. A file
whose blob a partial clone lacks, or that is over the limits, is left out and named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verifier.finding import Where
from verifier.intake.choose import ROOT, Change, Choice, borrowed_script, choose_folder, root_files
from verifier.intake.folder import MAX_FILES
from verifier.intake.git import LINK_MODE, MODULE_MODE, Entry, GitError, Repository
from verifier.submission import Origin, Problem

MAX_FILE_BYTES = 256 << 20  # ten times the largest artifact that any rule reading allows
MAX_FOLDER_BYTES = 1 << 30
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024
PATHS_SHOWN = 6
NEVER_READ = (
    ".pt",
    ".pth",
    ".ptz",
    ".ckpt",
    ".safetensors",
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".svg",
    ".mp4",
    ".pdf",
)
"""Checkpoints and pictures: an audit retrains and looks at text, so one that is missing takes nothing from it."""


@dataclass(frozen=True)
class Checkout:
    """A submission on disk."""

    root: Path
    origin: Origin
    problems: tuple[Problem, ...]


def check_out(
    repository: Repository,
    scratch: Path,
    *,
    pr: int | None = None,
    sha: str | None = None,
    folder: str | None = None,
) -> Checkout:
    """Write a submission below `scratch`, an empty folder. `sha` wins over the pull request's present head.

    Raises GitError when there is no such pull request, commit or folder, or nothing that looks like a submission.
    """
    if pr is None and sha is None:
        raise GitError("neither a pull request nor a commit was named", expected="--pr N or --sha SHA")
    head = repository.commit(sha) if sha is not None else repository.pull(pr or 0)
    base = repository.base(head)
    changes = repository.changes(base, head)
    choice = choose_folder(changes)
    if choice is not None and choice.others and folder is None:
        choice = choose_folder(repository.aged(changes, base, head))
    chosen = _chosen(choice, folder, changes, head)
    entries = _entries(repository, head, chosen, changes)
    script = None if chosen == ROOT else borrowed_script(chosen, (each.path for each in entries), changes)
    root = scratch / chosen if chosen != ROOT else scratch / (head[:12] if pr is None else f"pull-{pr}")
    targets = [(entry, entry.path.removeprefix(f"{chosen}/") if chosen else entry.path) for entry in entries]
    if script is not None:
        (lent,) = repository.files(head, script)
        targets.append((lent, script.rpartition("/")[2]))
    missing, problems = _write(repository, root, targets)
    considered = () if choice is None else (choice.folder, *choice.others)
    others = tuple(each for each in considered if each not in (chosen, ROOT))
    return Checkout(root, Origin(str(repository.path), pr, head, chosen, script, others, missing), problems)


def _chosen(choice: Choice | None, folder: str | None, changes: Sequence[Change], head: str) -> str:
    if folder is not None:
        return folder.strip("/").removeprefix("./") if folder != "." else ROOT
    if choice is not None:
        return choice.folder
    paths = [change.path for change in changes]
    shown = ", ".join(paths[:PATHS_SHOWN]) + (
        f" and {len(paths) - PATHS_SHOWN} more" * (len(paths) > PATHS_SHOWN)
    )
    raise GitError(
        f"nothing in commit {head[:12]} looks like a submission",
        found=f"it changes {shown}" if paths else "it changes no file",
        expected="a changed submission.json or train_gpt.py, or a folder in records/track_*/",
        next="say where it is: --folder PATH",
    )


def _entries(repository: Repository, head: str, folder: str, changes: Sequence[Change]) -> tuple[Entry, ...]:
    """The files that make up the submission."""
    if folder == ROOT:
        own = set(root_files(changes))
        found = tuple(entry for entry in repository.files(head) if entry.path in own)
    elif _is_safe(folder):
        found = tuple(each for each in repository.files(head, folder) if each.path != folder)
    else:
        raise GitError(f"{folder!r} is not a path inside a repository", expected="e.g. records/track_…/NAME")
    if not found:
        raise GitError(
            f"commit {head[:12]} has no folder {folder or '.'} with a submission's files",
            next="leave --folder out to have it chosen",
        )
    return found


def _write(
    repository: Repository, root: Path, targets: Sequence[tuple[Entry, str]]
) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """Write what may be written; the paths that are missing, and a Problem for each file left out."""
    problems: list[Problem] = []
    files: list[tuple[Entry, str]] = []
    taken: set[str] = set()

    def left_out(code: str, path: str, why: str) -> None:
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        problems.append(Problem(code, f"{shown} {why}", Where(shown)))

    for entry, path in targets:
        if entry.mode == LINK_MODE:
            left_out("symlink", path, "is a symbolic link: not followed")
        elif entry.mode == MODULE_MODE:
            left_out("submodule", path, "is a submodule: not fetched")
        elif not _is_safe(path) or path in taken or any(up in taken for up in _above(path)):
            left_out("git-path", path, "is not a path that can be written: left out")
        elif len(files) >= MAX_FILES:
            left_out("too-many-files", path, f"comes after {MAX_FILES} files: it and the rest were not read")
            break
        else:
            taken.add(path)
            files.append((entry, path))
    missing: list[str] = []
    written_bytes = 0
    root.mkdir(parents=True, exist_ok=True)
    wanted = ((entry.blob, root / path) for entry, path in files)
    for (_, path), size in zip(files, repository.write_blobs(wanted, MAX_FILE_BYTES), strict=True):
        if size is None:
            missing.append(path)
            if not path.lower().endswith(NEVER_READ):
                left_out("git-missing", path, "is not in this clone: audited without it. Fetch all blobs")
            continue
        written_bytes += size if size <= MAX_FILE_BYTES else 0
        if size > MAX_FILE_BYTES:
            missing.append(path)
            left_out("file-too-large", path, f"has {size} bytes, over the cap of {MAX_FILE_BYTES}: left out")
        if written_bytes > MAX_FOLDER_BYTES:
            raise GitError(f"the folder is over {MAX_FOLDER_BYTES} bytes", next="audit an extracted folder")
    return tuple(missing), tuple(problems)


def _is_safe(path: str) -> bool:
    """Whether a path of a tree stays where it is put, and can be a file's name at all."""
    data = path.encode("utf-8", "surrogateescape")
    parts = data.split(b"/")
    return (
        0 < len(data) <= MAX_PATH_BYTES
        and b"\0" not in data
        and all(len(part) <= MAX_NAME_BYTES for part in parts)
        and not any(part in (b"", b".", b"..") or part.lower() == b".git" for part in parts)
    )


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
