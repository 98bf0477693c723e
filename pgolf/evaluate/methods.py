"""Every evaluation method by name: what `pgolf eval --method` and the benchmark can run.

Each name maps to a builder `(model, MethodConfig) -> Method | Mixed`; building runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pgolf.evaluate.method import Method
from pgolf.evaluate.mixer import Mixed
from pgolf.evaluate.sliding import Sliding
from pgolf.evaluate.slot import ContextSLOT, SLOTConfig
from pgolf.evaluate.ttt import ScoreFirstTTT, TTTConfig
from pgolf.model import GPT


@dataclass(frozen=True)
class MethodConfig:
    """Settings of all methods; each reads its own part."""

    seq_len: int = 1024
    stride: int = 64
    bos_id: int | None = None
    """The token that starts a document; None: the stream is one document."""
    compiled: bool | None = None
    """None: compile on CUDA."""
    ttt: TTTConfig = field(default_factory=TTTConfig)
    slot: SLOTConfig = field(default_factory=SLOTConfig)

    def at(self, seq_len: int, stride: int) -> MethodConfig:
        """The same on other windows."""
        return replace(self, seq_len=seq_len, stride=stride)


Builder = Callable[[GPT, MethodConfig], Method | Mixed]


def plain(model: GPT, config: MethodConfig) -> Method:
    return Sliding(model, config.seq_len, config.seq_len, compiled=config.compiled, name="plain")


def sliding(model: GPT, config: MethodConfig) -> Method:
    return Sliding(model, config.seq_len, config.stride, compiled=config.compiled)


def ttt(model: GPT, config: MethodConfig) -> Method:
    return ScoreFirstTTT(model, config.seq_len, config.stride, config.ttt, compiled=config.compiled)


def slot(model: GPT, config: MethodConfig) -> Method:
    return ContextSLOT(model, config.seq_len, config.stride, config.slot, compiled=config.compiled)


METHODS: dict[str, Builder] = {
    "plain": plain,
    "sliding": sliding,
    "ttt": ttt,
    "slot": slot,
}
