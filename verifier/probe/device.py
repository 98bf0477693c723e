"""Where a run computes: on the CPU, with every request for a GPU answered there, or on a real GPU.

A GPU run shows the submission the devices and the driver, and lets it write into its own /proc, without which
the driver does not start; it keeps the script's own precision, so its scores are rounded more coarsely and
the floor allows for that.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path

from verifier.probe.job import GiB, Limits

_NODES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia[0-9]*", "nvidia-caps/*")
_READ = (
    Path("/sys/bus/pci"),
    Path("/sys/module/nvidia"),
    Path("/sys/module/nvidia_uvm"),
    Path("/usr/local/nvidia"),
)
_LIBRARIES = ("/usr/local/nvidia/lib64", "/usr/lib/x86_64-linux-gnu/nvidia/current")
_PROGRAMS = ("/usr/local/cuda/bin", str(Path(sys.executable).parent))
"""The driver's libraries and the compiler, where distributions and containers put them."""


FLOAT32_SCORE = 2e-6
"""Nats by which one score may be off because the script worked in float32 (seen: below 1e-6). A run in a coarser
precision has a larger one (`Device.score_slack_nats`)."""


class Device(StrEnum):
    """Where the submission computes."""

    CPU = "cpu"
    CUDA = "cuda"

    @property
    def score_slack_nats(self) -> float:
        """How far one captured score may lie below the script's true one, from rounding alone.

        In float32 a score near 7 is off by less than 2e-6. In bfloat16 values between 4 and 8 are 2^-5 apart
        and between 8 and 16 2^-4, so one rounding is off by at most 2^-5.
        """
        return FLOAT32_SCORE if self is Device.CPU else 2.0**-5

    def expose(self) -> tuple[Path, ...]:
        """Host paths that a run on this device must see."""
        if self is Device.CPU:
            return ()
        nodes = (node for pattern in _NODES for node in sorted(Path("/dev").glob(pattern)))
        return (
            *(node for node in nodes if node.is_char_device()),
            *(path for path in _READ if path.exists()),
        )

    def environment(self) -> dict[str, str]:
        """Variables that a run on this device needs beside those of every run."""
        if self is Device.CPU:
            return {"CUDA_VISIBLE_DEVICES": ""}
        libraries = [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), *_LIBRARIES]
        programs = [folder for folder in _PROGRAMS if Path(folder).is_dir()]
        return {
            "CUDA_VISIBLE_DEVICES": "0",
            "LD_LIBRARY_PATH": ":".join(folder for folder in libraries if folder and Path(folder).is_dir()),
            "PATH": ":".join((*programs, "/usr/local/bin:/usr/bin:/bin")),
        }

    def limits(self, wall_seconds: float) -> Limits:
        """A CUDA context alone keeps several gigabytes of the host's memory and reserves far more."""
        if self is Device.CPU:
            return Limits(wall_seconds=wall_seconds)
        return Limits(
            wall_seconds=wall_seconds, memory_bytes=32 * GiB, scratch_bytes=4 * GiB, open_files=4096
        )

    def missing(self) -> str | None:
        """Why no run can be made on this device here; None when one can."""
        if self is Device.CPU or any(Path("/dev").glob("nvidia[0-9]*")):
            return None
        return "no NVIDIA device node in /dev"
