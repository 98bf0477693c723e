"""Everything a check may look at: the folder as read, and what the probes recorded.

Checks are pure functions of an `Evidence`. `probes` is None when no probe was asked for
(`--level documents` or `static`), and carries its own reason where a probe could not run. `source` is the
live program of the script, parsed when the first static check asks for it and shared by all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from verifier.static import Source, read_source
from verifier.submission import Submission

if TYPE_CHECKING:
    from verifier.probe.record import ProbeRecord


@dataclass(frozen=True)
class Evidence:
    submission: Submission
    probes: ProbeRecord | None = None

    @cached_property
    def source(self) -> Source | None:
        """The script as read, without executing it; None when there is none that parses."""
        return read_source(self.submission)
