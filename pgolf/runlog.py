"""A run's log: every line to a file, and to wherever the caller shows lines."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import torch


def print_line(line: str) -> None:
    print(line, flush=True)


class RunLog:
    """Call it with a line. The file is written line by line, so that a killed run leaves what it said."""

    def __init__(self, path: Path, echo: Callable[[str], None] | None = print_line) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._echo = echo
        self._file = path.open("w", encoding="utf-8", buffering=1)

    def __call__(self, line: str) -> None:
        print(line, file=self._file)
        if self._echo is not None:
            self._echo(line)

    def source(self, code: str) -> None:
        """Bind the log to the code that wrote it and to what ran it."""
        self(f"code_sha256:{hashlib.sha256(code.encode()).hexdigest()}")
        self(f"Running Python {sys.version.split()[0]} PyTorch {torch.__version__}")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
