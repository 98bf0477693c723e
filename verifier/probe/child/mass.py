"""Probability mass: call a scoring function again with every other target, everything else as it was.

A function of the script that takes a tensor of targets and returns one score per target is called again,
in a forked copy of the process that is thrown away, with other candidates in place of the realised
tokens. The probabilities of all candidates at a position must sum to one; a partial sum above one is
already a counterexample. Each counterexample is measured again with one position changed at a time.
"""

from __future__ import annotations

import functools
import json
import os
import random
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from verifier.probe.child.shadow import AT, Shadow
from verifier.probe.child.tape import Tape

_now = time.monotonic
REPLAYS_PER_FUNCTION = 4
REPLAY_AT = (1, 2, 3, 5, 8, 16, 64)
"""Which calls of a function are replayed, counted from the first that was recognised."""
BUDGET_SECONDS = 12.0
TOTAL_SECONDS = 40.0
OVER_ONE = 1.02
WITNESSES = 3
EXACT_CANDIDATES = 256


@dataclass
class _Seen:
    argument: int | str | None = None
    calls: int = 0
    replays: int = 0


class Mass:
    """Watches functions and replays the ones that score."""

    def __init__(self, tape: Tape, mode: Shadow, vocab_size: int) -> None:
        self._tape = tape
        self._mode = mode
        self._vocab_size = vocab_size
        self._random = random.Random(0)
        self._seen: dict[Any, _Seen] = {}
        self._spent = 0.0
        self._replaying = False

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap `function`; the wrapper calls it unchanged and may replay it in a fork first."""
        code = getattr(function, "__code__", None)
        if code is None:
            return function
        seen = self._seen.setdefault(code, _Seen())

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if seen.argument is not None and not self._replaying:
                seen.calls += 1
                due = seen.calls in REPLAY_AT and seen.replays < REPLAYS_PER_FUNCTION
                if due and self._spent < TOTAL_SECONDS:
                    seen.replays += 1
                    self._replay(function, seen.argument, args, kwargs)
            out = function(*args, **kwargs)
            if seen.argument is None and type(out) is Tensor and AT in out.__dict__ and out.ndim:
                seen.argument = self._target_argument(out, args, kwargs)
            return out

        return watched

    def _target_argument(
        self, out: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> int | str | None:
        """Which argument holds the targets of the scores `out`."""
        at = out.__dict__[AT].reshape(-1)
        known = at >= 0
        for key, value in (*enumerate(args), *kwargs.items()):
            found = self._mode.find(value)
            if isinstance(key, int | str) and found is not None and found.numel() == at.numel():
                same = (found.reshape(-1) == at) & known
                if int(same.sum()) * 2 > int(known.sum()):
                    return key
        return None

    def _replay(
        self, function: Callable[..., Any], key: int | str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        started = _now()
        reader, writer = os.pipe()
        self._tape.flush()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reader)
                signal.alarm(int(BUDGET_SECONDS) + 5)
                self._replaying = True
                self._mode.mute()
                result = self._enumerate(function, key, args, kwargs)
                os.write(writer, json.dumps(result).encode()[:60_000])
            finally:
                os._exit(0)
        os.close(writer)
        answer = b""
        try:
            while select.select([reader], [], [], BUDGET_SECONDS + 6)[0]:
                part = os.read(reader, 65536)
                if not part:
                    break
                answer += part
        finally:
            os.close(reader)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._spent += _now() - started
        if answer:
            code = function.__code__
            self._tape.write(
                "mass", site=self._tape.site(), function=getattr(function, "__qualname__", "?"), line=code.co_firstlineno,
                **json.loads(answer),
            )  # fmt: skip

    def _enumerate(
        self, function: Callable[..., Any], key: int | str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """In the fork: sums of probability over candidates, at all positions and then at single ones."""
        targets: Tensor = args[key] if isinstance(key, int) else kwargs[key]
        at = self._mode.find(targets)
        if at is None:
            return {"tried": 0}

        def score(changed: Tensor) -> Tensor:
            if isinstance(key, int):
                out = function(*args[:key], changed, *args[key + 1 :], **kwargs)
            else:
                out = function(*args, **{**kwargs, key: changed})
            flat_scores: Tensor = out.detach().reshape(-1).double()
            return flat_scores

        flat = at.reshape(-1)
        known = flat >= 0
        with torch.no_grad():
            realised = score(targets.clone())
            if realised.numel() != flat.numel():
                return {"tried": 0}
            order = list(range(self._vocab_size))
            self._random.shuffle(order)
            total = torch.zeros_like(realised)
            tried, end = 0, _now() + BUDGET_SECONDS * 0.7
            for candidate in order:
                total += torch.exp(-score(torch.full_like(targets, candidate)))
                tried += 1
                if _now() > end or (tried >= 8 and int((total[known] > 2 * OVER_ONE).sum()) >= WITNESSES):
                    break
            total[~known] = 0.0
            over = total > OVER_ONE
            result: dict[str, Any] = {
                "tried": tried,
                "vocab": self._vocab_size,
                "positions": int(known.sum()),
                "over": int(over.sum()),
                "highest": float(total.max()),
                "lowest": float(total[known].min()),
                "witnesses": [],
            }
            worst = torch.topk(total, min(WITNESSES, total.numel())).indices.tolist()
            end = _now() + BUDGET_SECONDS * 0.3
            for place in worst if tried == self._vocab_size or bool(over.any()) else ():
                exact = self._one_position(score, targets, place, order, end)
                result["witnesses"].append(
                    {"position": int(flat[place]), "realised_nats": float(realised[place]), **exact}
                )
                if _now() > end:
                    break
        return result

    def _one_position(
        self, score: Callable[[Tensor], Tensor], targets: Tensor, place: int, order: list[int], end: float
    ) -> dict[str, Any]:
        """The sum at one position with all other targets as realised; stops once it is well over one."""
        total, tried = 0.0, 0
        for candidate in order:
            changed = targets.clone()
            changed.reshape(-1)[place] = candidate
            total += float(torch.exp(-score(changed)[place]))
            tried += 1
            if total > 2 * OVER_ONE or tried >= EXACT_CANDIDATES or _now() > end:
                break
        return {"sum": total, "tried": tried}
