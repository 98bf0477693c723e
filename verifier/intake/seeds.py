"""Per-seed rows of submission.json, whichever way they are laid out.

Layouts met: `seed_results` and kin as dict of dicts, dict of numbers or list of rows; `seeds` as a
list of ids beside a parallel list of scores; and one key per seed (`seed_1337`, `val_bpb_seed42`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from verifier.submission import SeedClaim

_SEED_KEY = re.compile(r"^(?:(?:seed|s|run|trial)[ _-]?)?(\d{1,10})$", re.IGNORECASE)
_NAMED_SEED = re.compile(r"seed[ _-]?(\d{1,10})(?:$|[ _-])|_s(\d{1,6})$", re.IGNORECASE)
_GROUP = re.compile(r"seed|runs?$|results?$|per_run|individual|trials|reproduc", re.IGNORECASE)
_FIELDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "val_bpb",
        (
            *("val_bpb", "bpb", "final_val_bpb", "final_bpb", "val_bpb_exact", "ttt_bpb", "ttt_val_bpb"),
            *(
                "post_ttt_bpb",
                "sliding_bpb",
                "sliding_val_bpb",
                "slot_bpb",
                "sliding_window_bpb",
                "legal_ttt_bpb",
            ),
            *("quantized_val_bpb", "roundtrip_bpb", "score", "val_bpb_final", "post_ttt_val_bpb", "mean"),
        ),
    ),
    (
        "val_loss",
        ("val_loss", "loss", "final_val_loss", "val_loss_exact", "ttt_val_loss", "sliding_val_loss"),
    ),
    (
        "artifact_bytes",
        (
            *("artifact_bytes", "bytes_total", "total_bytes", "artifact_size", "artifact", "bytes"),
            *("artifact_size_bytes", "submission_bytes", "size_bytes", "total_size_bytes"),
        ),
    ),
    (
        "train_seconds",
        (
            *("train_time_seconds", "train_seconds", "train_time_s", "train_s", "wallclock_seconds"),
            *("training_time_seconds", "train_wallclock_seconds", "train_time", "training_seconds"),
        ),
    ),
    ("train_ms", ("train_time_ms", "train_wallclock_ms", "train_ms", "training_time_ms", "wallclock_ms")),
    (
        "eval_seconds",
        ("eval_time_seconds", "eval_seconds", "eval_time_s", "eval_s", "ttt_eval_time_s", "eval_time"),
    ),
    ("eval_ms", ("eval_time_ms", "eval_ms", "ttt_eval_time_ms", "ttt_time_ms")),
)
_MAX_ROWS = 1_000
_MAX_BPB = 20.0


def seed_claims(document: Mapping[str, Any]) -> tuple[SeedClaim, ...]:
    """Every seed that the document names, in the document's order, one row each."""
    rows: dict[int | None, SeedClaim] = {}

    def add(row: SeedClaim) -> None:
        if row.seed is None or len(rows) >= _MAX_ROWS:
            return
        old = rows.get(row.seed)
        rows[row.seed] = row if old is None else _merge(old, row)

    for name, value in _groups(document):
        for row in _rows(name, value, document):
            add(row)
    for key, value in document.items():
        if (match := _NAMED_SEED.search(key)) is None:
            continue
        seed = int(match.group(1) or match.group(2))
        if isinstance(value, Mapping):
            add(_row(seed, value))
        elif _number(value) is not None and "std" not in key.lower():
            add(_scalar(seed, key, value))
    if not rows:
        ids = document.get("seeds")
        single = document.get("seed")
        for each in ids if isinstance(ids, list) else [single]:
            if (declared := _whole(each)) is not None:
                add(SeedClaim(declared))
    return tuple(rows.values())


def _groups(document: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, Mapping | list) and (
            _GROUP.search(key) or "seed" in key.lower() or "bpb" in key.lower()
        ):
            yield key, value
        if isinstance(value, Mapping) and depth < 2:
            yield from _groups(value, depth + 1)


def _rows(name: str, value: Any, document: Mapping[str, Any]) -> Iterator[SeedClaim]:
    if isinstance(value, Mapping):
        for key, inner in list(value.items())[:_MAX_ROWS]:
            if (match := _SEED_KEY.match(key) or _NAMED_SEED.search(key)) is None:
                continue
            seed = int(next(group for group in match.groups() if group))
            if isinstance(inner, Mapping):
                yield _row(seed, inner)
            elif _number(inner) is not None:
                yield _scalar(seed, name, inner)
        return
    ids = document.get("seeds")
    if isinstance(ids, Mapping):
        ids = list(ids)
    for index, inner in enumerate(value[:_MAX_ROWS]):
        if isinstance(inner, Mapping):
            if (named := _whole(inner.get("seed", inner.get("SEED")))) is not None:
                yield _row(named, inner)
        elif name == "seeds":
            if (declared := _whole(inner)) is not None:
                yield SeedClaim(declared)
        elif isinstance(ids, list) and len(ids) == len(value) and (paired := _whole(ids[index])) is not None:
            yield _scalar(paired, name, inner)


def _row(seed: int, table: Mapping[str, Any]) -> SeedClaim:
    found: dict[str, float] = {}
    for name, keys in _FIELDS:
        for key in keys:
            if (value := _number(table.get(key))) is not None:
                found[name] = value
                break
    if "val_bpb" not in found:
        for key, raw in table.items():
            value = _number(raw)
            if (
                value is not None
                and "bpb" in key.lower()
                and not re.search("std|delta|pre", key, re.IGNORECASE)
            ):
                found["val_bpb"] = value
                break
    if "train_ms" in found:
        found.setdefault("train_seconds", found["train_ms"] / 1000.0)
    if "eval_ms" in found:
        found.setdefault("eval_seconds", found["eval_ms"] / 1000.0)
    size = found.get("artifact_bytes")
    return SeedClaim(
        seed=seed,
        val_bpb=found.get("val_bpb"),
        val_loss=found.get("val_loss"),
        artifact_bytes=None if size is None or abs(size) > 1e15 else int(size),
        train_seconds=found.get("train_seconds"),
        eval_seconds=found.get("eval_seconds"),
    )


def _scalar(seed: int, name: str, value: Any) -> SeedClaim:
    """A number alone: what it is follows from the name of its group."""
    found, lowered = _number(value), name.lower()
    if found is None:
        return SeedClaim(seed)
    if "loss" in lowered:
        return SeedClaim(seed, val_loss=found)
    if "byte" in lowered or "size" in lowered or "artifact" in lowered:
        return SeedClaim(seed, artifact_bytes=_whole(found))
    if re.search(r"pre_?quant|step|time|delta|diagnostic|unquant", lowered) or not 0 <= found < _MAX_BPB:
        return SeedClaim(seed)
    return SeedClaim(seed, val_bpb=found)


def _merge(old: SeedClaim, new: SeedClaim) -> SeedClaim:
    changes = {
        name: getattr(new, name)
        for name in ("val_bpb", "val_loss", "artifact_bytes", "train_seconds", "eval_seconds")
        if getattr(old, name) is None
    }
    return replace(old, **changes)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value.replace(",", "") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _whole(value: object) -> int | None:
    found = _number(value)
    return int(found) if found is not None and found == int(found) and abs(found) < 1e15 else None
