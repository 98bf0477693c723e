"""One audit to be done: which submission, and how. Data that travels to another process or machine."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path

from verifier import __version__
from verifier.audit import Level, audit, edition_name
from verifier.intake.checkout import check_out
from verifier.intake.git import Repository, open_repository
from verifier.probe.device import Device
from verifier.report.json import render_json

NAME_CHARS = 60
KEY_CHARS = 16
SHA_CHARS = 10  # of the head in a report's name: a pull request that moved gets a report of its own


@dataclass(frozen=True)
class Settings:
    """How each submission of a run is audited. Results of different settings are never mixed."""

    level: str
    time_limit_seconds: float
    seed: int | None = None
    """None draws a fresh one for each audit."""
    tool: str = ""
    """`tool_stamp()` of the verifier that started the run."""
    rule_edition: str = ""
    device: str = str(Device.CPU)


@dataclass(frozen=True)
class Task:
    """A folder on disk, or a pull request's head in a repository."""

    settings: Settings
    path: str
    """The folder, or with `sha` the repository."""
    pr: int | None = None
    sha: str | None = None
    folder: str | None = None
    """Inside the repository; chosen when not given."""

    @property
    def name(self) -> str:
        """Of the report file: readable first, and unique within a run."""
        if self.sha is not None:
            named = self.sha[:SHA_CHARS] if self.pr is None else f"{self.pr}-{self.sha[:SHA_CHARS]}"
            return named if self.folder is None else f"{named}-{_digest(self.folder)[:6]}"
        stem = re.sub(r"[^\w.-]+", "_", Path(self.path).name).strip("._")[:NAME_CHARS] or "folder"
        return f"{stem}-{_digest(self.path)[:8]}"

    @property
    def key(self) -> str:
        """The same for the same work: submission, level, limits, seed and tool."""
        return _digest(json.dumps(asdict(self), sort_keys=True))[:KEY_CHARS]


def settings(
    level: Level, time_limit_seconds: float, seed: int | None, device: Device = Device.CPU
) -> Settings:
    return Settings(str(level), time_limit_seconds, seed, tool_stamp(), edition_name(), str(device))


def folder_task(folder: Path, how: Settings) -> Task:
    return Task(how, str(folder.resolve()))


def unique(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Each work once, in the order of first mention."""
    return tuple({task.key: task for task in tasks}.values())


def audit_task(task: Task) -> str:
    """Do it, and give the report as JSON text. Raises GitError or IntakeError when there is nothing to audit."""
    how = task.settings
    if how.tool != tool_stamp():
        raise RuntimeError(f"this machine has pgolf-verify {tool_stamp()}, the run was started by {how.tool}")
    if task.sha is None:
        report = audit(
            Path(task.path),
            level=Level(how.level),
            seed=how.seed,
            device=Device(how.device),
            time_limit_seconds=how.time_limit_seconds,
        )
        return render_json(report, f"{task.name}.json")
    with tempfile.TemporaryDirectory(prefix="pgolf-verify-") as scratch:
        checkout = check_out(
            _repository(task.path), Path(scratch), pr=task.pr, sha=task.sha, folder=task.folder
        )
        report = audit(
            checkout.root,
            level=Level(how.level),
            seed=how.seed,
            device=Device(how.device),
            time_limit_seconds=how.time_limit_seconds,
            checkout=checkout,
        )
    return render_json(report, f"{task.name}.json")


@lru_cache(maxsize=1)
def _repository(path: str) -> Repository:
    """One for all audits of a process: what its main branch is and contains is asked once."""
    return open_repository(Path(path))


@cache
def tool_stamp() -> str:
    """The verifier's version and a digest of its code and rules: two checkouts of one version can differ."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.json")]):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
