"""The numpy side of the shadow: an ndarray that carries stream positions and reports where values go.

Values leave in three ways: reduced by a sum, read out one by one, or kept, that is copied into a plain
array or list. A copy cannot be seen, so an array that was neither reduced nor cut further reports itself
when it is dropped, as of the moment it was made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np


class Report(Protocol):
    """Puts values at stream positions on the tape; `born` is the event number to file them under."""

    def __call__(
        self, at: np.ndarray, values: np.ndarray, how: str, pure: bool, born: int | None = None
    ) -> None: ...


class ShadowArray(np.ndarray):
    """Per-token values with `at`, an int64 array of stream positions of the same shape."""

    at: np.ndarray | None
    report: Report | None
    now: Callable[[], int] | None
    born: int
    pure: bool
    """True while the values are what a cross entropy gave."""
    spent: bool
    """True once the values were reduced, read out or cut into parts that report for themselves."""

    @classmethod
    def wrap(
        cls, values: np.ndarray, at: np.ndarray, report: Report, now: Callable[[], int], pure: bool
    ) -> ShadowArray:
        """`values` with positions `at`; `now` gives the number that the next event will have."""
        out = np.asarray(values).view(cls)
        out._carry(at, report, now, pure)
        return out

    def _carry(
        self, at: np.ndarray, report: Report | None, now: Callable[[], int] | None, pure: bool
    ) -> None:
        self.at, self.report, self.now, self.pure = at, report, now, pure
        self.born = 0 if now is None else now()
        self.spent = False

    def __array_finalize__(self, source: Any) -> None:
        self.at, self.report, self.now = None, None, None
        self.born, self.pure, self.spent = 0, False, False
        if isinstance(source, ShadowArray) and source.at is not None and source.at.shape == self.shape:
            self._carry(source.at, source.report, source.now, source.pure)
            source.spent = True

    def __getitem__(self, key: Any) -> Any:
        at, report, now = self.at, self.report, self.now
        out = super().__getitem__(key)
        if at is None or report is None:
            return out
        self.spent = True
        if isinstance(out, ShadowArray):
            out._carry(at[key], report, now, self.pure)
        elif np.ndim(out) == 0:
            report(np.atleast_1d(at[key]), np.atleast_1d(out), "read", self.pure)
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
        at, report, now = first.at, first.report, first.now
        if at is None or report is None or now is None:
            return result
        if method == "reduce" and ufunc.__name__ == "add":
            report(at, plain[0], "numpy:sum", first.pure)
            first.spent = True
            return result
        floats = method == "__call__" and isinstance(result, np.ndarray) and result.dtype.kind == "f"
        if floats and at.shape == result.shape:
            for each in carriers:
                each.spent = True
            return ShadowArray.wrap(result, at, report, now, pure=False)
        return result

    def tolist(self) -> Any:
        if self.at is not None and self.report is not None:
            self.report(self.at, self.view(np.ndarray), "read", self.pure)
            self.spent = True
        return super().tolist()

    def __del__(self) -> None:
        if self.at is not None and self.report is not None and not self.spent and self.size:
            self.report(self.at, self.view(np.ndarray), "kept", self.pure, self.born)
