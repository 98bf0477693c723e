"""Call a function of the script again, in a copy of the process that is thrown away.

The copy is a fork: same weights, same caches, same state, and nothing that it does comes back but one
JSON object. The script's own run never notices.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

_wall, _cpu = time.monotonic, time.process_time
BUDGET_SECONDS = 12.0
"""Processor time of one replay, so that a busy machine measures as much as an idle one."""
WALL_SECONDS = 40.0
TOTAL_SECONDS = 50.0
"""Wall time: of one replay at most, and of all, after which none begins."""
ANSWER_BYTES = 60_000


@dataclass(frozen=True)
class OpenCall:
    """One call of a function, with one tensor argument left open."""

    function: Callable[..., Any]
    key: int | str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    part: int | None = None
    """Which element of a returned tuple is meant; None for all that is returned."""

    @property
    def argument(self) -> Tensor:
        found: Tensor = self.args[self.key] if isinstance(self.key, int) else self.kwargs[self.key]
        return found

    def with_argument(self, changed: Tensor) -> Any:
        if isinstance(self.key, int):
            out = self.function(*self.args[: self.key], changed, *self.args[self.key + 1 :], **self.kwargs)
        else:
            out = self.function(*self.args, **{**self.kwargs, self.key: changed})
        return out if self.part is None else out[self.part]


class Deadline:
    """The end of a share of one replay's wall time, and of as large a share of its processor time or another."""

    def __init__(self, share: float, cpu_share: float | None = None) -> None:
        self._cpu = _cpu() + (share if cpu_share is None else cpu_share) * BUDGET_SECONDS
        self._wall = _wall() + share * WALL_SECONDS

    @property
    def passed(self) -> bool:
        return _cpu() > self._cpu or _wall() > self._wall


class Forks:
    """Answers questions in forks, until their time is spent."""

    def __init__(self) -> None:
        self._spent = 0.0

    @property
    def time_left(self) -> bool:
        return self._spent < TOTAL_SECONDS

    def ask(self, question: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """What `question` returns in a fork, or None when it raised or took too long."""
        started = _wall()
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reader)
                signal.alarm(int(WALL_SECONDS) + 5)
                os.write(writer, json.dumps(question()).encode()[:ANSWER_BYTES])
            finally:
                os._exit(0)
        os.close(writer)
        answer = b""
        try:
            while select.select([reader], [], [], WALL_SECONDS + 6)[0]:
                part = os.read(reader, 65536)
                if not part:
                    break
                answer += part
        finally:
            os.close(reader)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._spent += _wall() - started
        try:
            found: dict[str, Any] = json.loads(answer)
        except ValueError:
            return None
        return found
