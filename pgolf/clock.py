"""Training time, as the wallclock cap counts it."""

from __future__ import annotations

import time

import torch

from pgolf.runtime import synchronize


class Clock:
    """Training time in ms: runs from its creation, stops while validation runs."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._held_ms = 0.0
        self._since: float | None = None
        self.resume()

    def resume(self) -> None:
        synchronize(self.device)
        self._since = time.perf_counter()

    def pause(self) -> None:
        synchronize(self.device)
        self._held_ms, self._since = self.ms(), None

    def ms(self) -> float:
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return self._held_ms + 1000.0 * running

    def line(self, step: int) -> str:
        """The end of a log line: total and mean time."""
        now = self.ms()
        return f"train_time:{now:.0f}ms step_avg:{now / max(step, 1):.2f}ms"
