"""Loggers and progress bars that a machine may lack: every attribute and call yields another stand-in."""

from __future__ import annotations

import types
from typing import Any

from verifier.probe.child.uses import used


class _Anything:
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()

    def __call__(self, *_: Any, **__: Any) -> Any:
        return _Anything()

    def __enter__(self) -> _Anything:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def __bool__(self) -> bool:
        return False


def anything(attribute: str) -> Any:
    """The stand-in for one attribute of a module."""
    return getattr(_Anything(), attribute)


class Progress:
    """`tqdm`: the iterable itself."""

    def __init__(self, iterable: Any = None, *_: Any, **__: Any) -> None:
        self._iterable = iterable

    def __iter__(self) -> Any:
        return iter(self._iterable)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return anything(name)


def logger(name: str) -> types.ModuleType:
    """A module that swallows everything."""
    used(name.partition(".")[0])
    module = types.ModuleType(name)
    module.__path__ = []
    module.__getattr__ = anything  # type: ignore[method-assign]
    return module


def progress(name: str) -> types.ModuleType:
    """`tqdm` and its submodules."""
    module = logger(name)
    module.tqdm = Progress  # type: ignore[attr-defined]
    module.trange = range  # type: ignore[attr-defined]
    return module
