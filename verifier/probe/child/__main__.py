"""The child's main program: `python -m verifier.probe.child WORK` runs one script under capture.

`WORK/job.json` names the script, the validation shard, the tape's descriptors and what to substitute. The script's
own exit, exception or kill is written as the last event; stdout and stderr stay the script's.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch

from verifier.probe.child import (
    clock,
    devices,
    gpu,
    program,
    reach,
    shadow,
    standins,
)
from verifier.probe.child.positions import PositionIndex
from verifier.probe.child.tape import LineTee, Tape
from verifier.probe.child.uses import USES
from verifier.probe.child.watching import Watching

SHARD_HEADER_BYTES = 1024


def read_stream(paths: list[Path]) -> np.ndarray:
    """The ids of the validation shards, in order."""
    parts = [np.fromfile(path, dtype="<u2", offset=SHARD_HEADER_BYTES) for path in paths]
    return np.concatenate(parts).astype(np.int64)


def main(work: Path) -> int:
    job: dict[str, Any] = json.loads((work / "job.json").read_text())
    script = work / job["script"]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    events, scores = job["records"]
    tape = Tape(events, scores, script.parent, work / job["wrapped"])
    on_gpu = job["device"] == "cuda"
    index = PositionIndex(read_stream([work / path for path in job["val"]]))
    mode = shadow.Shadow(tape, index, gpu.keep if on_gpu else devices.redirect)
    folder = work / job["data"]
    standins.install(folder, on_gpu=on_gpu)
    watch = Watching(tape, mode, job["vocab_size"], job["replays"]).watch if job["watch"] else None
    program.install(tape, str(folder), work / job["wrapped"], job["sizes"], watch, job["cut"])
    shadow.install(mode)
    sys.stdout = LineTee(tape, sys.stdout)
    virtual = clock.install()
    sys.argv[:] = [str(script)]
    reach.install(tape, script.parent, work / job["wrapped"], (work / "job.json",))
    ended: dict[str, Any] = {"status": "finished"}
    try:
        program.run(script, job["argv"])
    except SystemExit as stop:
        ended = {"status": "finished" if stop.code in (None, 0) else "exit", "code": str(stop.code)}
    except BaseException as error:
        traceback.print_exc()
        last = traceback.extract_tb(error.__traceback__)
        own_code = (str(script.parent), str(work / job["wrapped"]))
        own = [f"{Path(f.filename).name}:{f.lineno}" for f in last if f.filename.startswith(own_code)]
        ended = {"status": "raised", "error": f"{type(error).__name__}: {error}"[:2000], "at": own[-3:]}
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(timeout=5)
    tape.write("end", **ended, uses=dict(USES), clock_ns=virtual.now_ns())
    tape.flush()
    sys.stdout.flush()
    return 0 if ended["status"] == "finished" else 1


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stderr.flush()
    # Threads and atexit handlers of the script have no more say.
    os._exit(code)
