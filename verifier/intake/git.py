"""A local git repository, read without a work tree: pull-request heads, what they change, and blobs.

Only `git` plumbing that reads is called: one long-lived process for all objects, and one per question about
refs and history that objects do not answer at once. Nothing is fetched: in a partial clone a blob that is
not there is reported as missing. Everything that a pull request says
(paths, modes, sizes) is untrusted and is only parsed here; `checkout` decides what is written.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from verifier.intake.choose import Change
from verifier.intake.objects import TREE_MODE, Commit, Entry, GitError, Objects

__all__ = ["LINK_MODE", "MODULE_MODE", "Entry", "GitError", "Repository", "open_repository"]

MAIN_REFS = ("refs/remotes/upstream", "refs/remotes/origin", "refs/heads")
MAIN_NAMES = ("main", "master")
PULL_REFS = (
    r"refs/pull/(\d+)/head",
    r"refs/remotes/[^/]+/pull/(\d+)/head",
    r"refs/remotes/[^/]+/pr/(\d+)(?:/head)?",
    r"refs/remotes/[^/]+/pull/(\d+)",
    r"refs/heads/(?:pull|pr)/(\d+)(?:/head)?",
)
"""Where clones keep pull requests, the contest's own layout first."""
PULL_REFS_SHOWN = (
    "refs/pull/{0}/head, refs/remotes/*/pull/{0}/head, refs/remotes/*/pr/{0}, pull/{0}/head, pr/{0}"
)
FULL_NAME = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
LINK_MODE, MODULE_MODE = "120000", "160000"


@dataclass(frozen=True)
class Repository:
    """A clone or mirror, bare or not."""

    path: Path

    @cached_property
    def pulls(self) -> Mapping[int, str]:
        """The head commit of every pull request that the repository holds."""
        text = self._text("for-each-ref", "--format=%(objectname) %(refname)")
        heads: dict[int, tuple[int, str]] = {}
        for line in text.splitlines():
            commit, _, ref = line.partition(" ")
            for rank, pattern in enumerate(PULL_REFS):
                if match := re.fullmatch(pattern, ref):
                    number = int(match.group(1))
                    heads[number] = min(heads.get(number, (rank, commit)), (rank, commit))
        return {number: heads[number][1] for number in sorted(heads)}

    @cached_property
    def main(self) -> str:
        """The commit that pull requests are merged into."""
        for place in MAIN_REFS:
            for name in MAIN_NAMES:
                if found := self._commit_or_none(f"{place}/{name}"):
                    return found
        if found := self._commit_or_none("HEAD"):
            return found
        raise GitError(f"{self.path} has no main branch", expected="main or master, or a HEAD with a commit")

    @cached_property
    def mainline(self) -> tuple[str, ...]:
        """The main branch's own commits, newest first."""
        return tuple(self._text("rev-list", "--first-parent", self.main).split())

    def pull(self, number: int) -> str:
        """The head commit of a pull request. Raises GitError when the repository does not hold it."""
        if number in self.pulls:
            return self.pulls[number]
        raise GitError(
            f"{self.path} does not hold pull request {number}",
            tried=PULL_REFS_SHOWN.format(number),
            found=f"{len(self.pulls)} pull requests" if self.pulls else "no pull request at all",
            next=f"git -C {self.path} fetch origin pull/{number}/head:pull/{number}/head",
        )

    def commit(self, name: str) -> str:
        """The full name of a commit. Raises GitError when there is none under this name."""
        found = self._commit_or_none(name)
        if found is None:
            raise GitError(f"{self.path} has no commit {name}", next="fetch it, or check the name")
        return found

    def base(self, head: str) -> str:
        """The commit or tree that the pull request started from, so that the difference is its own work.

        A head that main already contains is compared from where main stood before it was merged; one that
        shares no history with main is compared with main itself.
        """
        found = self.merge_base(self.main, head)
        if found is None:
            return self.main
        if found != head:
            return found
        before = self._before_merge(head)
        return self.merge_base(before, head) or before

    def changes(self, base: str, head: str) -> tuple[Change, ...]:
        """Regular files that the head adds or changes, in path order; deletions, links and modules left out."""
        changed = self._objects.changed(base, head)
        return tuple(
            Change(entry.path, added)
            for entry, added in changed
            if entry.mode not in (LINK_MODE, MODULE_MODE)
        )

    def aged(self, changes: Iterable[Change], base: str, head: str) -> tuple[Change, ...]:
        """The same changes with their ages, which cost a walk over the pull request's own commits."""
        ages: dict[str, int] = {}
        age = -1
        shape = ("-z", "--format=%x01", "--name-only", "--diff-filter=A", "--no-renames")
        own = head if base == self._empty_tree else f"{base}..{head}"
        for field in self._paths("log", *shape, own, "--"):
            path = field.lstrip("\n")
            if path.startswith("\x01"):
                age += 1
            elif path:
                ages.setdefault(path, age)
        return tuple(replace(change, age=ages.get(change.path, 0)) for change in changes)

    def files(self, head: str, path: str = "") -> tuple[Entry, ...]:
        """A file of a commit, or all files below a folder, links and modules among them; without path, all."""
        tree = head
        for depth, part in enumerate(parts := path.split("/") if path else [], 1):
            entry = next((each for each in self._objects.tree(tree) if each.path == part), None)
            if entry is None:
                return ()
            if entry.mode != TREE_MODE:
                return (entry._replace(path=path),) if depth == len(parts) else ()
            tree = entry.blob
        return tuple(self._objects.walk(tree, f"{path}/" if path else ""))

    def write_blobs(self, wanted: Iterable[tuple[str, Path]], limit_bytes: int) -> Iterator[int | None]:
        """Write each blob to its path; the size of each, or None where the repository does not have it.

        A blob over the limit is not written, and its size is given all the same.
        """
        for blob, path in wanted:
            yield self._objects.write(blob, path, limit_bytes)

    @cached_property
    def _objects(self) -> Objects:
        return Objects(self._command(), _environment())

    # ---- history --------------------------------------------------------------------------------

    def _before_merge(self, head: str) -> str:
        """The main branch's commit before the one that brought the head in; bisected, as containing is monotone."""
        newest_in, first_out = 0, len(self.mainline)
        while first_out - newest_in > 1:
            middle = (newest_in + first_out) // 2
            if self._run("merge-base", "--is-ancestor", head, self.mainline[middle]).returncode == 0:
                newest_in = middle
            else:
                first_out = middle
        return self.mainline[first_out] if first_out < len(self.mainline) else self._empty_tree

    @cached_property
    def _empty_tree(self) -> str:
        return self._text("hash-object", "-t", "tree", os.devnull).strip()

    def merge_base(self, one: str, other: str) -> str | None:
        """Where two commits parted; None where they share nothing."""
        if one == self.main and (met := self._meeting(other)) is not None and len(met) < 2:
            return met[0] if met else None
        done = self._run("merge-base", one, other)
        return done.stdout.decode().strip() or None if done.returncode == 0 else None

    @cached_property
    def _merged(self) -> frozenset[str]:
        """Every commit that the main branch contains."""
        return frozenset(self._text("rev-list", self.main).split())

    def _meeting(self, head: str) -> list[str] | None:
        """Where walks back from a head first meet the main branch: when it is one place, the merge base.

        None where a commit on the way is missing.
        """
        met: list[str] = []
        queue, seen = [head], {head}
        while queue:
            name = queue.pop()
            if name in self._merged:
                met.append(name)
                continue
            commit: Commit | None = self._objects.commit(name)
            if commit is None:
                return None
            new = [parent for parent in commit.parents if parent not in seen]
            seen.update(new)
            queue += new
        return met

    def _commit_or_none(self, name: str) -> str | None:
        if FULL_NAME.fullmatch(name):
            commit = self._objects.commit(name)
            return None if commit is None else commit.name
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        lines = done.stdout.decode("utf-8", "replace").split()
        return lines[-1] if done.returncode == 0 and lines else None

    # ---- calling git ----------------------------------------------------------------------------

    def _text(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise GitError(
                f"git {arguments[0]} failed in {self.path}", found=said[0] if said else "no message"
            )
        return done.stdout.decode("utf-8", "surrogateescape")

    def _paths(self, *arguments: str) -> list[str]:
        """The fields of a NUL-separated answer."""
        return [field for field in self._text(*arguments).split("\0") if field]

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self._command(*arguments), capture_output=True, stdin=subprocess.DEVNULL, env=_environment()
        )

    def _command(self, *arguments: str) -> tuple[str, ...]:
        return ("git", "-C", str(self.path), "--no-replace-objects", "--literal-pathspecs", *arguments)


def open_repository(path: Path) -> Repository:
    """The repository at a path. Raises GitError when there is none, or when git cannot be called."""
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise GitError(f"there is no repository {path}", found=found, expected="a local clone or mirror")
    repository = Repository(path)
    try:
        done = repository._run("rev-parse", "--git-dir")
    except FileNotFoundError:
        raise GitError("git is not installed", next="install git, or pass an extracted folder") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GitError(
            f"{path} is not a git repository",
            found=said[0] if said else "no message from git",
            expected="a clone or mirror of the contest: git clone --mirror URL",
        )
    return repository


def _environment() -> dict[str, str]:
    """The caller's environment, but no fetching, no prompts and no other repository than the one named."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "",
        "LC_ALL": "C",
    }
