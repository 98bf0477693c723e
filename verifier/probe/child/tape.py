"""The tape: what happened in the child, in order, written so that the parent can check it.

Two streams, each to a descriptor of its own: the events, one JSON object a line, and the positions (int32),
moments (int32: the number of the next event when the value was computed) and values (float64) of score
events, interleaved as records of 16 bytes. In an audit both are pipes to the parent: what was sent cannot be
changed by the code that runs here, and a run that is killed leaves what it had done. Only the process that
made the tape writes it, never a fork.

Events (`k`): `score` (values per position left a computation: reduced, read out or learned from),
`backward` (with the score events in the loss), `step` (an optimizer stepped after such a backward),
`forward` (validation ids entered an embedding), `open` (a data file was opened), `print` (a line of
output), `weights` (stepped parameters were seen again, changed or not), `pick` (the better of two scores
of the same tokens was taken), `reach` (the script looked for what audits it), `end`.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from verifier.probe.child.places import is_picked, moment, position

RECORD = np.dtype([("position", "<i4"), ("moment", "<i4"), ("value", "<f8")])
MAX_FRAMES = 12
BUFFER_BYTES = 1 << 16


class _Channel:
    """A descriptor, written in large pieces. Plain bytes wait here: an io buffer would be flushed by a fork too."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting = bytearray()

    def write(self, data: bytes) -> None:
        self._waiting += data
        if len(self._waiting) >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        while self._waiting:
            del self._waiting[: os.write(self._descriptor, self._waiting)]


class Tape:
    """Writes events. `root` holds the submission's own code, `wrapped` what its packed parts unpacked to."""

    def __init__(self, events: int, scores: int, root: Path, wrapped: Path) -> None:
        self._events, self._scores = _Channel(events), _Channel(scores)
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._written = 0
        self._root = f"{root}/"
        self._wrapped = f"{wrapped}/"
        self._sites: dict[tuple[tuple[str, int, str], ...], int] = {}
        self.count = 0

    def write(self, kind: str, **fields: Any) -> int:
        """Append one event and return its number."""
        if os.getpid() != self._process:
            return 0
        with self._lock:
            number = self.count
            self.count += 1
            line = json.dumps({"k": kind, "i": number, **fields}, separators=(",", ":")) + "\n"
            self._events.write(line.encode())
        return number

    def score(self, places: np.ndarray, values: np.ndarray, how: str, **fields: Any) -> int:
        """Append a score event: `values` (nats, float64) belong to `places` (see `places.py`)."""
        keep = places >= 0
        known = places[keep]
        records = np.empty(known.size, dtype=RECORD)
        records["position"] = position(known)
        records["moment"] = moment(known)
        records["value"] = values[keep]
        better = int(is_picked(known).sum())
        if better:
            fields["picked"] = better
        if os.getpid() != self._process:
            return 0
        site = self.site()
        with self._lock:
            self._scores.write(records.tobytes())
            offset, self._written = self._written, self._written + records.size
            size = int(records.size)
            return self.write("score", how=how, off=offset, n=size, all=int(places.size), site=site, **fields)

    def site(self) -> int:
        """The number of the present call stack, frames of the submission only, outermost first."""
        frames: list[tuple[str, int, str]] = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith((self._root, self._wrapped)):
                own = name.removeprefix(self._root).removeprefix(self._wrapped)
                frames.append((own, frame.f_lineno, frame.f_code.co_name))
            frame = frame.f_back
        stack = tuple(reversed(frames[-MAX_FRAMES:]))
        number = self._sites.get(stack)
        if number is None:
            number = self._sites[stack] = len(self._sites)
            self.write("site", s=number, stack=[list(each) for each in stack])
        return number

    def flush(self) -> None:
        with self._lock:
            self._events.flush()
            self._scores.flush()


class MuteTape(Tape):
    """A tape that keeps nothing, for copies of the process that are thrown away."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, kind: str, **fields: Any) -> int:
        return 0

    def score(self, places: np.ndarray, values: np.ndarray, how: str, **fields: Any) -> int:
        return 0

    def site(self) -> int:
        return 0


class LineTee(io.TextIOBase):
    """A text stream that passes everything on and puts whole lines on the tape."""

    def __init__(self, tape: Tape, below: Any) -> None:
        self._tape = tape
        self._below = below
        self._part = ""

    def write(self, text: str) -> int:
        self._below.write(text)
        *lines, self._part = (self._part + text).split("\n")
        for line in lines:
            if line.strip():
                self._tape.write("print", text=line[:2000])
        self._part = self._part[-2000:]
        return len(text)

    def flush(self) -> None:
        self._below.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return int(self._below.fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"


def runs(positions: np.ndarray) -> list[Sequence[int]]:
    """The sorted distinct positions as half-open ranges, which is short for windows of a stream."""
    distinct = np.unique(positions[positions >= 0])
    if distinct.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(distinct) > 1)
    starts = distinct[np.concatenate(([0], breaks + 1))]
    ends = distinct[np.concatenate((breaks, [distinct.size - 1]))] + 1
    return [[int(a), int(b)] for a, b in zip(starts, ends, strict=True)]
