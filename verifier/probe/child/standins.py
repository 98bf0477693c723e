"""What a submission finds in place of a GPU, of several ranks, of missing packages and of the hub."""

from __future__ import annotations

from pathlib import Path

from verifier.probe.child import data, devices, distributed, foreign, gpu, lively, precision
from verifier.probe.child.hub import Hub


def install(folder: Path, *, on_gpu: bool) -> None:
    """Put everything in its place; `folder` holds the data. Call it before any code of the submission runs."""
    if on_gpu:
        gpu.install()
    else:
        devices.install()
        precision.install()
    distributed.install()
    lively.install()
    provider = data.Provider(folder)
    data.install(provider)
    hub = Hub(provider, folder).module
    foreign.install_missing(hub) if on_gpu else foreign.install(hub)
