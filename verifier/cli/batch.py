"""`pgolf-verify batch`: many audits, in parallel, resumable, one report each and one index."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from verifier.audit import DEFAULT_TIME_LIMIT_SECONDS, Level
from verifier.batch import Counts, Settings, Task, run_batch
from verifier.batch.book import open_book
from verifier.batch.cluster import RayExecutor
from verifier.batch.local import Executor, LocalExecutor
from verifier.batch.plan import all_pulls, pull_tasks, read_list, read_numbers
from verifier.batch.task import folder_task, settings, unique
from verifier.cli.app import Debug, DeviceOption, Quiet, app, examples
from verifier.cli.errors import ERROR, INTERRUPTED, Stop, fail, stoppable, told_plainly
from verifier.cli.source import GitOption, check_folder
from verifier.intake.git import open_repository
from verifier.probe.device import Device
from verifier.report.field import print_counts, shown_batch

CPUS_PER_PROBED_AUDIT = 2  # an audit with probes keeps two children busy


@app.command(
    epilog=examples(
        "batch submissions/* --out field",
        "batch --git parameter-golf.git --prs 1430,1019 --out field",
        "batch --git parameter-golf.git --all --level static --jobs 8 --out field",
    )
)
def batch(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Submission folders.", metavar="FOLDER")
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="For reports/ and index.jsonl; run again to resume.")
    ] = Path("pgolf-batch"),
    git: GitOption = None,
    prs: Annotated[
        str | None, typer.Option(metavar="N,N|FILE", help="With --git: these pull requests.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="With --git: every pull request it holds.")] = False,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--list", metavar="JSONL", help="With --git: rows with pr, and perhaps head_sha and folder."
        ),
    ] = None,
    level: Annotated[Level, typer.Option(help="How far each audit goes.")] = Level.PROBES,
    device: DeviceOption = Device.CPU,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Audits at a time; half the cores with probes, else all."),
    ] = None,
    time_limit: Annotated[
        float,
        typer.Option("--time-limit", min=1.0, metavar="SECONDS", help="Of the probes of one submission."),
    ] = DEFAULT_TIME_LIMIT_SECONDS,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="Of all synthetic streams; drawn fresh for each when not given."
        ),
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on this Ray cluster; `local` starts one here.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Also run again what could not be audited.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Audit many submissions. Exit 0: all were audited, whatever the verdicts. Exit 3: some could not be.

    Killed or interrupted, the same command goes on where it stopped: nothing is lost, nothing is run twice.
    """
    with told_plainly(debug):
        how = settings(level, time_limit, seed, device)
        tasks = _tasks(folders or [], git, prs, every, rows, how)
        cpus = CPUS_PER_PROBED_AUDIT if level is Level.PROBES else 1
        at_once = jobs or max(1, _cores() // cpus)

        def executor() -> Executor:
            return LocalExecutor(at_once) if ray is None else RayExecutor(ray, cpus)

        console = Console(stderr=True, highlight=False)
        with open_book(out, how) as book, stoppable():
            try:
                with shown_batch(console, quiet) as watcher:
                    counts = run_batch(tasks, book, executor, watcher, retry=retry)
            except KeyboardInterrupt:
                done = sum(task.key in book.lines for task in tasks)
                fail(
                    f"interrupted: {done} of {len(tasks)} are done and kept in {out}",
                    INTERRUPTED,
                    {"next": "run the same command again to go on"},
                )
            _summary(counts, book.index, quiet)
        raise typer.Exit(ERROR if counts.broken else 0)


def _tasks(
    folders: Sequence[Path], git: Path | None, prs: str | None, every: bool, rows: Path | None, how: Settings
) -> tuple[Task, ...]:
    lists = [name for name, given in (("--prs", prs), ("--all", every), ("--list", rows)) if given]
    if git is None:
        if lists:
            raise Stop(f"{lists[0]} needs --git REPO", next="say which repository: --git REPO")
        if not folders:
            raise Stop("nothing to audit", expected="folders, or --git REPO with --prs, --all or --list")
        for folder in folders:
            check_folder(folder)
        return unique(folder_task(folder, how) for folder in folders)
    if folders:
        raise Stop("both folders and --git", next="run two batches, each with its --out")
    if len(lists) != 1:
        raise Stop(
            "--git needs one of --prs, --all and --list", **({"found": " ".join(lists)} if lists else {})
        )
    repository = open_repository(git)
    if every:
        wanted = all_pulls(repository)
    else:
        wanted = read_numbers(prs) if prs is not None else read_list(rows) if rows is not None else ()
    return unique(pull_tasks(repository, wanted, how))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _summary(counts: Counts, index: Path, quiet: bool) -> None:
    if quiet:
        print(index)
    else:
        print_counts(counts, str(index), Console(highlight=False))
