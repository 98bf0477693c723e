"""Run a decode proof: one sandboxed child writes the stream as bits, another that never had it reads them.

The encoder finds what a run of the script finds, and the artifact that such a run wrote. The decoder finds
the folder as shipped, the tokenizer, the artifact and the bits: no shard, and nothing that the encoder
wrote. Where the tokens come out otherwise, both are run again, to tell a predictor that knew more than the
past from one whose arithmetic does not repeat.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from verifier.probe import workspace
from verifier.probe.decoding import Decoded, Decoding, Encoding, Exposed
from verifier.probe.device import Device
from verifier.probe.harvest import HarvestError, read_from_tree
from verifier.probe.isolation import Mechanism
from verifier.probe.job import Ended, Job, Outcome
from verifier.probe.sandbox import WORK, run_sandboxed
from verifier.probe.scratch import scratch_folder
from verifier.probe.stream import Stream
from verifier.probe.vocabulary import Vocabulary
from verifier.submission import Script

JOB, BITS = "coder.json", "bits"
ARTIFACT_LIMIT_BYTES = 64 << 20
"""Read of an artifact; the contest's cap is a quarter of it."""
BITS_LIMIT_BYTES = 64 << 20
MIN_SECONDS = 5.0
_SLACK_BYTES = 1 << 16


@dataclass(frozen=True)
class Setup:
    """What both children find."""

    folder: Path
    script: Script
    exposed: Exposed
    artifact: bytes
    vocabulary: Vocabulary
    stream: Stream
    """The encoder's alone."""
    train_seed: Sequence[int]
    """Of the training shard, the encoder's alone."""
    sizes: Mapping[str, int]
    environment: Mapping[str, str]
    device: Device

    @property
    def artifact_path(self) -> str:
        return f"{workspace.RUN}/{self.exposed.artifact}"

    @property
    def tokenizer_path(self) -> str:
        return f"{workspace.DATA}/tokenizers/{self.vocabulary.file_name}"


def read_artifact(tree: Path, exposed: Exposed | None) -> bytes | None:
    """What a run left in the place that the submission names; None where there is no such file."""
    if exposed is None or exposed.artifact is None:
        return None
    try:
        return read_from_tree(tree, f"{workspace.RUN}/{exposed.artifact}", ARTIFACT_LIMIT_BYTES)
    except (OSError, HarvestError):
        return None


def why_no_artifact(exposed: Exposed | None, status: str, reason: str) -> str:
    """In words, why a run that ended so left nothing to `read_artifact`; empty where nothing is exposed."""
    if exposed is None:
        return ""
    if exposed.artifact is None:
        return (
            f'no line ARTIFACT = "name" of {exposed.file} names the file that a run writes into its directory'
        )
    if status != "finished":
        return f"the run that was to write {exposed.artifact} ended early: {status}: {reason}"
    return f"the run left no file {exposed.artifact} in its directory"


def prove(setup: Setup, tokens: int, limit_seconds: float, progress: Callable[[str], None]) -> Decoding:
    """Code the first `tokens` tokens after the given one. Never raises for what the predictor does."""
    deadline = time.monotonic() + limit_seconds
    outcomes: list[Outcome] = []

    def encoding() -> Encoding:
        progress(f"decode: encoding {tokens:,} tokens")
        return _encode(setup, tokens, deadline, outcomes)

    def decoding(bits: bytes) -> Decoded:
        progress(f"decode: decoding {len(bits):,} bytes")
        return _decode(setup, tokens, bits, deadline, outcomes)

    encodings = [encoding()]
    decodings: list[Decoded] = []
    if not encodings[0].error and encodings[0].total is None:
        decodings.append(decoding(encodings[0].bitstream))
        ids = setup.stream.ids.astype(np.int64)
        if decodings[0].first_difference(ids) is not None:
            encodings.append(encoding())
            decodings.append(decoding(encodings[0].bitstream))
    return Decoding(
        tokens=tokens,
        exposed=setup.exposed,
        artifact_bytes=len(setup.artifact),
        encodings=tuple(encodings),
        decodings=tuple(decodings),
        apart=all(outcome.mechanism is not Mechanism.PROCESS for outcome in outcomes),
    )


def _encode(setup: Setup, tokens: int, deadline: float, outcomes: list[Outcome]) -> Encoding:
    with scratch_folder() as tree:
        workspace.build(
            tree,
            folder=setup.folder,
            script=setup.script,
            stream=setup.stream,
            vocabulary=setup.vocabulary,
            train_seed=setup.train_seed,
            sizes=setup.sizes,
            device=setup.device,
        )
        val = json.loads((tree / workspace.JOB).read_text())["val"][0]
        end, error, seconds = _child(setup, tree, {"tokens": tokens, "stream": val}, deadline, outcomes)
        if end.get("status") == "refused":
            total, position = _number(end.get("total")), _number(end.get("position"))
            if total is not None and position is not None and 0 < position <= tokens:
                return Encoding(total=total, position=int(position), seconds=seconds)
            error = "the encoder refused a distribution and did not say which"
        if error:
            return Encoding(error=error, seconds=seconds)
        bits = _left(tree, BITS, BITS_LIMIT_BYTES)
        nats = _left(tree, "nats", 8 * tokens)
        if bits is None or nats is None or len(nats) != 8 * tokens:
            return Encoding(error="the encoder left no bits", seconds=seconds)
        return Encoding(bits, np.frombuffer(nats, dtype="<f8").astype(np.float64), seconds=seconds)


def _decode(setup: Setup, tokens: int, bits: bytes, deadline: float, outcomes: list[Outcome]) -> Decoded:
    first = int(setup.stream.ids[0])
    with scratch_folder() as tree:
        workspace.build_without_data(tree, folder=setup.folder, vocabulary=setup.vocabulary)
        (tree / BITS).write_bytes(bits)
        task = {"tokens": tokens, "stream": None, "bits": BITS, "first_token": first}
        _, error, seconds = _child(setup, tree, task, deadline, outcomes)
        left = _left(tree, "ids", 8 * (tokens + 1)) or b""
    ids = np.frombuffer(left[: len(left) // 8 * 8], dtype="<i8").astype(np.int64)
    if ids.size < tokens + 1 and not error:
        error = "it ended early"
    return Decoded(ids if ids.size else np.array([first]), error, seconds)


def _child(
    setup: Setup, tree: Path, task: Mapping[str, Any], deadline: float, outcomes: list[Outcome]
) -> tuple[Mapping[str, Any], str, float]:
    """How the child says that it ended, one line on why it did not finish, and its seconds."""
    left = deadline - time.monotonic()
    if left < MIN_SECONDS:
        return {}, "no time was left", 0.0
    artifact = tree / setup.artifact_path
    artifact.parent.mkdir(parents=True, exist_ok=True)
    artifact.write_bytes(setup.artifact)
    job = {
        **task,
        "script": f"{workspace.RUN}/{setup.exposed.file}",
        "artifact": setup.artifact_path,
        "tokenizer": setup.tokenizer_path,
        "predictions": setup.stream.targets,
        "out": workspace.OUT,
        "data": workspace.DATA,
        "wrapped": workspace.WRAPPED,
        "sizes": dict(setup.sizes),
        "device": str(setup.device),
    }
    (tree / JOB).write_text(json.dumps(job))
    outcome = run_sandboxed(
        Job(
            argv=(sys.executable, "-B", "-m", "verifier.probe.child.coder", WORK),
            tree=tree,
            env=setup.environment,
            limits=setup.device.limits(left),
            expose=setup.device.expose(),
            proc_writable=setup.device is Device.CUDA,
            cwd=f"{WORK}/{workspace.RUN}",
        )
    )
    outcomes.append(outcome)
    if outcome.ended is not Ended.EXIT:
        return {}, f"{outcome.ended}: {outcome.message}", outcome.wall_seconds
    end = _object(_left(tree, "coder-end.json", _SLACK_BYTES))
    if end.get("status") == "finished":
        return end, "", outcome.wall_seconds
    if end.get("status") == "refused":
        return end, f"a distribution that sums to {end.get('total')}", outcome.wall_seconds
    last = outcome.stderr.decode("utf-8", "replace").strip().splitlines()
    error = end.get("error") or (last[-1] if last else f"exit code {outcome.exit_code}")
    return end, str(error)[:300], outcome.wall_seconds


def _left(tree: Path, name: str, limit_bytes: int) -> bytes | None:
    try:
        return read_from_tree(tree, f"{workspace.OUT}/{name}", limit_bytes)
    except (OSError, HarvestError):
        return None


def _object(text: bytes | None) -> Mapping[str, Any]:
    try:
        value = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None
