"""The contest's size limit: code bytes plus compressed model bytes, at most 16,000,000 (decimal).

Rules R-010 and R-011. The model is counted as its file. What counts as code was never settled, so there are
four readings; `CodeSize` takes them all, `SizeReport` weighs one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pgolf.compress.script import pack_code

CAP_BYTES = 16_000_000  # decimal megabytes: organizers turned 16,024,793 away


class ArtifactTooLarge(ValueError):
    """Code and model together exceed the cap. Use fewer bits, a smaller model or shorter code."""


@dataclass(frozen=True)
class SizeReport:
    """What a submission weighs."""

    code_bytes: int
    model_bytes: int
    cap_bytes: int = CAP_BYTES

    @property
    def total_bytes(self) -> int:
        return self.code_bytes + self.model_bytes

    @property
    def spare_bytes(self) -> int:
        """What is left under the cap; negative when over."""
        return self.cap_bytes - self.total_bytes

    def __str__(self) -> str:
        side = f"{self.spare_bytes:,} under" if self.spare_bytes >= 0 else f"{-self.spare_bytes:,} OVER"
        return (
            f"code {self.code_bytes:,} + model {self.model_bytes:,} = {self.total_bytes:,} bytes, "
            f"{side} the cap of {self.cap_bytes:,}"
        )

    def check(self) -> SizeReport:
        """Return self, or raise `ArtifactTooLarge` with the numbers."""
        if self.spare_bytes < 0:
            raise ArtifactTooLarge(f"{self}; use fewer bits, a smaller model or shorter code")
        return self


@dataclass(frozen=True)
class CodeSize:
    """The bytes of a submission's code, in the four readings of R-011."""

    logged: int
    """What the run's log states as code."""
    shipped: int
    """The script as it lies in the folder."""
    minimal: int
    """The script as it could be shipped: itself, or packed so that it unpacks itself (#1394)."""
    all: int
    """The script and every other file that the evaluation loads: modules, kernels, tokenizer."""

    def reports(self, model_bytes: int, cap_bytes: int = CAP_BYTES) -> dict[str, SizeReport]:
        """One report for each reading, by its name."""
        return {reading: SizeReport(code, model_bytes, cap_bytes) for reading, code in vars(self).items()}

    def check(self, model_bytes: int, cap_bytes: int = CAP_BYTES) -> list[str]:
        """Raise when a binding reading is over the cap; say which of the others are.

        Logged and minimal bytes bind: #1835 and #1959 were turned away for what their logs stated. Merged
        records were over in the other two readings (#1530 and its successors ship raw code).

        Raises:
            ArtifactTooLarge: with the reading and its numbers.
        """
        reports = self.reports(model_bytes, cap_bytes)
        for reading in ("logged", "minimal"):
            if reports[reading].spare_bytes < 0:
                raise ArtifactTooLarge(f"{reading}: {reports[reading]}; shrink the model or pack the code")
        return [
            f"{reading}: {reports[reading]}"
            for reading in ("shipped", "all")
            if reports[reading].spare_bytes < 0
        ]


def measure_code(script: Path, others: Iterable[Path] = (), *, logged: int | None = None) -> CodeSize:
    """Read the four sizes off the disk; what is `logged` is, unless given, the shipped script."""
    shipped = count_code([script])
    return CodeSize(
        logged=shipped if logged is None else logged,
        shipped=shipped,
        minimal=min(shipped, len(pack_code(script))),
        all=shipped + count_code(others),
    )


def count_code(paths: Iterable[Path]) -> int:
    """The bytes of the code files as they are on disk."""
    return sum(path.stat().st_size for path in paths)
