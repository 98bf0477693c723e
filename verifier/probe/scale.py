"""Audit scale: which environment a script is run with on a CPU, and why each variable is set.

Sizes are scaled; switches never are. The documented environment of the run comes first, then sizes that
the script reads are set to what a CPU runs in seconds, then paths. Every setting is listed in the report.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from verifier.intake.environment import EnvRead, EnvType
from verifier.intake.syntax import Broken, syntax_of
from verifier.probe.literals import scale_literals
from verifier.probe.stress import small_settings

SEQ_LEN = 128


class Why(StrEnum):
    COMMAND = "command"
    """The submission's own documented run command."""
    LOG = "log"
    """A switch that the log of the claimed run shows was on (`switches`)."""
    SCALED = "scaled"
    """A size, made small."""
    LITERAL = "literal"
    """A size written down in the source, made small."""
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
BYTE_VOCAB = range(256, 301)
"""Vocabulary sizes that only a byte-level script has; the audit then draws bytes."""

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
    "SLOT_STRIDE": 64,
    "TTT_STRIDE": 64,
    "VAL_LOSS_EVERY": 0,
    "TTT_CHUNK_SIZE": 32,
    "TTT_MIN_DOC_LEN": 128,
    "TTT_SHORT_DOC_LEN": 128,
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
_GROUP = 32
"""Values that share one scale: it divides every row of a model of 64 dimensions with heads of 16."""
_ENDINGS: Mapping[str, int] = {
    "GROUP_SIZE": _GROUP,
    "CHUNK_TOKENS": 1024,
    "TTT_CHUNK": 1024,
    "GPTQ_N_SAMPLES": 16,
    "GPTQ_NUM_SEQS": 16,
    "GPTQ_GEN_LEN": SEQ_LEN,
    "MLP_HIDDEN": 128,
    "EVAL_BATCH": 32,
}
"""Sizes by the end of their name: each is spelled in many ways."""
_NEVER = 1_000_000
"""A cadence that no run reaches, for scripts that divide by it."""
_PIECES = re.compile(r"\btrain_batch_tokens\s*//\s*(\d+)")
_MOST_PIECES = 8
_GUARD = re.compile(
    r"val_loss_every\s*(?:>|!=|<=)\s*0|val_loss_every\s+and\b|\b(?:if|and|not)\s+(?:\w+\.)?val_loss_every\b(?!\s*[%=])",
    re.IGNORECASE,
)
_DIVIDES = re.compile(r"%\s*(?:\w+\.)?val_loss_every\b", re.IGNORECASE)
_LITERAL: Mapping[str, int] = {
    **dict.fromkeys(("model_dim", "d_model", "n_embd", "hidden_size", "embed_dim", "embedding_dim"), 64),
    **dict.fromkeys(("num_heads", "n_head", "n_heads", "num_attention_heads"), 4),
    **dict.fromkeys(("num_kv_heads", "n_kv_head", "n_kv_heads", "num_key_value_heads"), 2),
    **dict.fromkeys(
        ("train_seq_len", "eval_seq_len", "val_seq_len", "max_seq_len", "seq_len", "seq_length",
         "sequence_length", "ctx_len", "context_length", "context_len", "block_size"),
        SEQ_LEN,
    ),
    **dict.fromkeys(("train_batch_tokens", "batch_tokens", "local_batch_tokens", "total_batch_size"), 8 * SEQ_LEN),
    **dict.fromkeys(("val_batch_size", "val_batch_tokens"), 64 * SEQ_LEN),
    **dict.fromkeys(("bigram_vocab_size", "trigram_vocab_size"), 256),
    **dict.fromkeys(("bigram_dim", "trigram_dim"), 16),
    **dict.fromkeys(("warmup_steps", "warmup_iters"), 0),
    **dict.fromkeys(
        ("n_samples", "num_samples", "nsamples", "n_calib", "num_calib", "calib_samples", "num_calib_batches",
         "n_calib_batches", "calib_batches", "num_seqs"),
        16,
    ),
    "gen_len": SEQ_LEN,
    "eval_stride": 64,
}  # fmt: skip
"""Names that hold sizes in sources. Widths and counts alone: what a method does is never here."""
_LAYERS = ("num_layers", "n_layer", "n_layers", "num_gdn_layers", "num_hidden_layers")
_STEPS = ("iterations", "num_iterations", "total_steps", "train_steps", "max_steps", "max_iters")
_PATHS = ("DATA_PATH", "DATA_DIR", "TOKENIZER_PATH", "VOCAB_SIZE", "RUN_ID", "SEED")
_LENGTHS = re.compile(r"^\s*\d{3,}\s*[@:]\s*[\d.]+(?:\s*[,;]\s*\d{3,}\s*[@:]\s*[\d.]+)*\s*$")
_LENGTH = re.compile(r"\d{3,}(?=\s*[@:])")
_DISTRIBUTED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "CUDA_VISIBLE_DEVICES")


def settings(
    reads: Mapping[str, EnvRead],
    documented: Mapping[str, str],
    scale: Scale,
    paths: Mapping[str, str],
    implied: Mapping[str, str] = MappingProxyType({}),
    sources: Collection[str] = (),
    small_tables: bool = False,
) -> tuple[Setting, ...]:
    """The environment of one run, in the order command, log, scaled, path; only variables the script reads.

    `implied` are switches that the claim implies; `sources` the texts of the script and its siblings, whose
    arithmetic with sizes must come out even. With `small_tables`, hashed tables have the load that they have
    over the whole validation set (`stress`).
    """
    never_zero = any(divides_by_cadence(text) for text in sources)
    pieces = max((batch_pieces(text) for text in sources), default=1)
    chosen: dict[str, Setting] = {}
    for name, value in documented.items():
        if name in reads and name not in _DISTRIBUTED and _fits(value, reads[name]):
            chosen[name] = Setting(name, value, Why.COMMAND)
    for name, value in implied.items():
        chosen.setdefault(name, Setting(name, value, Why.LOG))
    for name in reads:
        before = documented.get(name, implied.get(name, reads[name].default))
        small = _scaled(name, before, scale)
        if name == "VAL_LOSS_EVERY" and never_zero:
            small = str(_NEVER)
        if name == "TRAIN_BATCH_TOKENS" and small is not None:
            small = str(int(small) * pieces)
        if small is not None and small != before:
            chosen[name] = Setting(name, small, Why.SCALED, before)
    for name, (number, small_number) in small_settings(reads, documented, scale.tokens).items():
        if small_tables and name not in _FIXED:
            chosen[name] = Setting(name, str(small_number), Why.SCALED, str(number))
    for name, value in paths.items():
        if name in reads:
            chosen[name] = Setting(name, value, Why.PATH)
    return tuple(chosen.values())


def vocab_size(reads: Mapping[str, EnvRead], documented: Mapping[str, str], scale: Scale) -> int:
    """The vocabulary of the run: the script's own where it reads bytes, else the scale's."""
    read = reads.get("VOCAB_SIZE")
    asked = _number(documented.get("VOCAB_SIZE", read.default if read else None))
    return int(asked) if asked is not None and asked in BYTE_VOCAB else scale.vocab_size


def divides_by_cadence(source: str) -> bool:
    """Whether a source takes the remainder by the validation cadence without asking if it is zero."""
    return _DIVIDES.search(source) is not None and _GUARD.search(source) is None


def batch_pieces(source: str) -> int:
    """Into how many pieces a source cuts the training batch for its calibration; each must hold a sequence."""
    return max((int(each) for each in _PIECES.findall(source) if int(each) <= _MOST_PIECES), default=1)


def literal_sizes(scale: Scale) -> dict[str, int]:
    """The audit's value for each size that a source may write down, by its name in lower case."""
    sizes = {**_LITERAL, "vocab_size": scale.vocab_size, **dict.fromkeys(_STEPS, scale.iterations)}
    return sizes if scale.layers is None else {**sizes, **dict.fromkeys(_LAYERS, scale.layers)}


def literal_settings(sources: Mapping[str, str], scale: Scale) -> tuple[Setting, ...]:
    """What of these sources (by file) is replaced before they are compiled."""
    found: list[Setting] = []
    for path, source in sources.items():
        syntax = syntax_of(source)
        if isinstance(syntax, Broken):
            continue
        # The tree is shared with other readers of the source.
        _, literals = scale_literals(copy.deepcopy(syntax.tree), literal_sizes(scale))
        found += [
            Setting(f"{path}:{each.line} {each.name}", str(each.after), Why.LITERAL, str(each.before))
            for each in literals
        ]
    return tuple(found)


def _scaled(name: str, before: str | None, scale: Scale) -> str | None:
    if name == "ITERATIONS":
        return str(scale.iterations)
    if name == "NUM_LAYERS":
        return None if scale.layers is None else str(scale.layers)
    if name == "VOCAB_SIZE":
        return str(scale.vocab_size)
    if name in _FIXED:
        return str(_FIXED[name])
    small = literal_sizes(scale).get(name.lower())
    for ending, value in _ENDINGS.items():
        small = value if small is None and name.endswith(ending) else small
    if small is not None:
        number = _number(before)
        return str(small) if number is not None and number > small else None
    if name.endswith("_SCHEDULE") and before is not None and _LENGTHS.match(before):
        return _shorter(before)
    if name in _AT_MOST:
        number = _number(before)
        return None if number is not None and number <= _AT_MOST[name] else str(_AT_MOST[name])
    return None


def _shorter(schedule: str) -> str:
    """`1024@0.1,2048@0.7,3072@1.0`: lengths in proportion, powers of two, the longest one the audit's."""
    longest = max(int(each) for each in _LENGTH.findall(schedule))

    def shorter(match: re.Match[str]) -> str:
        length = max(SEQ_LEN // 8, int(match[0]) * SEQ_LEN // longest)
        return str(1 << (length.bit_length() - 1))

    return _LENGTH.sub(shorter, schedule)


def _fits(value: str, read: EnvRead) -> bool:
    """Whether a documented value can be what the script converts it to; README texts hold examples too."""
    return read.type not in (EnvType.INT, EnvType.FLOAT) or _number(value) is not None


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text.replace("_", ""))
    except ValueError:
        return None
