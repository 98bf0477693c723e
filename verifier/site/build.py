"""Write the site of a batch: `index.html`, a page for each report, and the data behind both as JSON.

Everything is written into a folder beside the target and renamed, so a reader never sees half a site.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from verifier.batch.book import BatchError
from verifier.batch.line import Line
from verifier.report.frontier import DATA
from verifier.report.html import render_html
from verifier.report.json import ReportError, plain, read_report
from verifier.report.site import ROWS, render_site
from verifier.report.store import check_pages
from verifier.site.entry import Entry, audited_entry, unaudited_entry
from verifier.site.frontier import frontiers

HOME, PAGES = "index.html", "reports"
MARK = ".pgolf-site"
"""In every site's folder: it may be replaced by the next one."""
WORTH_PROCESSES = 200
"""Reports; fewer are written before other processes would have started."""
NAMED = 3


def build_site(lines: Sequence[Line], folder: Path, out: Path, processes: int = 1) -> tuple[Entry, ...]:
    """Write the site of these lines, whose reports lie below `folder`, and return its rows.

    Raises:
        BatchError: reports are gone or unreadable, there is nothing to show, or `out` is something else.
    """
    shown = [line for line in lines if line.status != "nothing"]
    _check(shown, folder, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    built = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        built.chmod(0o755)  # mkdtemp makes it 0700, and a site is meant to be read
        (built / PAGES).mkdir()
        reports = [line for line in shown if line.report is not None]
        entries = [*_pages(reports, folder, built, processes)]
        entries += [unaudited_entry(line) for line in shown if line.report is None]
        _write_home(entries, lines, built)
        _put(built, out)
    except BaseException:
        shutil.rmtree(built, ignore_errors=True)
        raise
    return tuple(entries)


def _check(lines: Sequence[Line], folder: Path, out: Path) -> None:
    """Before anything is written."""
    if not lines:
        raise BatchError("the index holds no submission", next="pgolf-verify batch … --out DIR")
    odd = [
        line.report
        for line in lines
        if line.report and not re.fullmatch(r"reports/[\w.-]+\.json", line.report)
    ]
    if odd:
        raise BatchError(f"{odd[0]!r} is no place of a report", expected="reports/NAME.json, below the index")
    gone = [line.report for line in lines if line.report and not (folder / line.report).is_file()]
    if gone:
        named = ", ".join(gone[:NAMED]) + (", …" if len(gone) > NAMED else "")
        raise BatchError(
            f"{len(gone)} of {len(lines)} reports of the index are gone: {named}",
            where=str(folder),
            next="put them back beside the index, or run the batch again into an empty folder",
        )
    if out.exists() and not (out / MARK).exists() and (not out.is_dir() or any(out.iterdir())):
        raise BatchError(
            f"{out} is there, and is no site",
            expected="a new or empty folder, or one that this command wrote",
            next="choose another --out DIR",
        )


def _pages(lines: Sequence[Line], folder: Path, built: Path, processes: int) -> Iterable[Entry]:
    write = partial(_write_page, folder=folder, built=built, checks=check_pages())
    if processes == 1 or len(lines) < WORTH_PROCESSES:
        return [write(line) for line in lines]
    fresh = multiprocessing.get_context("spawn")  # a fork would copy the progress line's thread half-way
    with ProcessPoolExecutor(processes, fresh) as pool:
        return list(pool.map(write, lines, chunksize=16))


def _write_page(line: Line, folder: Path, built: Path, checks: Mapping[str, str]) -> Entry:
    assert line.report is not None  # `_check` and the caller
    path = folder / line.report
    try:
        report = read_report(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ReportError) as error:
        raise BatchError(
            f"{path} is not a report",
            found=str(error),
            next="delete it and its line of the index, and run the batch again",
        ) from None
    page = f"{PAGES}/{path.stem}.html"
    (built / page).write_text(render_html(report, checks, back=f"../{HOME}"), encoding="utf-8", newline="\n")
    return audited_entry(line, report, page)


def _write_home(entries: Sequence[Entry], lines: Sequence[Line], built: Path) -> None:
    steps = frontiers(entries)
    facts = {
        name: ", ".join(values)
        for name, values in (
            ("pgolf-verify", sorted({line.tool for line in lines})),
            ("rules", sorted({line.rule_edition for line in lines})),
            ("level", sorted({line.level for line in lines})),
        )
    }
    nothing = sum(line.status == "nothing" for line in lines)
    _write(built / HOME, render_site(entries, steps, facts, nothing))
    _write(built / DATA, _json({name: [_row(step) for step in each] for name, each in steps.items()}))
    _write(built / ROWS, _json([_row(entry) for entry in entries]))
    _write(built / MARK, "This folder was written by `pgolf-verify site` and is replaced by its next run.\n")


def _row(each: Any) -> dict[str, Any]:
    """A dataclass as JSON values, days as text."""
    row = asdict(each)
    return {**row, "day": None if row["day"] is None else row["day"].isoformat()}


def _json(value: object) -> str:
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _put(built: Path, out: Path) -> None:
    """Rename over what was there; the old one is gone only when the new one is in its place."""
    if not out.exists():
        os.replace(built, out)
        return
    old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.old."))
    os.replace(out, old / "site")
    os.replace(built, out)
    shutil.rmtree(old, ignore_errors=True)
