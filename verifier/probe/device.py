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


FLOAT32_ROUNDING = 2.0**-22
"""Of a value, how far float32 may move it: four roundings of 2^-24 each."""
BFLOAT16_ROUNDING = 2.0**-8
"""Of a value, how far one rounding to bfloat16 may move it."""


class Device(StrEnum):
    """Where the submission computes."""

    CPU = "cpu"
    CUDA = "cuda"

    @property
    def rounding(self) -> float:
        """Of a value, how far the script's own precision may move it: float32 on a CPU, bfloat16 on a GPU."""
        return FLOAT32_ROUNDING if self is Device.CPU else BFLOAT16_ROUNDING

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
