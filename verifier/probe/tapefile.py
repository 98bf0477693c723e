"""Read the tape that a child wrote. Everything in it is untrusted: sizes, types and order are checked.

A malformed line ends the tape with a reason instead of raising, so what was written before a kill, or
before a submission tampered with it, is still evidence. What is read takes memory in proportion to the files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from verifier.probe.tape import (
    Backward,
    Call,
    Event,
    Forward,
    Frame,
    MassTest,
    Moved,
    Open,
    Pick,
    Print,
    Reach,
    Score,
    Stack,
    Step,
    Tape,
    Weights,
    WindowTest,
    Witness,
)

RECORD = np.dtype([("position", "<i4"), ("moment", "<i4"), ("value", "<f8")])
MAX_EVENTS = 400_000
MAX_PRINTS = 20_000
"""Lines that a run prints; each is looked through for numbers more than once."""
MAX_LINE = 1 << 20
MAX_SCORES = 40_000_000
MAX_RANGES = 2_000_000
"""Of all forward events together."""
EVENTS, SCORES = "tape.jsonl", "scores.bin"


class _Damaged(Exception):
    pass


def read_tape(folder: Path, stream_size: int) -> Tape:
    """Parse the two files in `folder` that hold one run's tape over a stream of `stream_size` ids."""
    events: list[Event] = []
    stacks: dict[int, Stack] = {}
    end: dict[str, Any] = {}
    uses: dict[str, int] = {}
    damage: str | None = None
    scores_path, events_path = folder / SCORES, folder / EVENTS
    if not events_path.is_file() or not scores_path.is_file():
        return Tape(damage="the child wrote no tape")
    count = min(scores_path.stat().st_size // RECORD.itemsize, MAX_SCORES)
    records = np.fromfile(scores_path, dtype=RECORD, count=count)
    unclaimed, ranges, prints = count, MAX_RANGES, MAX_PRINTS
    try:
        with events_path.open("rb") as file:
            for at, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b"")):
                if at >= MAX_EVENTS or len(line) > MAX_LINE:
                    raise _Damaged(f"more than {MAX_EVENTS} events or {MAX_LINE} bytes in one")
                raw = _object(line)
                kind = raw.get("k")
                if kind == "site":
                    stacks[_whole(raw, "s")] = tuple(_frame(each) for each in _list(raw, "stack", 64))
                elif kind == "end":
                    end = {key: str(raw[key])[:2000] for key in ("status", "code", "error") if key in raw}
                    end["at"] = [str(each)[:400] for each in _list(raw, "at", 8)] if "at" in raw else []
                    uses = _counts(raw.get("uses"))
                else:
                    events.append(event := _event(kind, raw, records, stream_size))
                    unclaimed -= event.positions.size if isinstance(event, Score) else 0
                    ranges -= len(event.ranges) if isinstance(event, Forward) else 0
                    prints -= isinstance(event, Print)
                    if unclaimed < 0 or ranges < 0:
                        raise _Damaged(f"event {event.number} claims what other events have")
                    if prints < 0:
                        raise _Damaged(f"more than {MAX_PRINTS} lines were printed")
    except _Damaged as problem:
        damage = str(problem)
    return Tape(tuple(events), stacks, end, uses, damage)


def _event(kind: Any, raw: dict[str, Any], records: NDArray[Any], stream_size: int) -> Event:
    number = _whole(raw, "i")
    if kind == "print":
        return Print(number, str(raw.get("text", ""))[:4000])
    site = _whole(raw, "site")
    if kind == "score":
        start, size = _whole(raw, "off"), _whole(raw, "n")
        piece = records[start : start + size]
        if piece.size != size:
            raise _Damaged(f"event {number} points beyond the recorded scores")
        positions = piece["position"].copy()
        # Values that were kept are filed under the moment they were made, not the one they were dropped.
        number = min(number, _whole(raw, "born")) if "born" in raw else number
        if size and (int(positions.min()) < 0 or int(positions.max()) >= stream_size):
            raise _Damaged(f"event {number} scores a position outside the stream")
        return Score(
            number, site, str(raw.get("how"))[:80], positions, piece["value"].copy(), bool(raw.get("learns")),
            _whole(raw, "all"), bool(raw.get("pure")), piece["moment"].copy(), _whole({"picked": 0, **raw}, "picked"),
        )  # fmt: skip
    if kind == "backward":
        return Backward(number, site, _numbers(raw, "terms"))
    if kind == "step":
        name = str(raw.get("optimizer"))[:80]
        return Step(
            number, site, name, _whole(raw, "tensors"), _whole(raw, "values"), _whole(raw, "shifts"),
            _numbers(raw, "backward"),
        )  # fmt: skip
    if kind == "forward":
        ranges = [tuple(each) for each in _list(raw, "at", stream_size + 1) if isinstance(each, list)]
        if any(len(r) != 2 or not all(isinstance(v, int) for v in r) for r in ranges):
            raise _Damaged(f"event {number} has a malformed range")
        return Forward(number, site, tuple((r[0], r[1]) for r in ranges))
    if kind == "weights":
        return Weights(number, site, _whole(raw, "same"), _whole(raw, "changed"))
    if kind == "pick":
        pairs = [_pair(each, number) for each in _list(raw, "pairs", 64)]
        return Pick(number, site, str(raw.get("how"))[:80], _whole(raw, "n"), tuple(pairs))
    if kind == "call":
        return Call(number, site, str(raw.get("function"))[:200], _whole(raw, "nth"), bool(raw.get("pure")))
    if kind == "mass":
        return _mass(number, site, raw)
    if kind == "window":
        return _window(number, site, raw)
    if kind == "reach":
        return Reach(number, site, str(raw.get("what"))[:200])
    if kind == "open":
        return Open(number, site, str(raw.get("path"))[:400])
    raise _Damaged(f"event {number} is of unknown kind {kind!r}")


def _mass(number: int, site: int, raw: dict[str, Any]) -> MassTest:
    witnesses = []
    for each in _list(raw, "witnesses", 64) if "witnesses" in raw else ():
        if not isinstance(each, dict):
            raise _Damaged(f"event {number} has a malformed witness")
        total, realised = _real(each, "sum"), _real(each, "realised_nats")
        witnesses.append(Witness(_whole(each, "position"), realised, total, _whole(each, "tried")))
    samples = []
    for each in _list(raw, "samples", 64) if "samples" in raw else ():
        if not isinstance(each, list) or len(each) != 2:
            raise _Damaged(f"event {number} has a malformed sample")
        pair = {"position": each[0], "nats": each[1]}
        samples.append((_whole(pair, "position"), _real(pair, "nats")))
    full = {"vocab": 0, "positions": 0, "over": 0, "highest": 0.0, "lowest": 0.0, **raw}
    return MassTest(
        number=number,
        site=site,
        function=str(raw.get("function"))[:200],
        line=_whole(full, "line"),
        tried=_whole(full, "tried"),
        vocab=_whole(full, "vocab"),
        positions=_whole(full, "positions"),
        over=_whole(full, "over"),
        highest=_real(full, "highest"),
        lowest=_real(full, "lowest"),
        witnesses=tuple(witnesses),
        samples=tuple(samples),
    )


def _pair(value: Any, number: int) -> tuple[int, float, float]:
    if not isinstance(value, list) or len(value) != 3:
        raise _Damaged(f"event {number} has a malformed pair of scores")
    named = dict(zip(("position", "one", "other"), value, strict=True))
    return _whole(named, "position"), _real(named, "one"), _real(named, "other")


def _window(number: int, site: int, raw: dict[str, Any]) -> WindowTest:
    witnesses = []
    for each in _list(raw, "witnesses", 64) if "witnesses" in raw else ():
        if not isinstance(each, dict):
            raise _Damaged(f"event {number} has a malformed witness")
        change, realised = _real(each, "change"), _real(each, "realised_nats")
        witnesses.append(Moved(_whole(each, "position"), _whole(each, "changed_from"), change, realised))
    full = {"noise": 0.0, "moved": 0, **raw}
    return WindowTest(
        number=number,
        site=site,
        function=str(raw.get("function"))[:200],
        line=_whole(full, "line"),
        tried=_whole(full, "tried"),
        noise=_real(full, "noise"),
        moved=_whole(full, "moved"),
        witnesses=tuple(witnesses),
    )


def _real(raw: dict[str, Any], key: str) -> float:
    value = raw.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _Damaged(f"{key!r} is {value!r} where a number was expected")
    try:
        return float(value)
    except OverflowError:
        raise _Damaged(f"{key!r} has {len(str(value))} digits") from None


def _object(line: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Damaged(f"a line of the tape is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise _Damaged("a line of the tape is not an object")
    return raw


def _whole(raw: dict[str, Any], key: str) -> int:
    value = raw.get(key)
    if not _is_count(value):
        raise _Damaged(f"{key!r} is {str(value)[:80]!r} where a count was expected")
    return value


def _list(raw: dict[str, Any], key: str, limit: int) -> list[Any]:
    value = raw.get(key)
    if not isinstance(value, list) or len(value) > limit:
        raise _Damaged(f"{key!r} is not a list of at most {limit}")
    return value


def _numbers(raw: dict[str, Any], key: str) -> tuple[int, ...]:
    values = _list(raw, key, 4096)
    if not all(isinstance(value, int) for value in values):
        raise _Damaged(f"{key!r} holds something other than event numbers")
    return tuple(values)


def _frame(value: Any) -> Frame:
    if not (isinstance(value, list) and len(value) == 3 and isinstance(value[1], int)):
        raise _Damaged("a stack frame is malformed")
    return Frame(str(value[0])[:400], value[1], str(value[2])[:200])


def _counts(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {str(key)[:80]: count for key, count in list(value.items())[:200] if _is_count(count)}


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40
