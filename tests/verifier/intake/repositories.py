"""Small git repositories that look like the contest's, made in a temporary folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

RECORD = "records/track_10min_16mb/2026-04-01_Mine"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    **{f"GIT_{who}_{what}": "nobody@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


class Repo:
    """A repository with one commit on main: a root script and an older record."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main", ".")
        self.commit(
            {
                "train_gpt.py": "print('baseline')\n",
                "README.md": "the contest\n",
                **submission("records/track_10min_16mb/2026-03-17_NaiveBaseline"),
            }
        )

    def git(self, *arguments: str, data: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            input=data,
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
            check=True,
        )
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str]) -> str:
        """Write the files and commit everything; the new commit."""
        for name, text in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "c")
        return self.git("rev-parse", "HEAD")

    def pull(self, number: int, *commits: Mapping[str, str], base: str = "main") -> str:
        """A pull request of these commits on top of `base`; its head. Main is checked out again afterwards."""
        self.git("checkout", "--quiet", "--detach", base)
        head = [self.commit(files) for files in commits][-1]
        self.git("update-ref", f"refs/pull/{number}/head", head)
        self.git("checkout", "--quiet", "main")
        return head

    def merge(self, commit: str) -> str:
        self.git("merge", "--quiet", "--no-ff", "--message", "Merge pull request", commit)
        return self.git("rev-parse", "HEAD")


def submission(folder: str, script: str | None = "print(1)\n") -> dict[str, str]:
    """A claim, a log, and a script where one is wanted."""
    files = {
        f"{folder}/submission.json": f'{{"val_bpb": 1.2, "name": "{folder.rpartition("/")[2]}"}}\n',
        f"{folder}/train_seed1.log": "val_bpb:1.2\n",
    }
    return files if script is None else {**files, f"{folder}/train_gpt.py": script}
