"""The contest's size limit: code bytes plus compressed model bytes, at most 16,000,000 (decimal).

Rules R-010 and R-011. Code counts as it is on disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

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


def count_code(paths: Iterable[Path]) -> int:
    """The bytes of the code files as they are on disk."""
    return sum(path.stat().st_size for path in paths)
