"""Every evaluation method by name: what `pgolf eval --method` and the benchmark can run.

Each name maps to a builder `(model, MethodConfig) -> Method | Mixed`; building runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pgolf.evaluate.bias import BiasConfig, OnlineBias
from pgolf.evaluate.method import Method
from pgolf.evaluate.mixer import Mixed, mixed
from pgolf.evaluate.ngram import NgramConfig, NgramMixer
from pgolf.evaluate.sliding import Sliding
from pgolf.evaluate.slot import ContextSLOT, SLOTConfig
from pgolf.evaluate.tilt import TiltConfig, TiltMixer
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
    ngram: NgramConfig = field(default_factory=NgramConfig)
    tilt: TiltConfig = field(default_factory=TiltConfig)
    bias: BiasConfig = field(default_factory=BiasConfig)

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


def ngram(model: GPT, config: MethodConfig) -> Mixed:
    return mixed(sliding(model, config), NgramMixer(model.config.vocab_size, config.ngram))


def tilt(model: GPT, config: MethodConfig) -> Mixed:
    return mixed(sliding(model, config), TiltMixer(model.config.vocab_size, config.tilt))


def ttt_tilt(model: GPT, config: MethodConfig) -> Mixed:
    return mixed(ttt(model, config), TiltMixer(model.config.vocab_size, config.tilt))


def ttt_ngram(model: GPT, config: MethodConfig) -> Mixed:
    return mixed(ttt(model, config), NgramMixer(model.config.vocab_size, config.ngram))


def bias(model: GPT, config: MethodConfig) -> Method:
    return OnlineBias(sliding(model, config), model.config.vocab_size, config.bias)


METHODS: dict[str, Builder] = {
    "plain": plain,
    "sliding": sliding,
    "ttt": ttt,
    "slot": slot,
    "ngram": ngram,
    "tilt": tilt,
    "bias": bias,
    "ttt+ngram": ttt_ngram,
    "ttt+tilt": ttt_tilt,
}
