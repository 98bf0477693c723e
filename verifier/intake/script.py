"""Which file is the training script, and what program it holds once opened.

`train_gpt.py` in the folder is the contest's entry point and always wins. Otherwise a single
candidate is taken; of several, the likeliest, and a Problem lists them all.
"""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass

from verifier.finding import Where
from verifier.intake.folder import Folder
from verifier.intake.syntax import Broken, syntax_of
from verifier.intake.text import decode_python
from verifier.intake.wrapper import open_wrapper
from verifier.submission import Problem, Script

ENTRY_POINT = "train_gpt.py"
_HELPERS = re.compile(
    r"(?:^|[_/])(?:test|tests|setup|prepare|plot|analy[sz]e|pack|build|convert|download|lossless_caps|util|utils|"
    r"bench|sweep|make|check|verify|compare|ablat)\w*\.py$",
    re.IGNORECASE,
)
_COMPANION_SUFFIXES = (
    ".py",
    ".c",
    ".cpp",
    ".cc",
    ".cu",
    ".cuh",
    ".h",
    ".rs",
    ".txt",
    ".json",
    ".so",
    ".npz",
    ".model",
)
_MAX_SIBLINGS = 200
_TRAINING_WORDS = 3  # of the five that `_rank` looks for


@dataclass(frozen=True)
class ScriptFile:
    """The chosen script, or None when the folder has none, and what was odd about it."""

    script: Script | None
    problems: tuple[Problem, ...]


def read_script(folder: Folder) -> ScriptFile:
    """Choose, open and parse the training script. Never raises."""
    path, problems = _choose(folder)
    if path is None:
        return ScriptFile(None, tuple(problems))
    file = next(each for each in folder.files if each.path == path)
    data = folder.read(path)
    decoded = None if data is None else decode_python(data)
    if decoded is None:
        found = "too large to parse" if data is None else "binary"
        message = f"{path} is {found}; expected Python text. Ship the script as UTF-8 source"
        problems.append(Problem("script-unreadable", message, Where(path), fatal=True))
        return ScriptFile(None, tuple(problems))
    if decoded.encoding not in ("utf-8", "utf-8-sig"):
        message = f"{path} is encoded as {decoded.encoding}; expected UTF-8: Python may refuse it"
        problems.append(Problem("script-encoding", message, Where(path)))
    opened = open_wrapper(decoded.text, path)
    problems += opened.problems
    grammar, problem = _grammar(opened.source, path)
    if problem is not None:
        problems.append(problem)
    script = Script(
        path=path,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        source=opened.source,
        payload_sha256=hashlib.sha256(opened.source.encode("utf-8", errors="surrogatepass")).hexdigest(),
        wrapper=opened.wrapper,
        grammar=grammar,
        siblings=_siblings(folder, path, opened.source),
    )
    return ScriptFile(script, tuple(problems))


def _grammar(source: str, path: str) -> tuple[str, Problem | None]:
    """The lowest Python grammar that parses the source, and the syntax error when there is none."""
    syntax = syntax_of(source)
    if not isinstance(syntax, Broken):
        return syntax.grammar, None
    where = Where(path, syntax.line, syntax.excerpt)
    message = f"{where} is not Python 3.11 or 3.12: {syntax.message}. Fix the syntax"
    return "none", Problem("script-syntax", message, where, fatal=True)


def _choose(folder: Folder) -> tuple[str | None, list[Problem]]:
    paths = [file.path for file in folder.files if file.path.lower().endswith(".py")]
    if ENTRY_POINT in paths:
        return ENTRY_POINT, []
    entries = [path for path in paths if path.rpartition("/")[2] == ENTRY_POINT]
    likely = [path for path in paths if not _HELPERS.search(path)]
    candidates = entries or [path for path in likely if "/" not in path] or likely
    candidates = candidates or [path for path in paths if _rank(folder, path)[1] <= -_TRAINING_WORDS]
    if not candidates:
        shown = ", ".join(file.path for file in folder.files[:8])
        message = f"no Python script among {len(folder.files)} files ({shown}); expected {ENTRY_POINT}"
        return None, [Problem("no-script", message, Where("."), fatal=True)]
    ranked = sorted(candidates, key=lambda path: _rank(folder, path))
    if len(candidates) == 1:
        message = (
            f"found {ranked[0]} as the only script; expected {ENTRY_POINT} in the folder: read {ranked[0]}"
        )
        return ranked[0], [Problem("script-name", message, Where(ranked[0]))]
    message = (
        f"found {len(candidates)} scripts and no {ENTRY_POINT}: {', '.join(ranked[:6])}. Read {ranked[0]}, "
        "which looks most like a training script. Name the entry point train_gpt.py"
    )
    return ranked[0], [Problem("two-scripts", message, Where(ranked[0]))]


def _rank(folder: Folder, path: str) -> tuple[int, int, int, str]:
    """Training scripts first: by name, by what they mention, by size."""
    data = folder.read(path) or b""
    words = sum(
        word in data for word in (b"val_bpb", b"torchrun", b"sentencepiece", b"def main", b"train_loss")
    )
    name = path.rpartition("/")[2].lower()
    by_name = 0 if name.startswith("train_gpt") else 1 if name.startswith("train") else 2
    return by_name, -words, -len(data), path


def _siblings(folder: Folder, path: str, source: str) -> tuple[str, ...]:
    """Shipped files that the script names, and those that these name in turn."""
    others = {f.path for f in folder.files if f.path != path and f.path.lower().endswith(_COMPANION_SUFFIXES)}
    if not others:
        return ()
    named: list[str] = []
    queue = [source]
    while queue and len(named) < _MAX_SIBLINGS:
        mentions = _mentions(queue.pop(0))
        for other in sorted(others - set(named)):
            stem = other.rpartition("/")[2]
            module = other.removesuffix(".py").replace("/", ".") if other.endswith(".py") else ""
            if (
                stem in mentions
                or other in mentions
                or (module and mentions & {module, module.rpartition(".")[2]})
            ):
                named.append(other)
                if other.endswith(".py") and (data := folder.read(other)) and (text := decode_python(data)):
                    queue.append(text.text)
    return tuple(named)


def _mentions(source: str) -> set[str]:
    """Imported modules, and the last path component of every short string."""
    found: set[str] = set()
    syntax = syntax_of(source)
    if isinstance(syntax, Broken):
        return set(re.findall(r"(?<![\w.-])[\w.-]+\.(?:py|c|cpp|cu|json|txt|model|npz)\b", source))
    for node in syntax.of(ast.Import, ast.ImportFrom, ast.Constant):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=module, names=names):
                found |= {f"{module}.{alias.name}" if module else alias.name for alias in names}
                found |= {module} if module else set()
            case ast.Constant(value=str(text)) if 0 < len(text) < 200:
                found |= {text, text.rpartition("/")[2]}
    return found
