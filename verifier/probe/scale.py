"""Audit scale: which environment a script is run with on a CPU, and why each variable is set.

Sizes are scaled; switches never are. The documented environment of the run comes first, then sizes that
the script reads are set to what a CPU runs in seconds, then paths. Every setting is listed in the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from verifier.intake.environment import EnvRead
from verifier.probe.stress import small_settings
from verifier.probe.switches import ON

SEQ_LEN = 128


class Why(StrEnum):
    COMMAND = "command"
    """The submission's own documented run command."""
    CLAIM = "claim"
    """Off by default and documented nowhere, but the claimed number is printed only with it on (`switches`)."""
    SCALED = "scaled"
    """A size, made small."""
    PATH = "path"
    """Where the audit's data lies."""


@dataclass(frozen=True)
class Setting:
    name: str
    value: str
    why: Why
    documented: str | None = None
    """What the run command or the script's default says, when scaling changed it."""


@dataclass(frozen=True)
class Scale:
    """One rung of the ladder of attempts: how small the model and the schedule are."""

    name: str
    layers: int | None
    """None keeps the script's own depth (looped stacks index their layers)."""
    iterations: int
    """Training steps on the uniform stream: few, so that the model stays near the floor."""
    tokens: int
    trained_iterations: int
    """Training steps on the small alphabet: enough to come near its floor."""
    trained_tokens: int
    mixed_iterations: int = 40
    """Training steps before mixtures are called again: enough that the model is sure of something."""
    vocab_size: int = 1024


AUDIT = Scale("audit", layers=2, iterations=1, tokens=8192, trained_iterations=100, trained_tokens=16384)
DEEP = Scale("audit-deep", layers=None, iterations=1, tokens=4096, trained_iterations=8, trained_tokens=4096)
LADDER = (AUDIT, DEEP)

_FIXED: Mapping[str, int] = {
    "TRAIN_SEQ_LEN": SEQ_LEN,
    "EVAL_SEQ_LEN": SEQ_LEN,
    "TTT_EVAL_SEQ_LEN": SEQ_LEN,
    "TTT_SEQ_LEN": SEQ_LEN,
    "ROPE_TRAIN_SEQ_LEN": SEQ_LEN,
    "MAX_SEQ_LEN": SEQ_LEN,
    "SEQ_LEN": SEQ_LEN,
    "TRAIN_BATCH_TOKENS": 8 * SEQ_LEN,
    "VAL_BATCH_SIZE": 64 * SEQ_LEN,
    "VAL_BATCH_TOKENS": 64 * SEQ_LEN,
    "MODEL_DIM": 64,
    "NUM_HEADS": 4,
    "NUM_KV_HEADS": 2,
    "WARMUP_STEPS": 1,
    "BIGRAM_DIM": 16,
    "TRIGRAM_DIM": 16,
    "VE_DIM": 16,
    "EMBEDDING_DIM": 64,
    "EMBED_DIM": 64,
}
_AT_MOST: Mapping[str, int] = {
    "EVAL_STRIDE": 64,
    "SLOT_STRIDE": 64,
    "TTT_STRIDE": 64,
    "VAL_LOSS_EVERY": 0,
    "BIGRAM_VOCAB_SIZE": 256,
    "TRIGRAM_VOCAB_SIZE": 256,
    "TTT_CHUNK_SIZE": 32,
    "TTT_CHUNK_TOKENS": 1024,
    "TTT_LORA_RANK": 4,
    "TTT_BATCH_SIZE": 8,
    "SLOT_BATCH_SEQS": 32,
    "SLOT_BATCH_SIZE": 32,
    "EVAL_BATCH_SEQS": 32,
    "GPTQ_CALIB_BATCHES": 16,
    "GPTQ_CALIBRATION_BATCHES": 4,
    "GPTQ_CALIB_SEQS": 32,
    "GPTQ_NSAMPLES": 16,
    "GPTQ_AR_SEQS": 16,
    "GPTQ_AR_LEN": SEQ_LEN,
    "NGRAM_BUCKETS": 65_536,
    "NGRAM_TABLE_SIZE": 65_536,
    "PHASED_TTT_PREFIX_DOCS": 4,
    "GLOBAL_TTT_CHUNK_TOKENS": 1024,
    "GLOBAL_TTT_BATCH_SEQS": 4,
    "PREQUANT_TTT_EPOCHS": 2,
    "PREQUANT_TTT_BATCH_SEQS": 8,
    "TTT_BATCH_SEQS": 8,
    "MUON_BACKEND_STEPS": 5,
    "GPTQ_CALIB_SAMPLES": 16,
    "RECUR_START_STEP": 0,
    "RECURRENCE_START_STEP": 0,
    "ROPE_DIMS": 16,
}
_PATHS = ("DATA_PATH", "DATA_DIR", "TOKENIZER_PATH", "VOCAB_SIZE", "RUN_ID", "SEED")
_DISTRIBUTED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "CUDA_VISIBLE_DEVICES")


def settings(
    reads: Mapping[str, EnvRead],
    documented: Mapping[str, str],
    scale: Scale,
    paths: Mapping[str, str],
    *,
    implied: Sequence[str] = (),
    small_tables: bool = False,
) -> tuple[Setting, ...]:
    """The environment of one run, in the order command, claim, scaled, path; only variables the script reads.

    `implied` are switches that the claim implies. With `small_tables`, hashed tables have the load that they
    have over the whole validation set (`stress`).
    """
    chosen: dict[str, Setting] = {}
    for name, value in documented.items():
        if name in reads and name not in _DISTRIBUTED:
            chosen[name] = Setting(name, value, Why.COMMAND)
    for name in implied:
        if name not in documented:
            chosen[name] = Setting(name, ON, Why.CLAIM, reads[name].default)
    for name in reads:
        before = documented.get(name, reads[name].default)
        small = _scaled(name, before, scale)
        if small is not None and small != before:
            chosen[name] = Setting(name, small, Why.SCALED, before)
    for name, (number, small_number) in small_settings(reads, documented, scale.tokens).items():
        if small_tables and name not in _FIXED:
            chosen[name] = Setting(name, str(small_number), Why.SCALED, str(number))
    for name, value in paths.items():
        if name in reads:
            chosen[name] = Setting(name, value, Why.PATH)
    return tuple(chosen.values())


def _scaled(name: str, before: str | None, scale: Scale) -> str | None:
    if name == "ITERATIONS":
        return str(scale.iterations)
    if name == "NUM_LAYERS":
        return None if scale.layers is None else str(scale.layers)
    if name == "VOCAB_SIZE":
        return str(scale.vocab_size)
    if name in _FIXED:
        return str(_FIXED[name])
    if name in _AT_MOST:
        number = _number(before)
        return None if number is not None and number <= _AT_MOST[name] else str(_AT_MOST[name])
    return None


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text.replace("_", ""))
    except ValueError:
        return None
