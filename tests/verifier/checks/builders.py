"""Small submissions, logs and metrics; every argument that a test does not name is harmless."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verifier.checks import Check, load_checks
from verifier.evidence import Evidence
from verifier.finding import Outcome, State, Where
from verifier.reference import LN2
from verifier.submission import (
    Claim,
    Log,
    LoggedSize,
    Metric,
    Problem,
    RunCommand,
    Script,
    SeedClaim,
    ShippedFile,
    Submission,
    Track,
)

SP8192 = "./data/tokenizers/fineweb_8192_bpe.model"
SP8192_RATIO = 3.72662950
CASEOPS = "./data/tokenizers/fineweb_8192_bpe_lossless_caps_caseops_v1_reserved.model"


def metric(
    bpb: float,
    ratio: float | None = SP8192_RATIO,
    *,
    label: str = "quantized_ttt",
    digits: int = 8,
    line: int = 10,
    final: bool = True,
    eval_ms: float | None = None,
) -> Metric:
    """A printed result whose loss is `bpb * ln 2 * ratio`, both rounded as a script prints them."""
    loss = None if ratio is None else round(bpb * LN2 * ratio, digits)
    return Metric(label, loss, round(bpb, digits), digits, digits, line, final, eval_ms)


def size(kind: str, label: str, size_bytes: int, line: int = 5) -> LoggedSize:
    return LoggedSize(kind, label, size_bytes, line)


def log(seed: int = 42, metrics: Sequence[Metric] = (), **fields: Any) -> Log:
    given: dict[str, Any] = {"path": f"train_seed{seed}.log", "sha256": "0" * 64, "encoding": "utf-8"}
    given |= {"seed": seed, "world_size": 8, "metrics": tuple(metrics)} | fields
    return Log(**given)


def script(source: str = "print(1)\n", **fields: Any) -> Script:
    given: dict[str, Any] = {
        "path": "train_gpt.py",
        "size_bytes": len(source.encode()),
        "sha256": "1" * 64,
        "source": source,
        "payload_sha256": "2" * 64,
    }
    return Script(**(given | fields))


def submission(
    logs: Sequence[Log] = (),
    bpb: float | None = None,
    *,
    seeds: Mapping[int, float] | Sequence[SeedClaim] = (),
    track: Track = Track.TEN_MINUTES,
    files: Mapping[str, int] | None = None,
    shipped: Script | None = None,
    problems: Sequence[Problem] = (),
    env: Mapping[str, str] | None = None,
    readme: str | None = "# a record",
    **claim: Any,
) -> Submission:
    rows = (
        tuple(SeedClaim(seed, value) for seed, value in seeds.items())
        if isinstance(seeds, Mapping)
        else tuple(seeds)
    )
    names = {"submission.json": 200, "README.md": 100} if files is None else files
    return Submission(
        root=Path("record"),
        name="record",
        track=track,
        files=tuple(ShippedFile(path, count, "3" * 64) for path, count in names.items()),
        script=shipped,
        claim=Claim(val_bpb=bpb, key="val_bpb", seeds=rows, where=Where("submission.json"), **claim),
        logs=tuple(logs),
        command=RunCommand(env=env or {}),
        readme=readme,
        problems=tuple(problems),
    )


def named(id: str) -> Check:
    return next(check for check in load_checks() if check.id == id)


def outcomes(id: str, sub: Submission) -> list[Outcome]:
    result = named(id).function(Evidence(sub))
    return [result] if isinstance(result, Outcome) else list(result)


def states(id: str, sub: Submission) -> list[State]:
    return [outcome.state for outcome in outcomes(id, sub)]


def only(id: str, sub: Submission) -> Outcome:
    (outcome,) = outcomes(id, sub)
    return outcome
