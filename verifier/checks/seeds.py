"""S1-seeds: three seeds of one configuration, each with its log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from statistics import fmean

from verifier.checks import check
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, not_applicable, passed, unverified, warned
from verifier.headline import at, claimed_logs
from verifier.seedrun import seed_runs
from verifier.significance import Reach, reach
from verifier.submission import Log, Submission, Track

NEEDED_SEEDS = 3

SEED_WORDS = ("SEED", "RUN_ID", "PORT", "RANK", "LOG", "OUT", "DEVICE", "PWD", "TIME", "DIR", "PATH")
"""Parts of environment names that differ between seeds of one configuration."""

_CONFIGURATION: tuple[tuple[str, Callable[[Log], object]], ...] = (
    ("val_tokens", lambda log: log.val_tokens),
    ("train_shards", lambda log: log.train_shards),
    ("world_size", lambda log: log.world_size),
    ("vocab_size", lambda log: log.vocab_size),
    (
        "tokenizer",
        lambda log: log.tokenizer_path and log.tokenizer_path.replace("\\", "/").rpartition("/")[2],
    ),
    ("max_wallclock_seconds", lambda log: log.max_wallclock_seconds),
)


@check(
    "S1-seeds",
    title="three seeds of one configuration have logs",
    grade=Grade.LOG,
    rules=("R-080", "R-081"),
)
def seeds(evidence: Evidence) -> list[Outcome]:
    """Counts the distinct seeds among the logs that the claim rests on, and compares what those logs say of
    their configuration: validation tokens, training shards, world size, tokenizer, time cap and environment.

    PASS: at least three seeds, and nothing differs; the message says how high a frontier these seeds beat, by
    README's rule (0.005 nats at p<0.01) and by the organizers' final practice (one-sided Welch, p<0.25),
    which is the one that the last rows were judged by. WARN: fewer seeds, a repeated seed, or a setting that
    differs between seeds. UNVERIFIED: the logs do not name their seeds. NOT_APPLICABLE on the non-record
    track. Never FAIL: early records were merged with one seed.

    Cannot see: seeds that were run and left out, or a setting that no log prints.

    Ruling: README asks for evidence at p<0.01; single seeds and mixed means were not record-ready in #1963,
    #2020, #2121 and #2124 (2026-05-02). The last leaderboards used p<0.25 (#1902, #2146).

    Violation: a mean over two seeds at 600 s and one at 1,200 s. Legal contrast: three logs that differ in
    `SEED` and `RUN_ID` alone.
    """
    submission = evidence.submission
    if submission.track is Track.NON_RECORD:
        return [not_applicable("the non-record track asks for no number of seeds")]
    logs = claimed_logs(submission)
    if not logs:
        return [unverified("0 logs with a final result", try_next="ship one log per seed, three at least")]
    return [_count(submission, logs), *_differences(logs)]


def _count(submission: Submission, logs: tuple[Log, ...]) -> Outcome:
    named = [log.seed for log in logs if log.seed is not None]
    distinct = sorted(set(named))
    places = tuple(at(log, None) for log in logs)
    if len(distinct) >= NEEDED_SEEDS:
        shown = _reach(submission)
        return passed(
            f"{len(distinct)} seeds with logs: {_listed(distinct)}{_told(shown)}",
            *places,
            **({} if shown is None else {"reach": asdict(shown)}),
        )
    if len(logs) >= NEEDED_SEEDS and len(named) < len(logs):
        return unverified(
            f"{len(logs)} logs name {len(distinct)} seeds", *places, try_next="print `seed:` in every log"
        )
    return warned(
        f"{len(distinct)} distinct seeds in {len(logs)} logs behind the claim, {NEEDED_SEEDS} expected",
        *places,
    )


def _reach(submission: Submission) -> Reach | None:
    """Over the last claimed result of each seed."""
    runs = seed_runs(submission)
    pairs = [ratio for run in runs if (ratio := run.nats_per_bpb) is not None]
    return reach([run.val_bpb for run in runs], fmean(pairs) if pairs else None)


def _told(shown: Reach | None) -> str:
    if shown is None:
        return ""
    written = (
        ""
        if shown.written is None or shown.written_nats is None
        else f"{shown.written:.5f} by the written rule ({shown.written_nats:.4f} nats below it at p<0.01) and "
    )
    return (
        f"; mean {shown.mean:.5f}, deviation {shown.deviation:.5f}: beats a frontier above {written}"
        f"{shown.practice:.5f} by the final practice (p<0.25, the frontier's own spread apart)"
    )


def _differences(logs: tuple[Log, ...]) -> Iterator[Outcome]:
    places = tuple(at(log, None) for log in logs)
    for name, read in _CONFIGURATION:
        values = sorted({str(value) for log in logs if (value := read(log)) is not None})
        if len(values) > 1:
            yield warned(f"{name} differs between the logs behind the claim: {_listed(values)}", *places)
    shown = [log for log in logs if log.env]
    keys = {key for log in shown for key in log.env if not any(word in key.upper() for word in SEED_WORDS)}
    different = sorted(key for key in keys if len({log.env.get(key) for log in shown}) > 1)
    if different:
        yield warned(
            f"the environment differs between the logs behind the claim: {_listed(different)}", *places
        )


def _listed(values: list[int] | list[str]) -> str:
    return ", ".join(str(value) for value in values)
