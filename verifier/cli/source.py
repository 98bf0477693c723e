"""What a command works on: a folder on disk, one that a git repository holds, or a saved report."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from verifier.cli.errors import Stop
from verifier.intake.checkout import Checkout, check_out
from verifier.intake.git import open_repository
from verifier.report.json import ReportError, read_report
from verifier.report.model import Report
from verifier.report.pages import did_you_mean
from verifier.report.wording import clean, origin_words
from verifier.submission import Origin

GitOption = Annotated[
    Path | None, typer.Option("--git", metavar="REPO", help="A local clone or mirror, bare or not.")
]


def check_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    if folder.exists():
        raise Stop(
            f"{folder} is a file",
            expected="the folder that holds train_gpt.py and submission.json",
            next=f"pgolf-verify {folder.parent}",
        )
    beside = [each for each in folder.parent.iterdir() if each.is_dir()] if folder.parent.is_dir() else []
    near = did_you_mean(str(folder), [str(each) for each in beside])
    raise Stop(f"there is no folder {folder}", where=str(Path.cwd()), **({"next": near} if near else {}))


@contextmanager
def checked_out(git: Path, pr: int | None, sha: str | None, folder: str | None) -> Iterator[Checkout]:
    """A submission of a repository in a scratch folder, for as long as the context lasts."""
    repository = open_repository(git)
    with tempfile.TemporaryDirectory(prefix="pgolf-verify-") as scratch:
        yield check_out(repository, Path(scratch), pr=pr, sha=sha, folder=folder)


def print_notes(origin: Origin, console: Console) -> None:
    """What was chosen, and what a reader may want to choose instead."""
    lines = [f"{origin_words(origin)}: {origin.folder or 'the script at the root'}"]
    if origin.script:
        lines.append(f"the folder has no script: with {origin.script} of the same pull request")
    if origin.missing:
        lines.append(f"not in this clone: {', '.join(origin.missing)}")
    if origin.others:
        lines.append(f"it also touches {', '.join(origin.others)}: choose one with --folder PATH")
    for line in lines:
        console.print(clean(line), markup=False, highlight=False, soft_wrap=True)


def read_saved(path: Path) -> Report:
    """A report.json, or one block that says why it is none."""
    try:
        return read_report(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Stop(f"{path} cannot be read", found=str(error.strerror)) from None
    except UnicodeDecodeError:
        raise Stop(f"{path} is not UTF-8 text", expected="a report.json of pgolf-verify") from None
    except ReportError as error:
        raise Stop(
            f"{path} is not a report",
            found=str(error),
            expected="a report.json of pgolf-verify; `pgolf-verify schema` prints its schema",
        ) from None
