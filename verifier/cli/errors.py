"""Errors as a user sees them: one block on stderr, and an exit code that is no verdict."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text

from verifier.batch.book import BatchError
from verifier.intake import IntakeError
from verifier.intake.git import GitError
from verifier.report.pages import did_you_mean
from verifier.report.wording import clean

USAGE, ERROR, INTERRUPTED = 2, 3, 130


class Stop(Exception):
    """A mistake in how the command was called: printed as one block, exit code 2."""

    def __init__(self, what: str, **facts: str) -> None:
        super().__init__(what)
        self.facts = facts
        """`found`, `expected`, `where`, `next`: those that are known."""


@contextmanager
def told_plainly(debug: bool) -> Iterator[None]:
    """Turn every error into one block and an exit code that is no verdict."""
    try:
        yield
    except Stop as stop:
        fail(str(stop), USAGE, stop.facts)
    except (GitError, BatchError) as error:
        fail(str(error), USAGE, error.facts)
    except IntakeError as error:
        fail(str(error), USAGE, {"expected": "a submission folder, as it is in the pull request"})
    except KeyboardInterrupt:
        fail("interrupted; nothing was written", INTERRUPTED, {})
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if debug:
            traceback.print_exc()
        facts = {"next": "run again with --debug for the traceback, and report it"}
        fail(f"unexpected {type(error).__name__}: {error}", ERROR, {} if debug else facts)


@contextmanager
def stoppable() -> Iterator[None]:
    """A polite kill ends a command as Ctrl-C does, and both do where a shell had interrupts ignored."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def fail_misused(error: typer.TyperException) -> int:
    """Tell what the command line's parser refused; the exit code."""
    context = getattr(error, "ctx", None)
    command = "pgolf-verify" if context is None else context.command_path
    near = did_you_mean(getattr(error, "option_name", ""), getattr(error, "possibilities", None) or ())
    message = error.format_message() if not near else error.message
    what = (message[:1].lower() + message[1:]).rstrip(".").replace("Value error, ", "")
    try:
        fail(what, USAGE, {"next": f"{near or 'see'} `{command} --help`".replace("? `", "? See `")})
    except typer.Exit as end:
        return end.exit_code


def fail(what: str, exit_code: int, facts: Mapping[str, str]) -> NoReturn:
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("error", "bold red"), f"  {clean(what)}"), soft_wrap=True)
    for name, text in facts.items():
        console.print(Text(f"  {name:<8}  {clean(text)}"), soft_wrap=True)
    raise typer.Exit(exit_code)


@contextmanager
def unless_nobody_reads() -> Iterator[None]:
    """`pgolf-verify FOLDER | head` closes our stdout early; the exit code is still the verdict's."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
