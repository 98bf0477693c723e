"""The numpy side of the shadow: an ndarray that carries stream positions and reports reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Report = Callable[[np.ndarray, np.ndarray, str], None]
_REDUCING = ("add",)


class ShadowArray(np.ndarray):
    """Per-token values with `at`, an int64 array of stream positions of the same shape."""

    at: np.ndarray | None
    report: Report | None

    @classmethod
    def wrap(cls, values: np.ndarray, at: np.ndarray, report: Report) -> ShadowArray:
        out = np.asarray(values).view(cls)
        out.at, out.report = at, report
        return out

    def __array_finalize__(self, source: Any) -> None:
        same = isinstance(source, ShadowArray) and source.at is not None and source.at.shape == self.shape
        self.at = source.at if same else None
        self.report = getattr(source, "report", None)

    def __getitem__(self, key: Any) -> Any:
        out = super().__getitem__(key)
        if isinstance(out, ShadowArray) and self.at is not None:
            out.at, out.report = self.at[key], self.report
        elif self.at is not None and self.report is not None and np.ndim(out) == 0:
            self.report(np.atleast_1d(self.at[key]), np.atleast_1d(out), "read")
        return out

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if self.at is not None:
            self.at = self.at.copy()
            new = value.at if isinstance(value, ShadowArray) else None
            if new is not None:
                self.at[key] = new

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [each.view(np.ndarray) if isinstance(each, ShadowArray) else each for each in inputs]
        out_given = kwargs.get("out")
        if out_given is not None:
            kwargs["out"] = tuple(o.view(np.ndarray) if isinstance(o, ShadowArray) else o for o in out_given)
        carriers = [each for each in inputs if isinstance(each, ShadowArray) and each.at is not None]
        result = getattr(ufunc, method)(*plain, **kwargs)
        if not carriers:
            return result
        first = carriers[0]
        if method == "reduce" and ufunc.__name__ in _REDUCING and first.report is not None:
            first.report(first.at, plain[0], "numpy:sum")  # type: ignore[arg-type]
            return result
        floats = method == "__call__" and isinstance(result, np.ndarray) and result.dtype.kind == "f"
        if floats and first.at is not None and first.at.shape == result.shape and first.report is not None:
            return ShadowArray.wrap(result, first.at, first.report)
        return result

    def tolist(self) -> Any:
        if self.at is not None and self.report is not None:
            self.report(self.at, self.view(np.ndarray), "read")
        return super().tolist()
