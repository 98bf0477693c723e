"""The documented way to run the submission: its command line and its environment.

Sources, strongest first: the log of the claimed run, the run scripts, the README's code blocks.
Where they disagree the strongest wins and the disagreement is recorded in words. Only variables
that the script reads are kept. Cannot see: variables set on the author's machine and never written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from verifier.finding import Where
from verifier.intake.environment import environment_reads
from verifier.intake.folder import Folder
from verifier.intake.shell import Invocation, invocations
from verifier.intake.text import decode_text
from verifier.submission import Claim, Log, RunCommand, Script

_FENCE = re.compile(r"^\s*(?:>\s*)?(`{3,}|~{3,})\s*([\w+-]*)")
_SHELL_LANGUAGES = {
    "",
    "bash",
    "sh",
    "shell",
    "console",
    "zsh",
    "text",
    "powershell",
    "bat",
    "cmd",
    "env",
    "plaintext",
}
_INLINE = re.compile(r"`([^`\n]*\b(?:torchrun|python3?)\b[^`\n]*)`")
_GOOD = re.compile(
    r"reproduc|how to run|run command|run it|running|usage|quick ?start|command|training|submission|final|"
    r"8x ?h100",
    re.IGNORECASE,
)
_BAD = re.compile(
    r"ablat|baseline|control\b|smoke|debug|local|mlx|sanity|sweep|previous|alternativ|optional|negative|without|"
    r"failed|dry.?run|single.?gpu|1x ?h100|unit test|quick test|eval.?only|disable|"
    r"legacy|cheap|prepare|download",
    re.IGNORECASE,
)
_GOOD_SCRIPT = re.compile(r"run|repro|submit|final|launch|train", re.IGNORECASE)
_BAD_SCRIPT = re.compile(
    r"ablat|sweep|smoke|baseline|setup|install|debug|local|test|prepare|download|upload|push|monitor",
    re.IGNORECASE,
)
_RESUMES = re.compile(
    r"EVAL_?ONLY|RESUME|SKIP_TRAIN|(?:LOAD|INIT)_(?:FROM|MODEL|CKPT|CHECKPOINT)", re.IGNORECASE
)
"""Variables of a command that goes on from what an earlier one has left."""
_SEED_NAMES = {"SEED", "RUN_ID", "LOGFILE", "LOG_FILE"}
_MAX_LINE = 4_000  # characters
_MAX_BLOCKS = 2_000  # the longest real README has some sixty
_CONTEXT_LINES = 4
_SAME_RUN = 1e-3  # bits per byte: logs print at least four digits


@dataclass(frozen=True)
class _Source:
    """One place that documents a run. `rank`: 0 the claimed run's log, 1 a run script, 2 the README."""

    rank: int
    score: float
    env: Mapping[str, str]
    argv: tuple[str, ...]
    where: Where


def read_command(
    folder: Folder, script: Script | None, logs: tuple[Log, ...], readme: str | None, claim: Claim
) -> RunCommand:
    """Gather the run command. Never raises; with nothing documented the command is empty."""
    known = _known_variables(folder, script)
    names = _script_names(script)
    scripts = _from_scripts(folder, names, known)
    documented = _from_readme(folder, readme if readme is not None else _beside(folder, script), names, known)
    if scripts and scripts[0].score < 0 and documented:
        scripts = []  # run_ablation.sh and the like do not speak for the headline run
    sources = [*_from_logs(logs, claim), *scripts, *documented]
    env: dict[str, str] = {}
    set_by: dict[str, _Source] = {}
    conflicts: list[str] = []
    dropped: dict[str, Where] = {}
    for source in sources:
        for name, value in source.env.items():
            if not known(name):
                dropped.setdefault(name, source.where)
            elif name not in env:
                env[name] = value
                set_by[name] = source
            elif env[name] != value and name not in _SEED_NAMES:
                first = set_by[name].where
                conflicts.append(
                    f"{name}: {first} says {env[name]!r}, {source.where} says {value!r}; took the first"
                )
    argv = next((source.argv for source in sources if source.argv), ())
    return RunCommand(
        env=env,
        argv=argv,
        where=tuple(dict.fromkeys(source.where for source in sources)),
        conflicts=tuple(dict.fromkeys(conflicts)),
        dropped=tuple(
            f"{name}: set by {where}, but the script never reads it" for name, where in dropped.items()
        ),
    )


def _known_variables(folder: Folder, script: Script | None) -> Callable[[str], bool]:
    """Whether the script reads a variable. When there is no script to ask, it may read any."""
    if script is None or script.grammar == "none":
        return lambda name: True
    known = set(environment_reads(script.source))
    for sibling in script.siblings:
        if sibling.endswith(".py") and (data := folder.read(sibling)) and (text := decode_text(data)):
            known |= set(environment_reads(text.text))
    return known.__contains__


def _script_names(script: Script | None) -> set[str]:
    names = {"train_gpt.py"}
    if script is not None:
        names |= {path.rpartition("/")[2] for path in (script.path, *script.siblings) if path.endswith(".py")}
    return names


def _from_logs(logs: tuple[Log, ...], claim: Claim) -> Iterator[_Source]:
    """Logs that show their environment; the one whose result is the claim first."""

    def distance(log: Log) -> float:
        values = [m.val_bpb for m in log.metrics if m.final and m.val_bpb is not None]
        targets = [t for t in (claim.val_bpb, *(seed.val_bpb for seed in claim.seeds)) if t is not None]
        best = min((abs(v - t) for v in values for t in targets), default=9.0)
        return 0.0 if best < _SAME_RUN else best

    for log in sorted((log for log in logs if log.env), key=lambda log: (distance(log), log.path)):
        yield _Source(0, -distance(log), log.env, (), Where(log.path))


def _from_scripts(folder: Folder, names: set[str], known: Callable[[str], bool]) -> list[_Source]:
    sources: list[_Source] = []
    for file in folder.files:
        if not file.path.lower().endswith((".sh", ".bash", ".sbatch", ".slurm", ".bat", ".ps1", ".cmd")):
            continue
        data = folder.read(file.path)
        text = None if data is None else decode_text(data)
        if text is None:
            continue
        stem = file.path.rpartition("/")[2]
        score = bool(_GOOD_SCRIPT.search(stem)) - 4.0 * bool(_BAD_SCRIPT.search(stem)) - file.path.count("/")
        found = invocations(text.text)
        for each, words in zip(found, _words_before(text.text, found), strict=True):
            aside = 2.0 * bool(_BAD.search(words))
            sources += _ranked(1, score - aside, file.path, [each], names, known)
    return _best(sources)


def _words_before(text: str, found: tuple[Invocation, ...]) -> Iterator[str]:
    """What a run script says right above each of its commands: a comment, an echo, the label of a case."""
    lines = text.split("\n")
    last = 0
    for each in found:
        above = lines[max(last, each.line - 1 - _CONTEXT_LINES) : each.line - 1]
        ends = [index for index, line in enumerate(above) if line.strip() == ";;"]
        yield "\n".join(above[ends[-1] + 1 if ends else 0 :])
        last = each.line


def _from_readme(
    folder: Folder, readme: str | None, names: set[str], known: Callable[[str], bool]
) -> list[_Source]:
    if readme is None:
        return []
    path = next((f.path for f in folder.files if _is_readme(f.path)), "README.md")
    sources: list[_Source] = []
    for block in islice(_blocks(readme), _MAX_BLOCKS):
        context = f"{block.heading}\n{block.before}"
        score = bool(_GOOD.search(context)) - 2.0 * bool(_BAD.search(context))
        score += bool(_GOOD.search(block.heading)) - 2.0 * bool(_BAD.search(block.heading))
        sources += _ranked(2, score, path, invocations(block.text, block.line), names, known)
    return _best(sources)


def _is_readme(path: str) -> bool:
    return path.lower().rpartition("/")[2].startswith("readme")


def _beside(folder: Folder, script: Script | None) -> str | None:
    """The README in the script's own folder, where the submission's root has none."""
    parent = "" if script is None else script.path.rpartition("/")[0]
    for file in folder.files if parent else ():
        if file.path.lower() == f"{parent}/readme.md".lower() and (data := folder.read(file.path)):
            text = decode_text(data)
            return None if text is None else text.text
    return None


def _ranked(
    rank: int,
    score: float,
    path: str,
    found: Iterable[Invocation],
    names: set[str],
    known: Callable[[str], bool],
) -> Iterator[_Source]:
    for each in found:
        runs = any(word.rpartition("/")[2] in names for word in each.argv)
        if each.argv and not runs:
            continue
        relevant = sum(known(name) and name not in _SEED_NAMES for name in each.env)
        if not each.argv and not relevant:
            continue
        value = score + (2.0 if runs else -1.0) + min(relevant, 10) * 0.1
        value -= 2.0 * any(_RESUMES.search(name) for name in each.env)
        yield _Source(rank, value, each.env, each.argv, Where(path, each.line))


def _best(sources: list[_Source]) -> list[_Source]:
    """The best command, then its equals: they confirm it, or are recorded as conflicts."""
    if not sources:
        return []
    ranked = sorted(sources, key=lambda s: (-s.score, s.where.file, s.where.line or 0))
    return [source for source in ranked if source.score > ranked[0].score - 0.05][:4]


@dataclass(frozen=True)
class _Block:
    text: str
    line: int
    heading: str
    before: str


def _blocks(readme: str) -> Iterator[_Block]:
    """Fenced shell blocks, indented commands and inline commands, with the words around them."""
    lines = [line[:_MAX_LINE] for line in readme.split("\n")]
    heading, fence, language, start = "", "", "", 0
    for index, line in enumerate(lines):
        match = _FENCE.match(line)
        if fence:
            if match is not None and match.group(1).startswith(fence):
                fence = ""
                if language in _SHELL_LANGUAGES:
                    before = "\n".join(lines[max(0, start - 1 - _CONTEXT_LINES) : start - 1])
                    yield _Block("\n".join(lines[start:index]), start + 1, heading, before)
        elif match is not None:
            fence, language, start = match.group(1), match.group(2).lower(), index + 1
        elif line.startswith("#"):
            heading = line.strip("# ")
        else:
            for inline in _INLINE.findall(line):
                yield _Block(inline, index + 1, heading, line)
            if line.startswith("    ") and "torchrun" in line:
                yield _Block(
                    line.strip(), index + 1, heading, "\n".join(lines[max(0, index - _CONTEXT_LINES) : index])
                )
