"""A contest folder around one script, and what a corpus entry is: one edit of the honest base."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

BASE = Path(__file__).with_name("honest.py")
SP1024_BYTES_PER_TOKEN = 2.43595
"""What the root evaluator gives for the contest's own 1,024 tokenizer."""
BPB = {42: 1.2342, 1337: 1.2348, 2024: 1.2351}


@dataclass(frozen=True)
class Edit:
    """`old`, which occurs once in the base, becomes `new`."""

    old: str
    new: str

    def apply(self, source: str) -> str:
        if source.count(self.old) != 1:
            raise ValueError(f"{self.old!r} occurs {source.count(self.old)} times in the base, not once")
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Entry:
    """One script of the corpus. Legal entries have no `caught_by`."""

    name: str
    what: str
    edit: Edit | None = None
    caught_by: str | None = None
    """The check that must FAIL, WARN or say UNRULED on it."""
    source: str = ""
    """Where the contest met it: pull request, rule or trap of the rule book."""
    twin: str | None = None
    """The legal entry that looks like it."""
    survives: str | None = None
    """Why it is not NON_COMPLIANT, where it is not."""

    @property
    def legal(self) -> bool:
        return self.caught_by is None

    def script(self) -> str:
        source = BASE.read_text(encoding="utf-8")
        return source if self.edit is None else self.edit.apply(source)


def write_folder(folder: Path, script: str) -> Path:
    """The folder of a record whose documents leave nothing to ask: only the script can be at fault."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train_gpt.py").write_text(script, encoding="utf-8")
    (folder / "README.md").write_text(
        "# A small record\n\n```bash\nSEED=1337 torchrun --standalone --nproc_per_node=8 train_gpt.py\n```\n",
        encoding="utf-8",
    )
    mean = round(sum(BPB.values()) / len(BPB), 4)
    claim = {
        "name": "A small record",
        "author": "corpus",
        "val_bpb": mean,
        "bytes_total": 15_863_489,
        "seed_results": {str(seed): {"val_bpb": bpb} for seed, bpb in BPB.items()},
    }
    (folder / "submission.json").write_text(json.dumps(claim, indent=1), encoding="utf-8")
    for seed, bpb in BPB.items():
        (folder / f"train_seed{seed}.log").write_text(_log(seed, bpb, len(script.encode())), encoding="utf-8")
    return folder


def _log(seed: int, bpb: float, code_bytes: int) -> str:
    def pair(bpb: float) -> str:
        return f"val_loss:{bpb * math.log(2) * SP1024_BYTES_PER_TOKEN:.8f} val_bpb:{bpb:.8f}"

    lines = (
        f"world_size:8 seed:{seed} train_shards:80",
        "tokenizer_path=./data/tokenizers/fineweb_1024_bpe.model",
        "val_tokens:62021632",
        f"step:20000/20000 {pair(bpb + 0.03)} train_time:596012ms step_avg:29.8ms",
        f"Code size: {code_bytes} bytes",
        "Total submission size int8+zlib: 15863489 bytes",
        f"final_int8_zlib_roundtrip_exact {pair(bpb + 0.02)}",
        f"final_int8_zlib_sliding_exact {pair(bpb)}",
        "total_eval_time:118.4s",
    )
    return "\n".join(lines) + "\n"
