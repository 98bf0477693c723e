"""Training and evaluation logs: any text file of the folder that reads like one.

Names vary (train.log, train_seed42.log, logs/p1.0_seed42.txt, *.out), so content decides: a file is
a log when it prints a metric, a step time, a stop line or a size. Cannot see: logs as images or
notebooks, and numbers that were never logged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from verifier.finding import Where
from verifier.intake.facts import Facts
from verifier.intake.listing import Listing, find_listing
from verifier.intake.metric import metrics_of_line
from verifier.intake.text import decode_text
from verifier.submission import Log, Metric, Problem, ShippedFile

_SUFFIXES = {"log", "txt", "out", "err", "stdout", "stderr", "", "text", "utf8", "logs"}
_NOT_LOGS = re.compile(
    r"(?:^|/)(?:readme|requirements|license|notice|changelog|todo|authors)\b[^/]*$", re.IGNORECASE
)
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_SOURCE_START = re.compile(r"#|def |class |import |from \w+ import|return\b|if |for |\"\"\"")
_SOURCE_INSIDE = re.compile(r"log0?\(|print\(|\bf[\"']|\.append\(|os\.environ")
_FILE_SEED = re.compile(r"(?:seed[_-]?|(?:^|[_/-])s)(\d{1,6})(?!\d|\.\d)", re.IGNORECASE)
_MAX_LINE = 4_000  # characters; real metric lines are below 400
_MAX_LINES = 200_000


@dataclass(frozen=True)
class LogFile:
    """A parsed log, or None when the file is not one, and what was odd about it."""

    log: Log | None
    problems: tuple[Problem, ...] = ()


def may_be_log(path: str) -> bool:
    """True when a file's name does not rule a log out."""
    name = path.rpartition("/")[2]
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    return suffix in _SUFFIXES and _NOT_LOGS.search(path) is None and not name.startswith(".")


def read_log(data: bytes, file: ShippedFile) -> LogFile:
    """Parse a log. Never raises: everything odd becomes a Problem."""
    decoded = decode_text(data)
    if decoded is None:
        return LogFile(None)
    text = _ANSI.sub("", decoded.text) if "\x1b" in decoded.text else decoded.text
    lines = text.split("\n")
    cut, lines = len(lines) - _MAX_LINES, lines[:_MAX_LINES]
    listing = find_listing(lines)
    facts, metrics, long_lines = Facts(), _Metrics(), 0
    for number, line in enumerate(lines, start=1):
        if listing is not None and listing.first <= number <= listing.last:
            continue
        if len(line) > _MAX_LINE:
            long_lines += 1
        for piece in line.split("\r") if "\r" in line else (line,):
            piece = piece[:_MAX_LINE].strip()
            if piece and not _is_source(piece):
                facts.read(piece, number)
                for metric in metrics_of_line(piece, number):
                    metrics.add(metric)
    if not metrics.found and facts.train_ms is None and not facts.sizes:
        return LogFile(None)
    log = _assemble(file, decoded.encoding, facts, metrics, listing)
    return LogFile(log, _problems(file.path, decoded.encoding, long_lines, cut))


def _is_source(line: str) -> bool:
    """Whether a stripped line reads like Python and not like its output."""
    if _SOURCE_START.match(line) is not None:
        return True
    # in every line that the slower search finds, and in few others
    marked = "(" in line or "f'" in line or 'f"' in line or "os.environ" in line
    return marked and _SOURCE_INSIDE.search(line) is not None


class _Metrics:
    """Metrics in order; the same one printed by every rank counts once."""

    def __init__(self) -> None:
        self.found: list[Metric] = []
        self._seen: set[tuple[object, ...]] = set()

    def add(self, metric: Metric) -> None:
        key = (metric.label, metric.val_loss, metric.val_bpb, metric.final)
        if key not in self._seen:
            self._seen.add(key)
            self.found.append(metric)


def _assemble(
    file: ShippedFile, encoding: str, facts: Facts, metrics: _Metrics, listing: Listing | None
) -> Log:
    config: dict[str, Any] = dict(facts.config)
    seed_from_name = False
    if "seed" not in config and facts.env.get("SEED", "").isdigit():
        config["seed"] = int(facts.env["SEED"])
    if "seed" not in config and (match := _FILE_SEED.search(file.path)) is not None:
        config["seed"] = int(match.group(1))
        seed_from_name = True
    return Log(
        path=file.path,
        sha256=file.sha256,
        encoding=encoding,
        metrics=tuple(metrics.found),
        sizes=tuple(dict.fromkeys(facts.sizes)),
        train_ms=facts.train_ms,
        train_line=facts.train_line,
        train_rounding_ms=facts.train_rounding_ms,
        stop_line=facts.stop_line,
        calibration_seconds=facts.calibration_seconds,
        calibration_line=facts.calibration_line,
        calibration_source=facts.calibration_source,
        late_calibration=tuple(facts.late_calibration),
        stored_targets=facts.stored_targets,
        train_data=facts.train_data,
        eval_seconds_total=facts.eval_seconds_total,
        eval_line=facts.eval_line,
        env=facts.env,
        source_sha256=None if listing is None else listing.sha256,
        source=None if listing is None else listing.source,
        seed_from_name=seed_from_name,
        **config,
    )


def _problems(path: str, encoding: str, long_lines: int, cut: int) -> tuple[Problem, ...]:
    problems = []
    if encoding not in ("utf-8", "utf-8-sig"):
        problems.append(
            Problem(
                "log-encoding",
                f"{path} is encoded as {encoding}; expected UTF-8: read as {encoding}",
                Where(path),
            )
        )
    if long_lines:
        problems.append(
            Problem(
                "log-long-lines",
                f"{path} has {long_lines} lines over {_MAX_LINE} characters; the rest of each was not parsed",
                Where(path),
            )
        )
    if cut > 0:
        message = f"{path} has over {_MAX_LINES} lines; the last {cut} were not parsed"
        problems.append(Problem("log-too-long", message, Where(path)))
    return tuple(problems)
