"""Shell text as data: which command would run with which environment. Nothing is executed.

Understands assignments before a command, `export`, `env`, `set` and `$env:` of Windows, line
continuations, trailing comments, `${NAME:-default}` and variables set above. A bare assignment
counts as exported: people who write one in a README mean that. A value that cannot be resolved (a
loop variable, a command substitution) or that stands for one to be filled in (`<seed>`, `{seed}`) is
left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_ASSIGNMENT = re.compile(rf"^({_NAME})=(.*)$", re.DOTALL)
_POWERSHELL = re.compile(rf"^\s*\$env:({_NAME})\s*=\s*(.+?)\s*;?\s*$", re.IGNORECASE)
_WINDOWS = re.compile(rf'^\s*set\s+"?({_NAME})=([^"&|]*)"?\s*$', re.IGNORECASE)
_VARIABLE = re.compile(rf"\$(?:({_NAME})|\{{({_NAME}))")
_PROMPT = re.compile(r"^\s*(?:\$|>|%|\(\w+\)\s*\$|\w+@[\w.-]+:\S*[$#])\s+")
_PREFIXES = {
    "env",
    "nohup",
    "time",
    "sudo",
    "exec",
    "command",
    "nice",
    "do",
    "then",
    "else",
    "eval",
    "!",
    "{",
    "(",
}
_RUNNERS = {"torchrun", "python", "python3", "python3.11", "python3.12", "uv", "accelerate", "srun", "mpirun"}
_PLACEHOLDER = re.compile(
    r"^(?:<[^<>]+>|\{\w+\}|\[[A-Za-z]\w*\]|%\w+%|\.\.\.|…|(?:your|my)[-_]\w+)$", re.IGNORECASE
)
_BRACKETED = re.compile(r"=<[^<>]+>")
_OPERATORS = re.compile(r"&&|\|\||;|(?<![<>&\d])&(?!&|>)|\|")
_MAX_LINES = 4_000
_MAX_LINE = 20_000  # characters, continuations included; real commands are below 4,000
_MAX_NESTING = 8


@dataclass(frozen=True)
class Invocation:
    """One command with the environment in force. `argv` is empty for a block of bare assignments."""

    env: Mapping[str, str]
    argv: tuple[str, ...]
    line: int


def invocations(text: str, first_line: int = 1) -> tuple[Invocation, ...]:
    """The commands of a shell block that run Python, and last the bare assignments if there is no command."""
    exported: dict[str, str] = {}
    variables: dict[str, str] = {}
    found: list[Invocation] = []
    first_assignment: int | None = None
    for number, line in _logical_lines(text, first_line):
        if (match := _POWERSHELL.match(line) or _WINDOWS.match(line)) is not None:
            exported[match.group(1)] = match.group(2).strip("\"'")
            first_assignment = first_assignment or number
            continue
        for words in _commands(line):
            env, rest = _leading_assignments(words, {**variables, **exported})
            if not rest or rest[0] in ("export", "declare", "readonly", "local", "set"):
                more, _ = _leading_assignments(rest[1:], {**variables, **exported, **env})
                variables |= env | more
                exported |= env | more
                if env or more:
                    first_assignment = first_assignment or number
            elif any(word.rpartition("/")[2] in _RUNNERS for word in rest[:3]):
                argv = tuple(_expand(word, {**variables, **exported, **env}) or word for word in rest)
                found.append(Invocation({**exported, **env, **_docker_env(rest)}, argv, number))
    if not found and exported and first_assignment is not None:
        found.append(Invocation(exported, (), first_assignment))
    return tuple(found)


def _logical_lines(text: str, first_line: int) -> Iterator[tuple[int, str]]:
    """Lines with continuations joined, numbered by their first physical line."""
    pending, start = "", first_line
    for offset, raw in enumerate(text.split("\n")[:_MAX_LINES]):
        line = _BRACKETED.sub("=<value>", _PROMPT.sub("", raw[:_MAX_LINE].rstrip()))
        if not pending:
            start = first_line + offset
        uncommented = _strip_comment(line)
        body = uncommented.rstrip()
        if body.endswith(("\\", "^")) or (body.endswith("`") and body.count("`") % 2 == 1):
            pending = (pending + body[:-1] + " ")[:_MAX_LINE]
            continue
        if pending and not body and line.strip().startswith("#"):
            continue  # a comment between continued lines: what the author meant is to go on
        yield start, (pending + uncommented)[:_MAX_LINE]
        pending = ""
    if pending:
        yield start, pending


def _strip_comment(line: str) -> str:
    quote = ""
    for index, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and (index == 0 or line[index - 1].isspace()):
            return line[:index]
    return line


def _commands(line: str) -> Iterator[list[str]]:
    """The simple commands of a line, as words."""
    for part in _split_operators(line):
        try:
            words = shlex.split(part, posix=True)
        except ValueError:
            words = part.split()
        if words:
            yield words


def _split_operators(line: str) -> list[str]:
    """Split at `;`, `&&`, `|` outside quotes."""
    if "'" not in line and '"' not in line:
        return _OPERATORS.split(line)
    parts, start, quote, index = [], 0, "", 0
    while index < len(line):
        character = line[index]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif (match := _OPERATORS.match(line, index)) is not None:
            parts.append(line[start:index])
            index = start = match.end()
            continue
        index += 1
    return [*parts, line[start:]]


def _leading_assignments(words: list[str], known: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    env: dict[str, str] = {}
    for index, word in enumerate(words):
        if (match := _ASSIGNMENT.match(word)) is not None:
            value = _expand(match.group(2), {**known, **env})
            if value is not None and not _PLACEHOLDER.match(value):
                env[match.group(1)] = value
        elif word not in _PREFIXES and not (word.startswith("-") and words[0] == "env"):
            return env, words[index:]
    return env, []


def _expand(value: str, known: Mapping[str, str], depth: int = 0) -> str | None:
    """The value with its variables filled in, or None when one is not known."""
    if "$(" in value or "`" in value or depth > _MAX_NESTING:
        return None
    out, at = [], 0
    while (match := _VARIABLE.search(value, at)) is not None:
        out.append(value[at : match.start()])
        name, at = match.group(1) or match.group(2), match.end()
        filled = known.get(name)
        if match.group(2) is not None:
            closing = _closing_brace(value, at)
            operator, at = value[at:closing], closing + 1
            if filled is None and operator.startswith((":-", "-", ":=", "=")):
                filled = _expand(operator.lstrip(":")[1:], known, depth + 1)
            elif operator and not operator.startswith((":", "-", "=", "?")):
                return None  # ${A%suffix} and the like
        if filled is None:
            return None
        out.append(filled)
    return "".join([*out, value[at:]])


def _closing_brace(value: str, at: int) -> int:
    depth = 1
    for index in range(at, len(value)):
        depth += {"{": 1, "}": -1}.get(value[index], 0)
        if depth == 0:
            return index
    return len(value)


def _docker_env(words: list[str]) -> dict[str, str]:
    """`docker run -e A=1` and `--env A=1`."""
    env: dict[str, str] = {}
    for flag, value in zip(words, words[1:], strict=False):
        if flag in ("-e", "--env") and (match := _ASSIGNMENT.match(value)) is not None:
            env[match.group(1)] = match.group(2)
    return env
