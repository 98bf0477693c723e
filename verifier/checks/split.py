"""D2-split: the whole validation split was scored, and training did not hold it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from verifier.checks import check
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where, failed, passed, unverified, warned
from verifier.headline import at, claimed_logs, headline_metric, is_behind_claim
from verifier.reference import (
    OVERLAP_TRAIN_SHARDS,
    SUBSET_VAL_TOKENS,
    Tokenizer,
    implied_bytes_per_token,
    tokenizer_counted,
    tokenizer_named,
)
from verifier.submission import Log, Submission, Track

SPLIT_BYTES = 151_080_891
"""UTF-8 bytes of the validation split (byte260's stream less its marks; #1804)."""
SPLIT_DOCUMENTS = 50_000
"""The validation split is the first 50,000 documents, and training begins after them (R-021)."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n\s*(?:\n|[-*|])")
_VAL_DOCS = re.compile(r"val[-_]docs[`'\"]?\s*[= ]\s*[`'\"]?(\d[\d,_]*)")
_TRAIN_SHARDS = re.compile(
    r"\btrain(?:ing)?\s+shards\b[^.]{0,120}\b(?:match|built|produced|generated|output|identical|come|from)",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\b(?:not|never|no longer|instead of|avoid|leak|fixed|unlike)\b|n't\b", re.IGNORECASE)

PART_OF_SPLIT = 0.95
"""Other exports and trims of one tokenizer's split stay within 3%; less than this is a part of it."""


@check(
    "D2-split",
    title="the whole validation split is scored, and training does not hold it",
    grade=Grade.LOG,
    rules=("R-021", "R-066"),
)
def split(evidence: Evidence) -> list[Outcome]:
    """Compares the validation tokens that each claimed log counts with the known full streams, and the
    training shards with the fingerprint of a build whose training documents overlap the validation ones.

    PASS: a full stream's count, up to the tokens that a loader trims. FAIL: a count that was ruled on as
    part of the split (9,662,464 or 36,562,944 CaseOps tokens); on the record track a stock tokenizer's
    count below 95% of its full stream, unless the log's own bytes per token make it the whole split again;
    1,499 training shards beside the full CaseOps stream; or README saying that the training shards were
    built with fewer validation documents than the log scores. WARN: a doubled `datasets/datasets` path, or a
    part of the split on the non-record track. UNVERIFIED: any other count.

    Cannot see: which documents the tokens came from; a preparation script with a leaky default is no
    evidence of what ran (R-021).

    Ruling: #50 (2026-03-20, dropped tails), #1835 (2026-04-28, a subset), #2018, #2039, #2109 and #2130
    (2026-05-02). A local CaseOps build with 10,000 validation documents has 1,499 training shards, and
    documents 10,000 to 49,999 are then in both parts.

    Violation: `train_shards: 1499` and `val_tokens: 47851520`. Legal contrast: `train_shards: 80` and
    `val_tokens: 47851520`, 1,824 tokens short of the stream because the loader trims to whole sequences.
    """
    submission = evidence.submission
    logs = [log for log in claimed_logs(submission) if log.val_tokens or log.train_shards]
    if not any(log.val_tokens for log in logs):
        return [
            unverified(
                "0 claimed logs count the validation tokens",
                *(at(log, None) for log in submission.logs),
                try_next="print `val_tokens:` when the validation shards are loaded",
            ),
            *_doubled_paths(submission),
        ]
    grouped: dict[tuple[str, str], Outcome] = {}
    for log in logs:
        for outcome in _of_log(submission, log):
            known = grouped.get((outcome.state.value, outcome.message))
            grouped[outcome.state.value, outcome.message] = (
                outcome if known is None else replace(known, where=known.where + outcome.where)
            )
    return [*grouped.values(), *_built_from_fewer(submission, logs), *_doubled_paths(submission)]


def _of_log(submission: Submission, log: Log) -> Iterator[Outcome]:
    tokens = log.val_tokens
    if tokens is None:
        return
    where = at(log, None)
    counted = tokenizer_counted(tokens)
    held = failed if is_behind_claim(submission, log) else warned
    if log.train_shards == OVERLAP_TRAIN_SHARDS and counted is not None and counted.name == "caseops-sp8192":
        yield replace(
            held(
                f"{log.train_shards:,} training shards beside {tokens:,} validation tokens: the "
                "build that has documents 10,000 to 49,999 in both (#2018, #2130)",
                where,
                train_shards=log.train_shards,
                val_tokens=tokens,
            ),
            try_next="train on shards built with 50,000 validation documents",
            rules=("R-021",),
        )
    if tokens in SUBSET_VAL_TOKENS:
        message = f"{tokens:,} validation tokens: {SUBSET_VAL_TOKENS[tokens]}"
        yield replace(held(message, where, val_tokens=tokens), rules=("R-066",))
    elif counted is not None:
        message = f"{tokens:,} validation tokens are the full {counted.name} stream"
        yield replace(passed(message, where, val_tokens=tokens), rules=("R-066",))
    else:
        yield _other_count(submission, log, tokens, where)


def _built_from_fewer(submission: Submission, logs: list[Log]) -> Iterator[Outcome]:
    """Training shards that begin at document N, by README, beside a stream of all 50,000 documents."""
    full = next(
        (
            log
            for log in logs
            if log.val_tokens and tokenizer_counted(log.val_tokens) and is_behind_claim(submission, log)
        ),
        None,
    )
    for sentence in _SENTENCE.split(submission.readme or ""):
        match = _VAL_DOCS.search(sentence)
        if full is None or match is None or not _TRAIN_SHARDS.search(sentence) or _DENIED.search(sentence):
            continue
        documents = int(re.sub(r"[,_]", "", match.group(1)))
        if 0 < documents < SPLIT_DOCUMENTS:
            yield replace(
                failed(
                    f"README: {' '.join(sentence.split())[:160]!r}; training then begins at document {documents:,}, "
                    f"and {full.val_tokens:,} validation tokens are all {SPLIT_DOCUMENTS:,} documents: "
                    f"{SPLIT_DOCUMENTS - documents:,} of them are in both",
                    Where("README.md"),
                    at(full, None),
                    val_docs=documents,
                    val_tokens=full.val_tokens,
                ),
                try_next="train on shards built with 50,000 validation documents",
                rules=("R-021",),
            )
            return


def _other_count(submission: Submission, log: Log, tokens: int, where: Where) -> Outcome:
    tokenizer = tokenizer_named(log.tokenizer_path) if log.tokenizer_path else None
    full = _full(tokenizer)
    scored = _bytes_scored(submission, log, tokens)
    whole = scored is not None and scored >= PART_OF_SPLIT * SPLIT_BYTES
    if tokenizer is not None and tokenizer.stock and full and tokens < PART_OF_SPLIT * full and not whole:
        message = (
            f"{tokens:,} validation tokens, {tokens / full:.1%} of the {tokenizer.name} stream's {full:,}"
        )
        held = submission.track is Track.TEN_MINUTES and is_behind_claim(submission, log)
        make = failed if held else warned
        return replace(
            make(message, where, val_tokens=tokens, full_val_tokens=full),
            try_next="score every fineweb_val shard once",
            rules=("R-066",),
        )
    return replace(
        unverified(f"{tokens:,} validation tokens are no known stream's full count", where),
        try_next="show the count that this tokenizer gives for the first 50,000 documents",
        rules=("R-066",),
    )


def _bytes_scored(submission: Submission, log: Log, tokens: int) -> float | None:
    """By the log's own ratio: a tokenizer retrained under a stock name has fewer tokens for the same bytes."""
    metric = headline_metric(submission, log)
    if metric is None or metric.val_loss is None or metric.val_bpb is None:
        return None
    implied = implied_bytes_per_token(
        metric.val_loss, metric.val_bpb, loss_digits=metric.loss_digits, bpb_digits=metric.bpb_digits
    )
    return None if implied is None else tokens * implied.high


def _full(tokenizer: Tokenizer | None) -> int:
    return min(tokenizer.full_val_tokens) if tokenizer is not None and tokenizer.full_val_tokens else 0


def _doubled_paths(submission: Submission) -> Iterator[Outcome]:
    places = [
        (f"{key}={value}", Where(log.path)) for log in submission.logs for key, value in log.env.items()
    ]
    sources = submission.command.where or (Where("README.md"),)
    places += [(f"{key}={value}", sources[0]) for key, value in submission.command.env.items()]
    doubled = [(text, where) for text, where in places if "datasets/datasets" in text]
    if doubled:
        text, where = doubled[0]
        message = f"path {text!r}, as local builds have; the logs do not show their split"
        yield replace(warned(message, where), rules=("R-021",))
