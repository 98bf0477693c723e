"""Single facts on log lines: sizes, times, seed, tokenizer, world size, calibration, environment.

Each rule is one regular expression for one kind of line; `Facts` keeps the value and where it was
read. The last training time and the first configuration value count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from verifier.submission import LoggedLine, LoggedSize

_STOP = re.compile(
    r"stopping_early:.{0,80}?train_time:\s*([\d.]+)\s*(ms|s|m)?\b.{0,40}?step:\s*(\d+)", re.IGNORECASE
)
_STEP_TIME = re.compile(
    r"(?:^|\s)(?:step[ :=]*)?(\d+)\s*/\s*\d+\b.{0,160}?\btrain_time[:=]\s*([\d.]+)\s*(ms|s|m)(?![a-z])",
    re.IGNORECASE,
)
_TRAIN_DONE = re.compile(
    r"(?:training (?:complete|finished|done|time|took|loop)|total_?train(?:ing)?_time|"
    r"train_time_total|train_wallclock)"
    r"[^\d\n]{0,40}?([\d.]+)\s*(ms|seconds|sec|s|minutes|min|m)(?![a-z])",
    re.IGNORECASE,
)
_STEP_BAR = re.compile(r"^step\s+(\d+)/(\d+)\s*\|.*\|\s*([\d.]+)s\s*$")
_TOTAL_SIZE = re.compile(
    r"(?<![\w/])(?<!raw )(?:total (?:submission|artifact) size|total submission|submission size|artifact size|artifact_bytes|"
    r"total_bytes|bytes_total|total artifact|total size|artifact(?![a-z/]))(?P<label>[^:=\n]{0,60}?)\s*[:=]\s*"
    r"(?P<size>\d[\d,_]*)\s*(?P<unit>bytes\b|B\b|$|[,;)\s])",
    re.IGNORECASE,
)
_MODEL_SIZE = re.compile(
    r"(?:(?:serialized|compressed) model|serialized_model_(?=\w*(?:zlib|zstd|lzma|brotli)))(?P<label>[^:\n]{0,60}?)"
    r":\s*(?P<size>\d[\d,_]*)\s*(?:bytes|B)\b",
    re.IGNORECASE,
)
_NO_SIZE = re.compile(r"payload|proxy|estimat|target|limit|budget")
_CODE_SIZE = re.compile(
    r"\bcode size(?P<label>[^:\n]{0,40}?):\s*(?P<size>\d[\d,_]*)\s*(?:bytes|B)?\b", re.IGNORECASE
)
_OF_CAP = re.compile(
    r"\bbudget\s*[:=]\s*(?P<size>\d[\d,_]*)\s*/\s*16[,_]?000[,_]?000\b(?:\s*\((?P<megabytes>\d+\.\d\d)/)?",
    re.IGNORECASE,
)
"""`budget:15993853/16000000 (15.99/16.00MB) FITS`; #923's says 16216336 and 15.95 on one line, so neither is read."""
_COMPRESSED = re.compile(r"\bcompressed\s*[:=]\s*(\d[\d,_]{3,})", re.IGNORECASE)
_PARTS = re.compile(
    r"\bmodel\s*[:=]\s*(\d[\d,_]*).{0,20}?\bcode\s*[:=]\s*(\d[\d,_]*).{0,20}?\btotal\s*[:=]\s*(\d[\d,_]*)",
    re.IGNORECASE,
)
"""`model:11474336 code:73514 total:11547850`, which is read where it adds up."""
_CALIBRATED = re.compile(
    r"(?:collected|calibrated|computed|accumulated)\b.{0,60}?\b(?:hessians?|batches|calibration|layers)\b.{0,40}?"
    r"\bin\s+([\d.]+)\s*s|(?:gptq|hessian|calibration)[^\n]{0,40}?(?:calibration|hessians?|collect\w*)\s*"
    r"(?:time|took|done in|complete in)[:\s]*([\d.]+)\s*s",
    re.IGNORECASE,
)
_LATE_CALIBRATION = re.compile(r"\bcalibrat\w*|\bhessians?\b", re.IGNORECASE)
_NO_PHASE = re.compile(
    r"reserv|without|skip|disabled|no calib|not calib|budget|val_bpb|val_loss", re.IGNORECASE
)
_MAX_LATE = 12
_HUNDREDTH = 0.01001
"""Of a megabyte: what two printed digits round or cut off."""
_QUOTED = 300
_STORED_TARGETS = re.compile(
    r"\bpaid[_ ]prefix.{0,80}?(?:tokens\w*\s*[:=]?\s*[1-9][\d,_]{3,}|[1-9][\d,_]{3,} tokens)", re.IGNORECASE
)
_TRAIN_DATA = re.compile(
    r"\btrain_loader:(?:dataset|shards pattern)|\btrain_files\s*[:=]\s*\S|"
    r"(?:\b(?:experiment|run_id)\s*[:=]\s*|^logs/)(?:\S*(?<![a-z]))?val[-_]?only",
    re.IGNORECASE,
)
_FROM_VAL = re.compile(
    r"val(?:idation)?[- _]data|using validation|from val|on val\b|\bval set",
    re.IGNORECASE,
)
_FROM_SELF = re.compile(
    r"auto-?regressive|self-?gen|\bAR[ -](?:self|gen|calib)|generated (?:data|seq|calib|text)", re.IGNORECASE
)
_FROM_TRAIN = re.compile(
    r"train(?:ing)?[- _](?:data|loader|shard|stream|batch|set|tokens)|from train", re.IGNORECASE
)
_TOTAL_EVAL = re.compile(
    r"\btotal_?\s?eval(?:uation)?_?\s?time\b\s*[:=]\s*([\d.]+)\s*(ms|s|sec|m|min)?", re.IGNORECASE
)
_ASSIGNMENT = re.compile(
    r"(?<![\w$\"'{./-])([A-Z][A-Z0-9_]{1,60})=(\"[^\"]*\"|'[^']*'|(?:(?!,[A-Z][A-Z0-9_]+=)[^\s\"';|&])+)"
)
_ENV_LINE = re.compile(
    r"extra[ _]args|\benv(?:ironment)?(?:[ _](?:vars?|variables|overrides?))?\s*[:=]|overrides?\s*:|^\+|"
    r"^\s*\$ |\btorchrun\b|\bpython3?\b|\bexport\b|command(?: line)?\s*[:=]|cmd\s*[:=]|running\s*[:=]|"
    r"config overrides",
    re.IGNORECASE,
)
_Rule = tuple[str, str, re.Pattern[str], Callable[[str], object]]
"""A field of `Log`, a word that is in every line that says it, in lower case, and how it is said."""
_CONFIG: tuple[_Rule, ...] = (
    ("seed", "seed", re.compile(r"(?:^|[\s,|])seed\s*[:=]\s*(\d{1,10})\b", re.IGNORECASE), int),
    ("world_size", "world", re.compile(r"\bworld[_ ]size\s*[:=]\s*(\d{1,5})\b", re.IGNORECASE), int),
    (
        "val_tokens",
        "tokens",
        re.compile(
            r"(?:\bval(?:idation)?[_ ]tokens\s*[:=]|val_loader:.{0,300}?\btokens:)\s*(\d[\d,_]*)",
            re.IGNORECASE,
        ),
        lambda text: int(re.sub("[,_]", "", text)),
    ),
    ("train_shards", "train_shards", re.compile(r"\btrain_shards\s*[:=]\s*(\d{1,6})\b"), int),
    (
        "tokenizer_path",
        "tokenizer",
        re.compile(r"\btokenizer(?:_path)?\s*[:=]\s*(\S+\.(?:model|json|vocab|bin|npz)\b)"),
        str,
    ),
    ("vocab_size", "vocab_size", re.compile(r"\bvocab_size\s*[:=]\s*(\d{1,7})\b"), int),
    (
        "max_wallclock_seconds",
        "max_wallclock",
        re.compile(r"\bmax_wallclock_seconds\s*[:=]\s*(\d[\d.]*)"),
        float,
    ),
)
_MILLISECONDS = {"ms": 1.0, "s": 1e3, "sec": 1e3, "seconds": 1e3, "m": 6e4, "min": 6e4, "minutes": 6e4}


@dataclass
class Facts:
    """What was gathered so far. Filled by `read`, line by line."""

    config: dict[str, object] = field(default_factory=dict)
    sizes: list[LoggedSize] = field(default_factory=list)
    _compressed: set[int] = field(default_factory=set)
    train_ms: float | None = None
    train_line: int | None = None
    train_rounding_ms: float = 0.0
    stop_step: int | None = None
    """The step of the stop line of the run being read: later lines of that run do not count."""
    stop_line: int | None = None
    calibration_seconds: float | None = None
    calibration_line: int | None = None
    calibration_source: str | None = None
    late_calibration: list[LoggedLine] = field(default_factory=list)
    stored_targets: LoggedLine | None = None
    train_data: LoggedLine | None = None
    eval_seconds_total: float | None = None
    eval_line: int | None = None
    env: dict[str, str] = field(default_factory=dict)
    _wanted: list[_Rule] = field(default_factory=lambda: list(_CONFIG))
    """Configuration that no line has said yet: the first value counts."""

    def read(self, line: str, number: int) -> None:
        """Take in one line."""
        lowered = line.lower()
        for each in self._wanted:
            name, word, pattern, convert = each
            if word in lowered and (match := pattern.search(line)):
                try:
                    self.config[name] = convert(match.group(1).rstrip("."))
                except ValueError:
                    continue
                self._wanted = [rule for rule in self._wanted if rule is not each]
        if "train" in lowered or lowered.startswith("step"):
            self._training_time(line, lowered, number)
        if "size" in lowered or "bytes" in lowered or "serialized" in lowered:
            self._sizes(line, number)
        if "compressed" in lowered or "budget" in lowered or "total" in lowered:
            self._sums(line, number)
        if "calibrat" in lowered or "hessian" in lowered or "gptq" in lowered:
            self._calibration(line, number)
        if self.stored_targets is None and "prefix" in lowered and _STORED_TARGETS.search(line):
            self.stored_targets = LoggedLine(line[:_QUOTED], number)
        if (
            self.train_data is None
            and ("train_" in lowered or "only" in lowered)
            and _TRAIN_DATA.search(line)
        ):
            self.train_data = LoggedLine(line[:_QUOTED], number)
        if "total" in lowered and "eval" in lowered and (match := _TOTAL_EVAL.search(line)) is not None:
            seconds = _number(match.group(1))
            if seconds is not None:
                self.eval_seconds_total = seconds * _MILLISECONDS.get(match.group(2) or "s", 1e3) / 1e3
                self.eval_line = number
        if "=" in line:
            self._environment(line)

    def _training_time(self, line: str, lowered: str, number: int) -> None:
        timed = "train_time" in lowered
        if timed and "stopping_early" in lowered and (match := _STOP.search(line)) is not None:
            self._train(match.group(1), match.group(2) or "ms", number)
            self.stop_step, self.stop_line = int(match.group(3)), number
        elif timed and (match := _STEP_TIME.search(line)) is not None and "warmup" not in line:
            if self.stop_step is not None and int(match.group(1)) >= self.stop_step:
                return
            self.stop_step = self.stop_line = None  # a lower step: another run began in the same log
            self.late_calibration.clear()
            self._train(match.group(2), match.group(3), number)
        elif self.stop_step is None:
            if (match := _TRAIN_DONE.search(line)) is not None:
                self._train(match.group(1), match.group(2).lower(), number)
            elif (match := _STEP_BAR.search(line)) is not None:
                self._train(match.group(3), "s", number)

    def _train(self, text: str, unit: str, number: int) -> None:
        value = _number(text)
        if value is not None:
            scale = _MILLISECONDS[unit.lower()]
            self.train_ms, self.train_line = value * scale, number
            self.train_rounding_ms = 0.5 * scale * 10.0 ** -len(text.partition(".")[2])

    def _sizes(self, line: str, number: int) -> None:
        for kind, pattern in (("total", _TOTAL_SIZE), ("model", _MODEL_SIZE), ("code", _CODE_SIZE)):
            for match in pattern.finditer(line):
                label = " ".join(match["label"].strip(" _-=").split()).lower()
                if kind == "code":
                    label = label.strip("()")
                size = _digits(match["size"])
                if size < 10**15 and not _NO_SIZE.search(label) and not (kind == "total" and size < 1000):
                    self.sizes.append(LoggedSize(kind, label, size, number))

    def _sums(self, line: str, number: int) -> None:
        """Sizes that a line explains itself: of the cap's 16,000,000, or a model and code that add up."""
        if (match := _OF_CAP.search(line)) is not None:
            size, megabytes = _digits(match["size"]), match["megabytes"]
            if megabytes is None or abs(size / 1e6 - float(megabytes)) <= _HUNDREDTH:
                self.sizes.append(LoggedSize("total", "of 16,000,000", size, number))
        if (match := _COMPRESSED.search(line)) is not None:
            self._compressed.add(_digits(match[1]))
        if (match := _PARTS.search(line)) is None:
            return
        model, code, total = map(_digits, match.groups())
        if model + code == total < 10**15:
            self.sizes += [LoggedSize("code", "", code, number), LoggedSize("total", "", total, number)]
            if model in self._compressed:
                self.sizes.append(LoggedSize("model", "compressed", model, number))

    def _calibration(self, line: str, number: int) -> None:
        if (
            self.stop_line is not None
            and len(self.late_calibration) < _MAX_LATE
            and _LATE_CALIBRATION.search(line)
            and not _NO_PHASE.search(line)
        ):
            self.late_calibration.append(LoggedLine(line[:_QUOTED], number))
        if (match := _CALIBRATED.search(line)) is not None:
            seconds = _number(match.group(1) or match.group(2))
            if seconds is not None:
                self.calibration_seconds, self.calibration_line = seconds, number
        for source, pattern in (("val", _FROM_VAL), ("self-generated", _FROM_SELF), ("train", _FROM_TRAIN)):
            if pattern.search(line) is not None:
                if self.calibration_source != "val":  # the gravest source that a log admits to is kept
                    self.calibration_source = source
                    if self.calibration_line is None:
                        self.calibration_line = number
                return

    def _environment(self, line: str) -> None:
        found = _ASSIGNMENT.findall(line)
        if len(found) >= 3 or (found and _ENV_LINE.search(line) is not None):
            for name, value in found:
                self.env[name] = value.strip("\"'").rstrip(",")


def _digits(text: str) -> int:
    """The whole number of `15,863,489`; one too long to be a size is one too large."""
    digits = re.sub("[,_]", "", text)
    return int(digits) if len(digits) <= 18 else 10**18


def _number(text: str) -> float | None:
    try:
        return float(text.rstrip("."))
    except ValueError:
        return None
