"""Runs a submission folder as its README says, once a seed, and writes the logs and every number from them.

    python benchmarks/run_submission.py submissions/naive_baseline --seeds 1337 42 7 --work ../runs
    python benchmarks/run_submission.py submissions/legal_twin --from-logs ../logs

The first form executes the README's command block, the last line of it with another SEED each time; the other
lines (building data) only where the work folder lacks their result. The second form takes logs that were made
elsewhere: `*seed1337*` and so on. Both replace `train_seed*.log`, the README's results table and the numbers
in submission.json; nothing else in the folder is touched, and nothing at all unless every log has a score
and was written by the folder's present train_gpt.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
RESULTS = re.compile(r"(?<=^## Results\n).*?(?=^## )", re.DOTALL | re.MULTILINE)
SEED_OF_FILE = re.compile(r"seed_?(\d+)")


@dataclass(frozen=True)
class Row:
    """What one log says."""

    seed: int
    model_params: int
    steps: int
    train_ms: int
    trained_bpb: float
    val_loss: float
    val_bpb: float
    eval_ms: int
    code_bytes: int
    artifact_bytes: int

    @classmethod
    def of(cls, log: str, name: str) -> Row:
        """Read a log; ValueError names the line that it lacks."""

        def find(pattern: str) -> tuple[str, ...]:
            found = re.findall(pattern, log, re.MULTILINE)
            if not found:
                raise ValueError(f"{name} has no line like {pattern!r}: did the run end?")
            last = found[-1]
            return last if isinstance(last, tuple) else (last,)

        seed, params = find(r"^seed:(\d+) model_params:(\d+)")
        steps, trained_bpb, train_ms = find(r"^step:(\d+)/\d+ val_loss:\S+ val_bpb:(\S+) train_time:(\d+)ms")
        loss, bpb = find(r"^final_\w+_exact val_loss:(\S+) val_bpb:(\S+)$")
        return cls(
            seed=int(seed),
            model_params=int(params),
            steps=int(steps),
            train_ms=int(train_ms),
            trained_bpb=float(trained_bpb),
            val_loss=float(loss),
            val_bpb=float(bpb),
            eval_ms=int(*find(r"^final_\w+ .* eval_time:(\d+)ms$")),
            code_bytes=int(*find(r"^Code size: (\d+) bytes$")),
            artifact_bytes=int(*find(r"^Total submission size \S+: (\d+) bytes$")),
        )

    def markdown(self) -> str:
        return (
            f"| {self.seed} | {self.steps:,} | {self.train_ms / 1000:.1f} | {self.trained_bpb:.4f} "
            f"| {self.val_bpb:.8f} | {self.eval_ms / 1000:.1f} | {self.artifact_bytes:,} |"
        )


def results(rows: list[Row], note: str) -> str:
    """The README's results section."""
    bpb, loss = fmean(row.val_bpb for row in rows), fmean(row.val_loss for row in rows)
    lines = [
        "",
        "| seed | steps | train, s | val_bpb after training | val_bpb | eval, s | bytes, code + model |",
        "|---|---|---|---|---|---|---|",
        *(row.markdown() for row in rows),
        "",
        f"Mean over {len(rows)} seeds: val_bpb {bpb:.4f}, val_loss {loss:.4f} nats; "
        f"{rows[0].model_params:,} parameters.",
        *([note] if note else []),
        "",
        "",
    ]
    return "\n".join(lines)


def claim(rows: list[Row]) -> dict[str, Any]:
    """The numbers of submission.json."""
    bpb = [row.val_bpb for row in rows]
    return {
        "val_loss": round(fmean(row.val_loss for row in rows), 8),
        "val_bpb": round(fmean(bpb), 8),
        **({"val_bpb_std": round(stdev(bpb), 8)} if len(bpb) > 1 else {}),
        "seeds": [row.seed for row in rows],
        "seed_results": {
            str(row.seed): {
                "val_loss": row.val_loss,
                "val_bpb": row.val_bpb,
                "steps": row.steps,
                "artifact_bytes": row.artifact_bytes,
            }
            for row in rows
        },
        "bytes_total": max(row.artifact_bytes for row in rows),
        "bytes_code": rows[0].code_bytes,
    }


def write(folder: Path, logs: dict[int, str], note: str) -> list[Row]:
    """Replace logs, table and claim by what these logs (by seed) say."""
    code = (folder / "train_gpt.py").read_bytes()
    rows = [Row.of(log, f"the log of seed {seed}") for seed, log in logs.items()]
    for (seed, log), row in zip(logs.items(), rows, strict=True):
        if f"code_sha256:{hashlib.sha256(code).hexdigest()}" not in log:
            raise ValueError(f"the log of seed {seed} was not written by {folder}/train_gpt.py; run it again")
        if row.seed != seed:
            raise ValueError(f"the log named for seed {seed} says seed:{row.seed}")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    new_readme, found = RESULTS.subn(lambda _: results(rows, note), readme)
    if found != 1:
        raise ValueError(f"{folder}/README.md has {found} sections `## Results` before another; expected 1")
    claimed = {**json.loads((folder / "submission.json").read_text(encoding="utf-8")), **claim(rows)}
    for old in folder.glob("train_seed*.log"):
        old.unlink()
    for seed, log in logs.items():
        (folder / f"train_seed{seed}.log").write_text(log, encoding="utf-8")
    (folder / "README.md").write_text(new_readme, encoding="utf-8")
    (folder / "submission.json").write_text(json.dumps(claimed, indent=2) + "\n", encoding="utf-8")
    return rows


def commands(readme: str) -> list[str]:
    """The README's command block, one string a command; the last one runs the script."""
    block = BLOCK.search(readme)
    listed = block[1].replace("\\\n", " ").strip().splitlines() if block else []
    if not listed or not listed[-1].endswith("train_gpt.py") or "SEED=" not in listed[-1]:
        raise ValueError("README.md has no ```bash block that ends with `SEED=… python train_gpt.py`")
    return listed


def run(folder: Path, seeds: list[int], work: Path) -> dict[int, str]:
    """Each seed's log, by executing the README's commands in `work`."""
    *preparing, training = commands((folder / "README.md").read_text(encoding="utf-8"))
    work.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in preparing:
        made = work / command.split()[-1]
        if not made.exists():
            subprocess.run(command, shell=True, check=True, cwd=work, env=environment)
    script = (folder / "train_gpt.py").resolve()
    logs: dict[int, str] = {}
    for seed in seeds:
        run_id = f"{folder.name}_seed{seed}"
        command = re.sub(r"\bSEED=\d+", f"SEED={seed} RUN_ID={run_id}", training)
        command = command.replace("python train_gpt.py", f"{sys.executable} {script}")
        subprocess.run(command, shell=True, check=True, cwd=work, env=environment)
        logs[seed] = (work / "logs" / f"{run_id}.txt").read_text(encoding="utf-8")
    return logs


def read(folder: Path) -> dict[int, str]:
    """Logs made elsewhere, by the seed in their file's name."""
    found = {int(name[1]): path for path in folder.iterdir() if (name := SEED_OF_FILE.search(path.name))}
    if not found:
        raise ValueError(f"{folder} has no file with `seed<number>` in its name")
    return {seed: path.read_text(encoding="utf-8") for seed, path in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1337, 42, 7])
    parser.add_argument("--work", type=Path, default=Path("runs"), help="where data, logs and artifacts go")
    parser.add_argument("--from-logs", type=Path, help="take logs from this folder, run nothing")
    parser.add_argument(
        "--note", default="", help="one sentence under the table, on the machine for instance"
    )
    args = parser.parse_args()
    try:
        logs = read(args.from_logs) if args.from_logs else run(args.folder, args.seeds, args.work)
        for row in write(args.folder, logs, args.note):
            print(row.markdown())
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
