"""`python -m verifier.probe.child.coder WORK`: encode a stream with a submission's predictor, or decode bits.

`WORK/coder.json` says which. The file with the predictor is imported under its own name, so that no main block
runs, with the stand-ins of the probes and without their capture. The encoder writes `bits` and `nats`
(float64, -ln p of each token), the decoder writes `ids` (int64) as far as it came; `coder-end.json` says how
it ended.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgolf.coder import NotNormalized, decoded, encode
from pgolf.evaluate.predictor import Predictor
from pgolf.shards import read_shard
from verifier.probe.child import program, standins
from verifier.probe.child.tape import MuteTape


def main(work: Path) -> int:
    job: dict[str, Any] = json.loads((work / "coder.json").read_text())
    out = work / job["out"]
    ended: dict[str, Any] = {"status": "finished"}
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        # Read before any code of the submission runs.
        tokens = None if job["stream"] is None else read_shard(work / job["stream"])
        folder = work / job["data"]
        standins.install(folder, on_gpu=job["device"] == "cuda")
        program.install(MuteTape(), str(folder), work / job["wrapped"], job["sizes"], None)
        predictor = _predictor(work, job)
        if tokens is not None:
            _encode(predictor, tokens, job["tokens"], out)
        else:
            _decode(predictor, (work / job["bits"]).read_bytes(), job, out)
    except NotNormalized as error:
        ended = {"status": "refused", "total": repr(error.total), "position": error.position + 1}
    except BaseException as error:
        traceback.print_exc()
        ended = {"status": "raised", "error": f"{type(error).__name__}: {error}"[:2000]}
    (out / "coder-end.json").write_text(json.dumps(ended))
    return 0


def _predictor(work: Path, job: dict[str, Any]) -> Predictor:
    script = work / job["script"]
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    sys.argv = [str(script)]
    sys.path.insert(0, str(script.parent))
    spec.loader.exec_module(module)
    made: Predictor = module.predictor(work / job["artifact"], work / job["tokenizer"], job["predictions"])
    return made


def _encode(predictor: Predictor, tokens: np.ndarray, n: int, out: Path) -> None:
    encoded = encode(predictor, tokens, n)
    (out / "bits").write_bytes(encoded.bitstream)
    (out / "nats").write_bytes(encoded.nats_N.astype("<f8").tobytes())


def _decode(predictor: Predictor, bitstream: bytes, job: dict[str, Any], out: Path) -> None:
    n, first = job["tokens"], job["first_token"]
    with (out / "ids").open("wb") as file:
        file.write(np.int64(first).tobytes())
        for token in decoded(predictor, bitstream, n, first):
            file.write(np.int64(token).tobytes())


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads and atexit handlers of the script have no more say.
    os._exit(code)
