"""Mutants for the checks that read documents: one change to the honest folder's claim, logs or files each.

They are audited without running anything; all else in the folder stays as `corpus.write_folder` wrote it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cheats.corpus import BASE, write_folder
from verifier.finding import State

SPACES_TWICE_BYTES_PER_TOKEN = 2.8671925
"""What the contest's 1,024 tokenizer has where each leading space counts twice (#1370)."""

Change = Callable[[Path], None]


@dataclass(frozen=True)
class Forgery:
    """One change to an honest folder."""

    name: str
    what: str
    change: Change
    caught_by: str
    state: State
    """What the check must say."""
    source: str

    def write(self, folder: Path) -> Path:
        """The honest folder with the change made."""
        write_folder(folder, BASE.read_text(encoding="utf-8"))
        self.change(folder)
        return folder


def _edited(pattern: str, old: str, new: str | Callable[[re.Match[str]], str]) -> Change:
    """Every match of the regular expression `old` in the files that match `pattern` becomes `new`."""

    def change(folder: Path) -> None:
        for path in sorted(folder.glob(pattern)):
            text, count = re.subn(old, new, path.read_text(encoding="utf-8"))
            if not count:
                raise ValueError(f"{old!r} is not in {path.name}")
            path.write_text(text, encoding="utf-8")

    return change


def _claimed(**fields: object) -> Change:
    def change(folder: Path) -> None:
        path = folder / "submission.json"
        path.write_text(
            json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}), encoding="utf-8"
        )

    return change


def _without(pattern: str) -> Change:
    def change(folder: Path) -> None:
        for path in sorted(folder.glob(pattern)):
            path.unlink()

    return change


def _all(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for each in changes:
            each(folder)

    return change


def _with_spaces_twice(pair: re.Match[str]) -> str:
    bpb = float(pair[1]) / math.log(2) / SPACES_TWICE_BYTES_PER_TOKEN
    return f"val_loss:{pair[1]} val_bpb:{bpb:.8f}"


def _with_kernel(folder: Path) -> None:
    (folder / "ngram.c").write_text(_KERNEL, encoding="utf-8")
    _edited("train_gpt.py", r"\nimport zlib\n", '\nimport zlib\n\nKERNEL = open("ngram.c").read()\n')(folder)


_KERNEL = """\
void step(const uint16_t *tokens, int n, uint8_t *edge_lut, int *hint) {
    for (int i = 0; i < n; i++) {
        const uint16_t tok = tokens[i];
        const uint8_t is_boundary = boundary_lut[tok];
        if (!is_boundary) { hint[i] = best; }
        push(tok);
    }
}
"""
_LOGS = "*.log"
_PAIR = r"val_loss:(\S+) val_bpb:\S+"
_TRAINED = r"train_time:596012ms"

DOCUMENTS = (
    Forgery(
        "claim-below-logs",
        "claims 0.01 bits per byte less than any log has",
        _claimed(val_bpb=1.2244, seed_results={"42": {"val_bpb": 1.2242}, "1337": {"val_bpb": 1.2246}}),
        "B2-claim",
        State.WARN,
        "#1981, #2076",
    ),
    Forgery(
        "bytes-of-another-evaluator",
        "logs bits per byte that count each space twice",
        _all(
            _edited(_LOGS, _PAIR, _with_spaces_twice),
            _claimed(val_bpb=1.0489, seed_results={}),
        ),
        "B1-denominator",
        State.FAIL,
        "#1734",
    ),
    Forgery(
        "over-the-cap",
        "logs 16,024,793 bytes for one seed",
        _edited("train_seed42.log", "15863489", "16024793"),
        "A1-artifact",
        State.FAIL,
        "#1809",
    ),
    Forgery(
        "trains-for-620-seconds",
        "logs a training time of 620 s",
        _edited(_LOGS, _TRAINED, "train_time:620012ms"),
        "T1-training",
        State.FAIL,
        "R-013",
    ),
    Forgery(
        "evaluates-for-688-seconds",
        "logs an evaluation of 688 s",
        _edited(_LOGS, "total_eval_time:118.4s", "total_eval_time:688.0s"),
        "T2-evaluation",
        State.FAIL,
        "#1972",
    ),
    Forgery(
        "calibrates-late",
        "stops at the cap, then calibrates on training data",
        _edited(
            _LOGS,
            _TRAINED + r".*\n",
            "train_time:600038ms step_avg:29.8ms\n"
            "stopping_early: wallclock_cap train_time:600038ms step:20000/20000\n"
            "gptq:calibrating with training data...\ngptq:calibrated 68 layers in 3.4s\n",
        ),
        "T3-late-data",
        State.FAIL,
        "#606",
    ),
    Forgery(
        "part-of-the-split",
        "logs a fifth of the validation tokens",
        _all(_edited(_LOGS, "val_tokens:62021632", "val_tokens:12404326"), _claimed(track="10min_16mb")),
        "D2-split",
        State.FAIL,
        "#1835, #2039",
    ),
    Forgery(
        "calibrates-on-val",
        "logs that validation data calibrated the quantization",
        _edited(_LOGS, "Code size", "gptq:using validation data for calibration\nCode size"),
        "D1-calibration-source",
        State.WARN,
        "#728",
    ),
    Forgery(
        "trains-on-val",
        "logs a training set of validation shards, and README says so too",
        _all(
            _edited(
                _LOGS, "tokenizer_path=", "train_loader:dataset:fineweb10B_sp1024_valonly\ntokenizer_path="
            ),
            _edited(
                "README.md",
                "# A small record\n",
                "# A small record\n\nTrained entirely on the validation shard.\n",
            ),
        ),
        "D3-val-data",
        State.FAIL,
        "#44, #262",
    ),
    Forgery(
        "prefix-in-artifact",
        "logs stored tokens, and README calls them validation tokens",
        _all(
            _edited(_LOGS, "Code size", "paid_prefix: codec=lzma tokens:12924343 bytes:8000000\nCode size"),
            _edited(
                "README.md",
                "# A small record\n",
                "# A small record\n\nStores 12.9M validation target tokens.\n",
            ),
        ),
        "D3-val-data",
        State.FAIL,
        "#168, #275",
    ),
    Forgery(
        "log-of-other-code",
        "logs the size of other code than was shipped",
        _edited(_LOGS, r"Code size: \d+ bytes", "Code size: 50232 bytes"),
        "L1-binding",
        State.WARN,
        "R-086",
    ),
    Forgery(
        "one-seed",
        "has the log of one seed",
        _all(_without("train_seed42.log"), _without("train_seed2024.log")),
        "S1-seeds",
        State.WARN,
        "#2139",
    ),
    Forgery(
        "another-cap-for-one-seed",
        "ran one seed on other validation tokens",
        _edited("train_seed42.log", "train_shards:80", "train_shards:103"),
        "S1-seeds",
        State.WARN,
        "#2020",
    ),
    Forgery(
        "gate-in-a-kernel",
        "ships a C kernel that writes a hint behind the class of the realised token",
        _with_kernel,
        "X12-class-gate",
        State.WARN,
        "#2041, #2118",
    ),
    Forgery(
        "no-logs",
        "has no logs",
        _without(_LOGS),
        "P1-package",
        State.WARN,
        "#529, #2103",
    ),
)
