"""What one run did, as its tape tells: scores, gradients, steps, reads, printed lines, in their order.

Values alone; `tapefile` reads them from what the child wrote, and checks them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifier.finding import Where
from verifier.submission import Script


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
