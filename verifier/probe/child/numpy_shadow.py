"""The numpy side of the shadow: an ndarray that carries stream positions and reports where values go.

Values leave in three ways: reduced by a sum, read out one by one, or kept, that is copied into a plain
array or list. A copy cannot be seen, so an array that was neither reduced nor cut further reports itself
when it is dropped, as of the moment it was made.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from verifier.probe.child.places import both_picked, position, same_positions, stamped

PICKS = ("minimum", "fmin")


class Recorder(Protocol):
    """Where values and picks go: the torch side of the shadow."""

    def score_array(
        self, at: np.ndarray, values: np.ndarray, how: str, pure: bool, born: int | None = None
    ) -> None: ...

    def note_pick(self, how: str, positions: np.ndarray, one: np.ndarray, other: np.ndarray) -> None: ...

    def now(self) -> int: ...


class ShadowArray(np.ndarray):
    """Per-token values with `at`, an int64 array of places (see `places.py`) of the same shape."""

    at: np.ndarray | None
    recorder: Recorder | None
    born: int
    pure: bool
    """True while the values are what a cross entropy gave."""
    spent: bool
    """True once the values were reduced, read out or cut into parts that report for themselves."""

    @classmethod
    def wrap(cls, values: np.ndarray, at: np.ndarray, recorder: Recorder, pure: bool) -> ShadowArray:
        """`values` at the places `at`."""
        out = np.asarray(values).view(cls)
        out._carry(at, recorder, pure)
        return out

    def __reduce__(self) -> Any:
        """Saved, they are plain values: a file that a script writes must not need the audit to be read."""
        return np.asarray(self).view(np.ndarray).__reduce__()

    def _carry(self, at: np.ndarray, recorder: Recorder, pure: bool) -> None:
        self.at, self.recorder, self.pure = at, recorder, pure
        self.born = recorder.now()
        self.spent = False

    def __array_finalize__(self, source: Any) -> None:
        self.at, self.recorder = None, None
        self.born, self.pure, self.spent = 0, False, False
        if not isinstance(source, ShadowArray) or source.at is None or source.recorder is None:
            return
        if source.at.shape == self.shape:
            self._carry(source.at, source.recorder, source.pure)
            source.spent = True

    def __getitem__(self, key: Any) -> Any:
        at, recorder = self.at, self.recorder
        out = super().__getitem__(key)
        if at is None or recorder is None:
            return out
        self.spent = True
        if isinstance(out, ShadowArray):
            out._carry(at[key], recorder, self.pure)
        elif np.ndim(out) == 0:
            recorder.score_array(np.atleast_1d(at[key]), np.atleast_1d(out), "read", self.pure)
        return out

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if self.at is not None and isinstance(value, ShadowArray) and value.at is not None:
            self.at = self.at.copy()
            self.at[key] = value.at
            value.spent = True

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [each.view(np.ndarray) if isinstance(each, ShadowArray) else each for each in inputs]
        given = kwargs.get("out")
        if given is not None:
            kwargs["out"] = tuple(o.view(np.ndarray) if isinstance(o, ShadowArray) else o for o in given)
        carriers = [each for each in inputs if isinstance(each, ShadowArray) and each.at is not None]
        result = getattr(ufunc, method)(*plain, **kwargs)
        if not carriers:
            return result
        first = carriers[0]
        at, recorder = first.at, first.recorder
        if at is None or recorder is None:
            return result
        if method == "reduce" and ufunc.__name__ == "add":
            recorder.score_array(at, plain[0], "numpy:sum", first.pure)
            first.spent = True
            return result
        floats = method == "__call__" and isinstance(result, np.ndarray) and result.dtype.kind == "f"
        if floats and at.shape == result.shape:
            if ufunc.__name__ in PICKS and len(carriers) > 1:
                other = carriers[1]
                at = _better(ufunc.__name__, recorder, at, other.at, plain_of(first), plain_of(other))
            for each in carriers:
                each.spent = True
            return ShadowArray.wrap(result, stamped(at, recorder.now()), recorder, pure=False)
        return result

    def tolist(self) -> Any:
        if self.at is not None and self.recorder is not None:
            self.recorder.score_array(self.at, self.view(np.ndarray), "read", self.pure)
            self.spent = True
        return super().tolist()

    def __del__(self) -> None:
        if self.at is not None and self.recorder is not None and not self.spent and self.size:
            self.recorder.score_array(self.at, self.view(np.ndarray), "kept", self.pure, self.born)


def plain_of(array: ShadowArray) -> np.ndarray:
    """The values alone."""
    return array.view(np.ndarray)


def _better(
    how: str, recorder: Recorder, at: np.ndarray, other_at: Any, one: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """Places of the better of two scores, with a note on the tape where both are of the same tokens."""
    if at.shape != other_at.shape or not same_positions(at, other_at):
        return at
    both = (at >= 0) & (other_at >= 0)
    recorder.note_pick(how, position(at)[both], one[both], other[both])
    return both_picked(at, other_at)
