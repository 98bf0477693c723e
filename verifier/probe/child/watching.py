"""Watch the script's functions: count the calls that matter to a probe, and replay those that were planned.

Two kinds matter. One turns targets into scores, one for each (`mass` measures it); the other turns ids into
logits, one row for each (`window` measures it). A function is told by what it returned: scores that carry
the positions of one of its arguments, or a row over the vocabulary for each id of a piece of the stream.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CellType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from verifier.probe.child import mass, window
from verifier.probe.child.attached import AT, PURE
from verifier.probe.child.numpy_shadow import ShadowArray
from verifier.probe.child.places import position
from verifier.probe.child.replay import Forks, OpenCall
from verifier.probe.child.shadow import Shadow
from verifier.probe.child.tape import Tape

COUNTED_CALLS = 20_000
"""Calls of one function that are written to the tape."""
SPARSE_FROM = 2
"""Without a plan, calls number 2, 4, 8 ... are replayed: later ones see fuller caches, and one is enough."""
RECOGNISED_WITHIN = 400
"""Calls of a function that are looked at before it is taken to be of neither kind."""


@dataclass
class _Seen:
    key: str
    replay: frozenset[int]
    kind: str = ""
    argument: int | str | None = None
    part: int | None = None
    """Which element of a returned tuple holds the scores."""
    looked: int = 0
    calls: int = 0
    """Counted from the call that was recognised, which is number 0."""
    pure: bool = False


class Watching:
    """Wraps functions; `replays` maps function keys to the numbers of the calls to replay.

    With None there is no plan, and scores that are more than a cross entropy are replayed now and then.
    """

    def __init__(
        self, tape: Tape, mode: Shadow, vocab_size: int, replays: Mapping[str, Sequence[int]] | None
    ) -> None:
        self._tape = tape
        self._mode = mode
        self._vocab_size = vocab_size
        self._replays: Mapping[str, Sequence[int]] = {} if replays is None else replays
        self._sparse = replays is None
        self._seen: dict[Any, _Seen] = {}
        self._forks = Forks()
        self._in_fork = False

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap `function`; the wrapper calls it unchanged and may replay it in a fork first."""
        code = getattr(function, "__code__", None)
        if code is None:
            return function
        key = f"{code.co_firstlineno}:{getattr(function, '__qualname__', '?')}"
        seen = self._seen.setdefault(code, _Seen(key, frozenset(self._replays.get(key, ()))))

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if seen.argument is not None and not self._in_fork:
                seen.calls += 1
                self._count(seen)
                if self._is_planned(seen):
                    self._replay_if_free(seen, OpenCall(function, seen.argument, args, kwargs, seen.part))
            out = function(*args, **kwargs)
            if self._sparse and seen.kind == "mass" and not self._in_fork:
                seen.pure = _is_pure(out if seen.part is None else out[seen.part])
            if seen.argument is None and not self._in_fork and seen.looked < RECOGNISED_WITHIN:
                self._recognise(seen, function, out, args, kwargs)
            return out

        return watched

    def _is_planned(self, seen: _Seen) -> bool:
        if self._sparse:
            late = seen.calls >= SPARSE_FROM and seen.calls.bit_count() == 1
            return late and seen.kind == "mass" and not seen.pure
        return seen.calls in seen.replay

    def _recognise(
        self,
        seen: _Seen,
        function: Callable[..., Any],
        out: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        if isinstance(out, tuple):
            # Scores beside what they were made of: the first part that has positions.
            found = (i for i, each in enumerate(out) if isinstance(each, Tensor) and AT in each.__dict__)
            seen.part = next(found, None)
            out = None if seen.part is None else out[seen.part]
        if type(out) is not Tensor or not out.ndim:
            return
        seen.looked += 1
        if AT in out.__dict__:
            seen.kind, seen.pure = "mass", _is_pure(out)
            seen.argument = self._argument(position(out.__dict__[AT]).reshape(-1), args, kwargs)
        elif out.ndim >= 2 and out.size(-1) >= self._vocab_size and out.is_floating_point():
            seen.kind, seen.pure = "window", True
            seen.argument = self._argument(out.numel() // out.size(-1), args, kwargs)
        if seen.argument is None:
            return
        self._count(seen)
        if seen.kind == "mass" and not self._sparse and 0 in seen.replay:
            call = OpenCall(function, seen.argument, args, kwargs, seen.part)
            self._replay_if_free(seen, call, made=out)

    def _replay_if_free(self, seen: _Seen, call: OpenCall, made: Tensor | None = None) -> None:
        """Replay a planned call; `made` is what it returned, where it was made already."""
        if self._forks.time_left and not _scores_given(seen, call):
            self._replay(seen, call, made)

    def _argument(
        self, wanted: Tensor | int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> int | str | None:
        """Which argument holds the ids at the positions `wanted`, or any that many ids of the stream."""
        for key, value in (*enumerate(args), *kwargs.items()):
            found = self._mode.find(value)
            if not isinstance(key, int | str) or found is None:
                continue
            if isinstance(wanted, int):
                if found.numel() == wanted:
                    return key
                continue
            known = wanted >= 0
            if found.numel() == wanted.numel():
                same = (found.reshape(-1) == wanted) & known
                if int(same.sum()) * 2 > int(known.sum()):
                    return key
        return None

    def _count(self, seen: _Seen) -> None:
        if seen.calls < COUNTED_CALLS:
            self._tape.write(
                "call", site=self._tape.site(), function=seen.key, nth=seen.calls, pure=seen.pure
            )

    def _replay(self, seen: _Seen, call: OpenCall, made: Tensor | None) -> None:
        self._tape.flush()

        def measure() -> dict[str, Any]:
            self._in_fork = True
            self._mode.mute()
            with torch.no_grad():
                if seen.kind == "mass":
                    return mass.measure(self._mode, call, self._vocab_size, made)
                return window.measure(self._mode, call, self._vocab_size)

        answer = self._forks.ask(measure)
        if answer is not None:
            name = getattr(call.function, "__qualname__", "?")
            line = call.function.__code__.co_firstlineno
            self._tape.write(seen.kind, site=self._tape.site(), function=name, line=line, **answer)


def _scores_given(seen: _Seen, call: OpenCall) -> bool:
    """Whether scores of the realised tokens come in beside the targets.

    A tilt or blend that is handed the realised token's loss cannot be asked about another token: it would tilt
    the wrong loss, and a normalised one would seem to exceed one (#2135, legal). Nor can one that is handed a
    number for each target from code that torch does not see, such as a count looked up in a dictionary.
    """
    if seen.kind != "mass":
        return False
    function = call.function
    given = [value for key, value in (*enumerate(call.args), *call.kwargs.items()) if key != call.key]
    held = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    held += [function.__globals__.get(name) for name in function.__code__.co_names]
    flat = [
        each for value in (*given, *held) for each in (value if isinstance(value, list | tuple) else (value,))
    ]
    return any(map(_is_score, flat)) or any(_is_one_for_each(value, call.argument) for value in given)


def _is_score(value: Any) -> bool:
    if isinstance(value, Tensor):
        return AT in value.__dict__
    return isinstance(value, ShadowArray) and value.at is not None


def _is_one_for_each(value: Any, targets: Tensor) -> bool:
    """Whether `value` is a fraction for each target: no mask, and nothing that was made for all tokens."""
    if isinstance(value, list) and value and isinstance(value[0], float):
        value = torch.tensor(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        value = torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.numel() != targets.numel():
        return False
    return bool(((value != 0) & (value != 1)).any())


def _is_filled(cell: CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _is_pure(out: Any) -> bool:
    return isinstance(out, Tensor) and PURE in out.__dict__
