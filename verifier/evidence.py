"""Everything a check may look at: the folder as read, and what the probes recorded.

Checks are pure functions of an `Evidence`. `probes` is None when no probe was asked for
(`--level documents`), and carries its own reason where a probe could not run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier.submission import Submission

if TYPE_CHECKING:
    from verifier.probe.record import ProbeRecord


@dataclass(frozen=True)
class Evidence:
    submission: Submission
    probes: ProbeRecord | None = None
