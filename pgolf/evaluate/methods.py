"""Every evaluation method by name: what `pgolf eval --method` and the benchmark can run.

Each name maps to a builder `(model, MethodConfig) -> Method | Mixed`; building runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pgolf.evaluate.bias import BiasConfig, OnlineBias
from pgolf.evaluate.doc_lora import DocLoRA, DocLoRAConfig
from pgolf.evaluate.method import Method
from pgolf.evaluate.mixer import Mixed, mixed
from pgolf.evaluate.ngram import NgramConfig, NgramMixer
from pgolf.evaluate.sliding import Sliding
from pgolf.evaluate.slot import ContextSLOT, SLOTConfig
from pgolf.evaluate.stateful import Stateful, StatefulConfig
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
    stateful: StatefulConfig = field(default_factory=StatefulConfig)
    overlap_tokens: int = 1024
    """Of stateful-overlap; its other settings are those of stateful."""
    ttt: TTTConfig = field(default_factory=TTTConfig)
    ttt_adamw: TTTConfig = field(default_factory=lambda: TTTConfig(epochs=1, optimizer="adamw", lr=0.001))
    """Of ttt-adamw, and with all blocks but the last frozen of ttt-frozen (#1430, whose other parts leak)."""
    phases: tuple[float, ...] = (1 / 3, 2 / 3)
    """Of ttt-phased, which is otherwise ttt."""
    doc_lora: DocLoRAConfig = field(default_factory=DocLoRAConfig)
    slot: SLOTConfig = field(default_factory=SLOTConfig)
    ngram: NgramConfig = field(default_factory=NgramConfig)
    tilt: TiltConfig = field(default_factory=TiltConfig)
    bias: BiasConfig = field(default_factory=BiasConfig)


Builder = Callable[[GPT, MethodConfig], Method | Mixed]


def plain(model: GPT, config: MethodConfig) -> Method:
    return Sliding(model, config.seq_len, config.seq_len, compiled=config.compiled, name="plain")


def sliding(model: GPT, config: MethodConfig) -> Method:
    return Sliding(model, config.seq_len, config.stride, compiled=config.compiled)


def stateful(model: GPT, config: MethodConfig) -> Method:
    carrying = replace(config.stateful, overlap_tokens=0)
    return Stateful(model, config.seq_len, carrying, compiled=config.compiled)


def stateful_overlap(model: GPT, config: MethodConfig) -> Method:
    overlapping = replace(config.stateful, overlap_tokens=config.overlap_tokens)
    if not model.config.ssm_layers:
        # Nothing but attention, so nothing to carry: the same windows without states, which compile.
        block = config.stateful.block_tokens
        length = block + config.overlap_tokens
        return Sliding(model, length, block, compiled=config.compiled, name="stateful-overlap")
    return Stateful(model, config.seq_len, overlapping, compiled=config.compiled)


def ttt(model: GPT, config: MethodConfig) -> Method:
    return ScoreFirstTTT(model, config.seq_len, config.stride, config.ttt, compiled=config.compiled)


def ttt_adamw(model: GPT, config: MethodConfig) -> Method:
    return ScoreFirstTTT(model, config.seq_len, config.stride, config.ttt_adamw, compiled=config.compiled)


def ttt_frozen(model: GPT, config: MethodConfig) -> Method:
    last_only = replace(config.ttt_adamw, frozen_blocks=len(model.blocks) - 1)
    return ScoreFirstTTT(model, config.seq_len, config.stride, last_only, compiled=config.compiled)


def ttt_phased(model: GPT, config: MethodConfig) -> Method:
    phased = replace(config.ttt, phases=config.phases)
    return ScoreFirstTTT(model, config.seq_len, config.stride, phased, compiled=config.compiled)


def doc_lora(model: GPT, config: MethodConfig) -> Method:
    # #77's chunks of 256 are a quarter of its window; a short-windowed model takes its whole window.
    chunk_tokens = min(config.doc_lora.chunk_tokens, config.seq_len)
    return DocLoRA(model, config.seq_len, config.bos_id, replace(config.doc_lora, chunk_tokens=chunk_tokens))


def slot(model: GPT, config: MethodConfig) -> Method:
    return ContextSLOT(model, config.seq_len, config.stride, config.slot, compiled=config.compiled)


def ngram(model: GPT, config: MethodConfig) -> Mixed:
    return mixed(sliding(model, config), NgramMixer(model.config.vocab_size, config.ngram))


def tilt(model: GPT, config: MethodConfig) -> Mixed:
    return mixed(sliding(model, config), TiltMixer(model.config.vocab_size, config.tilt))


def ttt_tilt(model: GPT, config: MethodConfig) -> Mixed:
    return mixed(ttt(model, config), TiltMixer(model.config.vocab_size, config.tilt))


def ttt_frozen_ngram(model: GPT, config: MethodConfig) -> Mixed:
    return mixed(ttt_frozen(model, config), NgramMixer(model.config.vocab_size, config.ngram))


def ttt_ngram(model: GPT, config: MethodConfig) -> Mixed:
    return mixed(ttt(model, config), NgramMixer(model.config.vocab_size, config.ngram))


def bias(model: GPT, config: MethodConfig) -> Method:
    return OnlineBias(sliding(model, config), model.config.vocab_size, config.bias)


METHODS: dict[str, Builder] = {
    "plain": plain,
    "sliding": sliding,
    "stateful": stateful,
    "stateful-overlap": stateful_overlap,
    "ttt": ttt,
    "ttt-adamw": ttt_adamw,
    "ttt-frozen": ttt_frozen,
    "ttt-phased": ttt_phased,
    "doc-lora": doc_lora,
    "slot": slot,
    "ngram": ngram,
    "tilt": tilt,
    "bias": bias,
    "ttt+ngram": ttt_ngram,
    "ttt+tilt": ttt_tilt,
    "ttt-frozen+ngram": ttt_frozen_ngram,
}
