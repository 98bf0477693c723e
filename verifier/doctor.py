"""What this machine offers to an audit: versions, isolation, caches. Reads, and changes nothing."""

from __future__ import annotations

import os
import platform as system
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from verifier import __version__
from verifier.audit import describe_platform, edition_name, installed_version
from verifier.probe.device import Device
from verifier.report.model import SCHEMA

PACKAGES = ("torch", "numpy", "sentencepiece", "brotli", "zstandard", "rich", "typer", "jsonschema")
EXTRAS = {"ray": "batch --ray", "huggingface_hub": "pgolf data fineweb"}
"""What an audit does without, and the command that needs it."""
SHOWING = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM")
"""Variables that change what a terminal shows."""


@dataclass(frozen=True)
class Diagnosis:
    facts: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    """What keeps an audit with probes from running here; empty when nothing does."""


def diagnose() -> Diagnosis:
    """Ask each part that can be missing on a machine."""
    platform = describe_platform()
    facts = [
        ("pgolf-verify", __version__),
        ("rule edition", edition_name()),
        ("report schema", SCHEMA),
        ("python", f"{platform.python} on {platform.machine}, {platform.cpus} CPUs"),
        ("system", system.platform()),
    ]
    problems = []
    for package in PACKAGES:
        version = installed_version(package)
        facts.append((package, version or "missing"))
        if version is None:
            problems.append(f"{package} is not installed: pip install {package}")
    for package, need in EXTRAS.items():
        facts.append((package, installed_version(package) or f"not installed; only `{need}` needs it"))
    facts.append(("git", shutil.which("git") or "not installed; only --git needs it"))
    facts.append(("cuda", Device.CUDA.missing() or "device nodes in /dev; --device cuda can be tried"))
    walls = isolation()
    facts += [(f"isolation: {name}", text) for name, text in walls.items()]
    if not walls:
        problems.append("no program could be run in isolation: probes will not run")
    facts.append(("tokenizer cache", _cache(tokenizer_cache())))
    facts.append(("scratch", _scratch(Path(tempfile.gettempdir()))))
    shown = " ".join(f"{name}={os.environ[name]}" for name in SHOWING if name in os.environ)
    facts.append(("terminal", shown or "none of " + ", ".join(SHOWING)))
    return Diagnosis(tuple(facts), tuple(problems))


def isolation() -> dict[str, str]:
    """What stood around an empty program, run as a submission is; empty if it did not run."""
    from verifier.probe.sandbox import Job, best_mechanism, run_sandboxed

    with tempfile.TemporaryDirectory() as folder:
        outcome = run_sandboxed(Job((sys.executable, "-I", "-S", "-c", ""), Path(folder)))
    return {"mechanism": str(best_mechanism()), **outcome.isolation} if outcome.ok else {}


def tokenizer_cache() -> Path:
    from pgolf.tokenizer import default_cache_dir

    return default_cache_dir()


def _scratch(folder: Path) -> str:
    return f"{folder} ({shutil.disk_usage(folder).free / 1e9:,.1f} GB free)"


def _cache(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder} (not made yet: the first audit with probes makes it)"
    files = [path for path in folder.rglob("*") if path.is_file()]
    return f"{folder} ({len(files)} files, {sum(path.stat().st_size for path in files):,} bytes)"
