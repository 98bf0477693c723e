"""What submission.json claims, in the dialects that contestants write.

Real files use about 960 distinct key sets: the headline under `val_bpb`, `mean_val_bpb`, `score`,
`results.val_bpb` and others, seeds as lists, dicts, rows or one key per seed, numbers as strings,
and now and then broken JSON, from which the headline fields are recovered and flagged.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from verifier.finding import Where
from verifier.intake.seeds import seed_claims
from verifier.intake.text import decode_text
from verifier.submission import Claim, Log, Problem, Track

_HEADLINE_KEYS = (
    *("val_bpb", "mean_val_bpb", "val_bpb_mean", "score", "bpb", "val_bpb_3seed_mean", "validation_bpb"),
    *("final_val_bpb", "mean_bpb", "bpb_mean", "three_seed_mean_bpb", "val_bpb_exact", "val_bits_per_byte"),
    *("best_val_bpb", "val_bpb_best", "final_bpb", "val_bpb_final", "val_bpb_avg", "avg_val_bpb"),
)
_CONTAINERS = (
    "results",
    "result",
    "metrics",
    "headline",
    "summary",
    "final",
    "mean",
    "scores",
    "final_metrics",
)
_NOT_HEADLINE = re.compile(
    r"(?<![a-z])std|delta|pre_?quant|baseline|prior|target|sota|improv|diagnostic|record|threshold|gain|diff|loss|"
    r"retract|previous|base_|parent|control|project|expect|predict|smoke|sigma|proxy|note|unquant|training|seeds?$|per_seed|range|stderr|sem$|var$",
    re.IGNORECASE,
)
_BYTES_TOTAL_KEYS = (
    *("bytes_total", "artifact_bytes", "total_bytes", "artifact_size_bytes", "submission_bytes", "bytes"),
    *(
        "total_size_bytes",
        "artifact_bytes_max",
        "max_artifact_bytes",
        "artifact_size",
        "submission_size_bytes",
    ),
    *("total_submission_size_bytes", "bytes_total_max", "artifact_bytes_mean", "artifact_size_bytes_max"),
)
_BYTES_CODE_KEYS = ("bytes_code", "code_bytes", "code_size_bytes", "code_size", "bytes_code_total")
_EVAL_SECONDS_KEYS = (
    *("eval_time_seconds", "eval_seconds", "total_eval_seconds", "total_eval_time_seconds", "eval_time_s"),
    *("total_eval_time_s", "total_eval_time", "eval_ops_seconds", "eval_wallclock_seconds"),
)
_EVAL_MS_KEYS = ("eval_time_ms", "total_eval_time_ms", "eval_ms")
_PROSE_KEYS = ("name", "blurb", "description", "summary", "notes", "note", "technique_summary", "approach")
_MAX_PROSE = 4_000
_BETWEEN_SEEDS = 0.002
"""Bits per byte by which one seed's number may lie off the mean that is claimed."""
_NUMBER = re.compile(r"^[\s~≈<>=≤*]*([-+]?\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d+)?)")


@dataclass(frozen=True)
class ClaimFile:
    """submission.json, read as far as it can be."""

    claim: Claim
    track: Track
    problems: tuple[Problem, ...]


def read_claim(data: bytes, path: str) -> ClaimFile:
    """Read a submission.json. Never raises: everything odd becomes a Problem."""
    decoded = decode_text(data)
    if decoded is None:
        problem = Problem("json-encoding", f"{path} is binary; expected JSON text in UTF-8", Where(path))
        return ClaimFile(Claim(where=Where(path)), Track.UNKNOWN, (problem,))
    problems: list[Problem] = []
    if decoded.encoding not in ("utf-8", "utf-8-sig"):
        message = f"{path} is encoded as {decoded.encoding}; expected UTF-8: read as {decoded.encoding}"
        problems.append(Problem("json-encoding", message, Where(path)))
    text = decoded.text
    document, syntax, recovered = _parse(text, path)
    if syntax is not None:
        problems.append(syntax)
    if not isinstance(document, dict):
        found = type(document).__name__ if syntax is None else "broken JSON"
        message = f"{path} holds {found}; expected an object with val_bpb, bytes_total, name, author, date"
        problems.append(Problem("json-shape", message, Where(path)))
        return ClaimFile(Claim(where=Where(path)), Track.UNKNOWN, tuple(problems))
    claim, more = _claim(document, text, path)
    if recovered:
        claim = _flag_recovered(claim)
    problems += more
    return ClaimFile(claim, _track(document), tuple(problems))


def bpb_as_loss(file: ClaimFile, logs: Iterable[Log]) -> ClaimFile:
    """The claim with its `val_loss` as bits per byte, where it gives no other and the logs call that number so.

    #180, a merged record, claims `"val_loss": 1.14276`; its logs print 1.9294 nats and 1.1427 bits per byte.
    """
    claim = file.claim
    if claim.val_bpb is not None or claim.val_loss is None:
        return file
    finals = [metric for log in logs for metric in log.metrics if metric.final]
    if not _near(claim.val_loss, (m.val_bpb for m in finals)) or _near(
        claim.val_loss, (m.val_loss for m in finals)
    ):
        return file
    message = f"the claim gives {claim.val_loss} as val_loss, and its logs as val_bpb: read as bits per byte"
    others = (problem for problem in file.problems if problem.code != "no-claim")
    return ClaimFile(
        replace(claim, val_bpb=claim.val_loss, val_loss=None, key="val_loss"),
        file.track,
        (*others, Problem("bpb-as-loss", message, claim.where)),
    )


def _near(claimed: float, logged: Iterable[float | None]) -> bool:
    """Whether a mean over seeds may be of numbers such as these."""
    return any(number is not None and abs(number - claimed) <= _BETWEEN_SEEDS for number in logged)


def _track(document: Mapping[str, Any]) -> Track:
    """The declared track; `submission_type: non_record` inside a record folder is the author's own answer."""
    if track_of(document.get("submission_type")) is Track.NON_RECORD:
        return Track.NON_RECORD
    return track_of(document.get("track"))


def track_of(value: object) -> Track:
    """The track that a track string or a path component names."""
    if not isinstance(value, str):
        return Track.UNKNOWN
    name = re.sub(r"[^a-z0-9]+", "_", value.lower())
    if "non_record" in name or "nonrecord" in name or "unlimited" in name:
        return Track.NON_RECORD
    if "10min" in name or "10_min" in name:
        return Track.TEN_MINUTES
    return Track.UNKNOWN


def number(value: object) -> float | None:
    """A finite number, also from `"1.0810 (3-seed mean)"`, `"~1.12"` or `"15,991,930"`."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        match = _NUMBER.match(value)
        if match is None:
            return None
        value = match.group(1).replace(",", "").replace("_", "")
    if isinstance(value, int | float | str):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            return None
        return found if math.isfinite(found) else None
    return None


def whole(value: object) -> int | None:
    found = number(value)
    return None if found is None or abs(found) > 1e15 else int(found)


def _parse(text: str, path: str) -> tuple[Any, Problem | None, bool]:
    """The document, what was wrong with it, and whether it had to be recovered."""
    duplicates: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: set[str] = set()
        for key, _ in items:
            if key in seen:
                duplicates.append(key)
            seen.add(key)
        return dict(items)

    decoder = json.JSONDecoder(object_pairs_hook=pairs, parse_int=_parse_int)
    try:
        document = decoder.decode(text)
    except json.JSONDecodeError as error:
        where = Where(path, error.lineno, _line(text, error.lineno))
        message = f"{path}:{error.lineno}:{error.colno} is not JSON: {error.msg}; fix the syntax"
        document = _recover(text, decoder)
        if document:
            message += f"; recovered the fields {', '.join(sorted(document)[:12])}"
        return document, Problem("json-syntax", message, where), True
    except (RecursionError, ValueError) as error:
        return None, Problem("json-syntax", f"{path} cannot be parsed: {error}", Where(path)), True
    if duplicates:
        names = ", ".join(sorted(set(duplicates))[:6])
        message = f"{path} gives a key twice ({names}); the last value is used, as Python does"
        return document, Problem("json-duplicate-key", message, Where(path)), False
    return document, None, False


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) < 300 else math.inf


def _recover(text: str, decoder: json.JSONDecoder) -> Any:
    """Best effort on broken JSON: the first object, then without trailing commas, then field by field."""
    start = text.find("{")
    if start < 0:
        return None
    body = text[start:]
    for candidate in (body, re.sub(r",(\s*[}\]])", r"\1", body)):
        try:
            document, _ = decoder.raw_decode(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict) and document:
            return document
    fields: dict[str, Any] = {}
    for match in re.finditer(r'"([A-Za-z_][\w.]{0,60})"\s*:\s*(-?\d[\d.eE+-]*|"(?:[^"\\\n]|\\.)*")', body):
        try:
            fields.setdefault(match.group(1), json.loads(match.group(2)))
        except ValueError:
            continue
    return fields or None


def _flag_recovered(claim: Claim) -> Claim:
    return Claim(**{**{name: getattr(claim, name) for name in claim.__dataclass_fields__}, "recovered": True})


def _claim(document: Mapping[str, Any], text: str, path: str) -> tuple[Claim, list[Problem]]:
    problems: list[Problem] = []
    key, value = _headline(document)
    if key is None:
        message = f"{path} has no numeric val_bpb; expected the mean bits per byte under `val_bpb`"
        problems.append(Problem("no-claim", message, Where(path)))
    for name, constant in _non_finite(document):
        message = f"{path} has {name} = {constant}, which is not a finite number: ignored"
        problems.append(Problem("json-not-finite", message, _where(text, path, name)))
    loss_key = None if key is None else re.sub("bits_per_byte|bpb", "loss", key)
    loss = number(_get(document, loss_key)) if loss_key and loss_key != key else None
    claim = Claim(
        val_bpb=value,
        val_loss=loss if loss is not None else number(document.get("val_loss")),
        key=key,
        seeds=seed_claims(document),
        bytes_total=_first_whole(document, _BYTES_TOTAL_KEYS),
        bytes_code=_first_whole(document, _BYTES_CODE_KEYS),
        eval_seconds=_eval_seconds(document),
        blurb="\n\n".join(filter(None, (_text(document.get(key)) for key in _PROSE_KEYS)))[:_MAX_PROSE],
        name=_text(document.get("name")),
        author=_text(document.get("author")),
        date=_text(document.get("date")),
        where=_where(text, path, key.rpartition(".")[2] if key else None),
    )
    return claim, problems


def _headline(document: Mapping[str, Any]) -> tuple[str | None, float | None]:
    """The JSON path of the claimed bits per byte, and its value."""
    for prefix, table in _tables(document):
        for key in _HEADLINE_KEYS:
            value = table.get(key)
            if (found := number(value)) is not None:
                return prefix + key, found
            if isinstance(value, Mapping):
                for inner in ("mean", "value", "final", "avg", "average", "val_bpb", "bpb"):
                    if (found := number(value.get(inner))) is not None:
                        return f"{prefix}{key}.{inner}", found
    for prefix, table in _tables(document):
        for key, value in table.items():
            lowered = key.lower()
            if ("bpb" in lowered or "bits_per_byte" in lowered) and not _NOT_HEADLINE.search(lowered):
                found = number(value)
                if found is not None and 0 <= found < 20:
                    return prefix + key, found
    return None, None


def _tables(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "", document
    for name in _CONTAINERS:
        inner = document.get(name)
        if isinstance(inner, Mapping):
            yield f"{name}.", inner
            for deeper in _CONTAINERS:
                table = inner.get(deeper)
                if isinstance(table, Mapping):
                    yield f"{name}.{deeper}.", table


def _get(document: Mapping[str, Any], key: str) -> object:
    found: object = document
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _first_whole(document: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    for _, table in _tables(document):
        for key in keys:
            value = table.get(key)
            if isinstance(value, Mapping):
                sizes = [size for each in value.values() if (size := whole(each)) is not None]
                value = max(sizes, default=None)
            if (found := whole(value)) is not None:
                return found
    return None


def _eval_seconds(document: Mapping[str, Any]) -> float | None:
    for keys, scale in ((_EVAL_SECONDS_KEYS, 1.0), (_EVAL_MS_KEYS, 1e-3)):
        for key in keys:
            value = document.get(key)
            if isinstance(value, int | float) and (found := number(value)) is not None:
                return found * scale
    return None


def _non_finite(document: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(k, v) for k, v in document.items() if isinstance(v, float) and not math.isfinite(v)][:4]


def _text(value: object) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("name")
    return value if isinstance(value, str) else None


def _where(text: str, path: str, key: str | None) -> Where:
    if key is not None and (match := re.search(rf'"{re.escape(key)}"\s*:', text)) is not None:
        line = text.count("\n", 0, match.start()) + 1
        return Where(path, line, _line(text, line))
    return Where(path)


def _line(text: str, line: int) -> str:
    lines = text.split("\n")
    return lines[line - 1].strip()[:160] if 0 < line <= len(lines) else ""
