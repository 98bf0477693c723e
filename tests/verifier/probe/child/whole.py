"""Run a script in the child as an audit does, but without the sandbox and on a stream of the test's choice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgolf.shards import write_shard
from verifier.probe.runner import PACKAGE_ROOT
from verifier.probe.stream import Source, Stream
from verifier.probe.tape import Tape
from verifier.probe.tapefile import EVENTS, SCORES, read_tape

VOCAB = 64
SOURCE = Source("test", tuple(range(3, VOCAB)), 1)
TARGETS = 1024


@dataclass(frozen=True)
class Done:
    stream: Stream
    tape: Tape
    stdout: str
    stderr: str


def key_of(script: str, name: str, qualified: str | None = None) -> str:
    """How the child names the function `name` of a script."""
    line = next(
        at for at, text in enumerate(script.splitlines(), 1) if text.strip().startswith(f"def {name}(")
    )
    return f"{line}:{qualified or name}"


def run_child(
    tree: Path,
    script: str,
    replays: Mapping[str, Sequence[int]] | None = None,
    *,
    watch: bool = False,
    tables: Sequence[int] = (),
) -> Done:
    """Run `script` over a random stream; functions are watched where `replays` is given, or without a plan."""
    run, out = tree / "run", tree / "out"
    data = run / "data"
    data.mkdir(parents=True)
    out.mkdir()
    stream = SOURCE.draw(TARGETS, (11,))
    write_shard(data / "fineweb_val_000000.bin", stream.ids)
    (run / "train_gpt.py").write_text(script)
    events, scores = (out / EVENTS).open("wb"), (out / SCORES).open("wb")
    job = {
        "script": "run/train_gpt.py",
        "records": [events.fileno(), scores.fileno()],
        "data": "run/data",
        "wrapped": "wrapped",
        "sizes": {"num_layers": 2},
        "val": ["run/data/fineweb_val_000000.bin"],
        "argv": [],
        "device": "cpu",
        "watch": watch or replays is not None,
        "replays": None if watch else dict(replays or {}),
        "cut": [list(tables), TARGETS] if tables else None,
        "vocab_size": VOCAB,
    }
    (tree / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, "-B", "-m", "verifier.probe.child", str(tree)],
        cwd=run,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
        pass_fds=job["records"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    events.close()
    scores.close()
    return Done(stream, read_tape(out, stream.ids.size), done.stdout, done.stderr)
