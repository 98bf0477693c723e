"""A small self-written submission folder, in the shape of the contest's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """\
import os


class Hyperparameters:
    seed = int(os.environ.get("SEED", 1337))
    vocab_size = int(os.environ.get("VOCAB_SIZE", 1024))
    ttt_enabled = bool(int(os.environ.get("TTT_ENABLED", "0")))
    ttt_lr = float(os.environ.get("TTT_LR", 0.002))
    data_path = os.environ.get("DATA_PATH", "./data")


def main() -> None:
    args = Hyperparameters()
    print(f"seed:{args.seed}")


if __name__ == "__main__":
    main()
"""

LOG = """\
val_bpb:enabled tokenizer_kind=sentencepiece tokenizer_path=./data/tokenizers/fineweb_1024_bpe.model
train_loader:dataset:fineweb10B_sp1024 train_shards:80
val_loader:shards pattern=./data/fineweb_val_*.bin tokens:62021632
world_size:8 grad_accum_steps:1
train_batch_tokens:786432 train_seq_len:2048 iterations:20000 max_wallclock_seconds:600.000
seed:42
warmup_step:1/20
step:0/20000 val_loss:6.9281 val_bpb:4.1032 train_time:0ms step_avg:0.02ms
step:500/20000 train_loss:2.3854 train_time:42993ms step_avg:85.99ms
step:6922/20000 val_loss:1.9162 val_bpb:1.1349 train_time:600058ms step_avg:86.69ms
stopping_early: wallclock_cap train_time:600058ms step:6922/20000
GPTQ:collected 67 Hessians in 12.7s
Serialized model: 106289590 bytes
Code size: 101850 bytes
Serialized model int6+lzma: 15883000 bytes
Total submission size int6+lzma: 15,984,850 bytes
final_int6_sliding_window val_loss:1.8816 val_bpb:1.1144 stride:64 eval_time:77178ms
final_int6_sliding_window_exact val_loss:1.88156874 val_bpb:1.11437394
total_eval_time:77.2s
"""

README = """\
# A small submission

## Reproduce

```bash
export DATA_PATH=/data
SEED=42 TTT_ENABLED=1 \\
TTT_LR=0.004 NCCL_DEBUG=INFO \\
torchrun --standalone --nproc_per_node=8 train_gpt.py
```

## Ablation

```bash
TTT_ENABLED=0 torchrun --standalone --nproc_per_node=8 train_gpt.py
```
"""

CLAIM: dict[str, Any] = {
    "name": "A small submission",
    "author": "somebody",
    "track": "10min_16mb",
    "date": "2026-04-01",
    "val_bpb": 1.11437394,
    "val_loss": 1.88156874,
    "bytes_total": 15984850,
    "bytes_code": 101850,
    "seed_results": {"42": {"val_bpb": 1.11437394, "artifact_bytes": 15984850}},
}


class FolderMaker:
    """Writes files into one folder and returns its path."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, files: dict[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.root


@pytest.fixture
def make_folder(tmp_path: Path) -> FolderMaker:
    root = tmp_path / "submission"
    root.mkdir()
    return FolderMaker(root)


@pytest.fixture
def small_folder(make_folder: FolderMaker) -> Path:
    return make_folder(
        {
            "train_gpt.py": SCRIPT,
            "submission.json": json.dumps(CLAIM),
            "README.md": README,
            "train_seed42.log": LOG,
            "requirements.txt": "numpy\n",
        }
    )
