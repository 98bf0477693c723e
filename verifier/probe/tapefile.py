"""Read the tape that a child wrote. Everything in it is untrusted: sizes, types and order are checked.

A malformed line ends the tape with a reason instead of raising, so what was written before a kill, or
before a submission tampered with it, is still evidence. What is read takes memory in proportion to the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from verifier.finding import Where
from verifier.submission import Script

RECORD = np.dtype([("position", "<i4"), ("moment", "<i4"), ("value", "<f8")])
MAX_EVENTS = 400_000
MAX_PRINTS = 20_000
"""Lines that a run prints; each is looked through for numbers more than once."""
MAX_LINE = 1 << 20
MAX_SCORES = 40_000_000
MAX_RANGES = 2_000_000
"""Of all forward events together."""
EVENTS, SCORES = "tape.jsonl", "scores.bin"


@dataclass(frozen=True)
class Frame:
    file: str
    line: int
    function: str


Stack = tuple[Frame, ...]


@dataclass(frozen=True)
class Score:
    """Values (nats, in the usual case) of stream positions that left a computation together."""

    number: int
    site: int
    how: str
    positions: NDArray[np.int32]
    values: NDArray[np.float64]
    learns: bool
    """True when the result carries a gradient."""
    size: int
    """Entries of the reduced tensor, those without a known position included."""
    pure: bool = False
    """True when the values are what a cross entropy gave, only moved, cast or masked."""
    moments: NDArray[np.int32] | None = None
    """For each value, the number of the next event when it was computed; None: all with this event."""
    picked: int = 0
    """How many of the values are the better of several for the same token."""

    @property
    def order(self) -> NDArray[np.int64]:
        """When each value was fixed: it may have been kept for long before it was summed."""
        if self.moments is None:
            return np.full(self.positions.size, self.number, dtype=np.int64)
        return np.minimum(self.moments.astype(np.int64), self.number)


@dataclass(frozen=True)
class Backward:
    number: int
    site: int
    scores: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    number: int
    site: int
    optimizer: str
    tensors: int
    values: int
    shifts: int
    """How many of the tensors hold one vector for a whole sequence, of shape (B, 1, D): a delta, a bias."""
    backward: tuple[int, ...]


@dataclass(frozen=True)
class Forward:
    number: int
    site: int
    ranges: tuple[tuple[int, int], ...]

    def count(self) -> int:
        return sum(stop - start for start, stop in self.ranges)


@dataclass(frozen=True)
class Weights:
    """What had become of validation-stepped parameters when the next score was made."""

    number: int
    site: int
    same: int
    changed: int


@dataclass(frozen=True)
class Pick:
    """The better of two scores of the same tokens was taken."""

    number: int
    site: int
    how: str
    positions: int
    """Where the two differed."""
    pairs: tuple[tuple[int, float, float], ...]
    """Some positions with both scores."""


@dataclass(frozen=True)
class Print:
    number: int
    text: str


@dataclass(frozen=True)
class Open:
    number: int
    site: int
    path: str


@dataclass(frozen=True)
class Reach:
    """The script reached for what audits it: frames that are not its own, all live objects, the audit's files."""

    number: int
    site: int
    what: str


@dataclass(frozen=True)
class Witness:
    """Probability of several candidates at one position, all else as it was."""

    position: int
    realised_nats: float
    total: float
    """Sum of the candidates' probabilities; at most one for a distribution."""
    tried: int


@dataclass(frozen=True)
class MassTest:
    """A scoring function called again with other targets."""

    number: int
    site: int
    function: str
    line: int
    tried: int
    """Candidates tried at all positions at once."""
    vocab: int
    positions: int
    over: int
    """Positions whose sum exceeded one."""
    highest: float
    lowest: float
    witnesses: tuple[Witness, ...]
    samples: tuple[tuple[int, float], ...] = ()
    """Positions, and the scores of their realised tokens when called again unchanged."""


@dataclass(frozen=True)
class Moved:
    """A row of logits that moved when later ids of its window changed."""

    position: int
    """The stream position that it predicts."""
    changed_from: int
    """The first stream position whose id was changed."""
    change: float
    """Largest change of a logit."""
    realised_nats: float
    """Score of the realised token by the unchanged logits."""


@dataclass(frozen=True)
class WindowTest:
    """A function that turns ids into logits was called again with later ids of a row changed."""

    number: int
    site: int
    function: str
    line: int
    tried: int
    """Rows of logits that lay before a change."""
    noise: float
    """Largest difference between two calls with the same ids."""
    moved: int
    witnesses: tuple[Moved, ...]


@dataclass(frozen=True)
class Call:
    """A function that turns targets into scores, or ids into logits, was called."""

    number: int
    site: int
    key: str
    """Line and qualified name, as the child tells functions apart."""
    nth: int
    pure: bool
    """True when its scores are what a cross entropy gave."""


Event = (
    Score | Backward | Step | Forward | Weights | Pick | Print | Open | Reach | Call | MassTest | WindowTest
)


@dataclass(frozen=True)
class Tape:
    """One run's events in order, and how the child says it ended."""

    events: tuple[Event, ...] = ()
    stacks: Mapping[int, Stack] = field(default_factory=dict)
    end: Mapping[str, Any] = field(default_factory=dict)
    uses: Mapping[str, int] = field(default_factory=dict)
    damage: str | None = None
    """Why reading stopped early, when it did."""

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def where(self, site: int, script: Script | None) -> Where:
        """The innermost line of the submission at `site`, with the text of that line."""
        stack = self.stacks.get(site, ())
        if not stack:
            return Where(script.path if script else "?")
        frame = stack[-1]
        wrapped = frame.file.startswith("<wrapped")
        name = script.path if wrapped and script else frame.file
        excerpt = None
        if script and (wrapped or name == script.path):
            lines = script.source.splitlines()
            if 0 < frame.line <= len(lines):
                excerpt = lines[frame.line - 1].strip()[:160]
        return Where(name, frame.line, excerpt)

    def function(self, site: int) -> str:
        stack = self.stacks.get(site, ())
        return stack[-1].function if stack else "?"


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
