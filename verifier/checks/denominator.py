"""B1-denominator: the bytes per token behind every printed pair of loss and bits per byte."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from verifier.checks import check
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, State, Where, failed, passed, unruled, unverified, warned
from verifier.headline import at, claimed_logs, final_metrics, rests_on
from verifier.intake.syntax import Broken, syntax_of
from verifier.reference import (
    RATIOS,
    SAME_EVALUATOR,
    TAIL_WINDOW,
    Implied,
    KnownRatio,
    Standing,
    Tokenizer,
    implied_bytes_per_token,
    printed_digits,
    ratios_near,
    tokenizer_counted,
    tokenizer_named,
)
from verifier.submission import Log, Submission

DECISIVE_WIDTH = 1e-4
"""Relative width that print rounding may leave before a pair can name a wrong constant."""

ALONE_WIDTH = 1e-6
"""The same for submission.json alone, where no log names the tokenizer: eight digits, as scripts print."""

NEXT_PROOF = (
    "prove the bytes: decode the validation tokens, compare with the documents' UTF-8 length, "
    "and ship the count with the tokenizer"
)


@dataclass(frozen=True)
class _Pair:
    """One printed pair, where it stands, and which tokenizer its surroundings name."""

    label: str
    implied: Implied
    where: Where
    tokenizer: Tokenizer | None
    claimed: bool
    named_by_log: bool
    """The log itself, not a default of the script, names the tokenizer."""
    log: Log | None

    @cached_property
    def near(self) -> tuple[KnownRatio, ...]:
        """Constants of the same evaluator if any, else those within a tail window."""
        return ratios_near(self.implied, SAME_EVALUATOR) or ratios_near(self.implied, TAIL_WINDOW)


@check(
    "B1-denominator",
    title="loss and bits per byte imply a known byte count",
    grade=Grade.LOG,
    rules=("R-060", "R-061", "R-062", "R-065"),
)
def denominator(evidence: Evidence) -> list[Outcome]:
    """Bits per byte is `val_loss / ln 2 / bytes_per_token`, so every printed pair gives away the bytes per
    token that the evaluator divided by. Each pair of submission.json and each final pair of each log is
    compared with the constants of known evaluators, over the interval that the rounding of both printed
    numbers leaves.

    PASS: every pair is a known right constant (stock sp8192 is 3.7266, CaseOps with its byte sidecar 3.1572).
    FAIL: a pair that the claim rests on is a known wrong constant to print precision, and the token count,
    tokenizer file or dataset names the tokenizer to which that wrong constant belongs; or it is, to print
    precision, a constant that the script itself writes down (`BYTES_PER_TOKEN = 2.7523`), and no known right
    one: nothing was counted.
    UNRULED: a constant of case-folded text (#1604 was never answered).
    WARN: a known wrong constant outside the claim; a stock tokenizer with a ratio of its own; loss and bits
    per byte in one line that belong to two distributions. UNVERIFIED: any other constant. A new tokenizer
    has one, and README puts its proof on the submitter (R-065).

    Cannot see: a wrong loss, a right ratio over the wrong tokens (D2-split), or a mixture over bytes that
    does not sum to one (C2-mass).

    Ruling: root evaluator since 2026-03-18; #1806 (2026-04-26) removed a record over byte accounting; #2039,
    #2071 and #2138 fell on 2026-05-02, and so did #2009 over a fixed number of bytes per token. #1719
    described the leading space that is counted twice.

    Violation: `val_loss:3.07015325 val_bpb:1.00977880` over 40,540,160 sp8192 tokens is 4.3864 bytes per
    token, and that text has 3.7266. Legal contrast: CaseOps prints fewer nats per token and 3.1572 bytes per
    token, which are the bytes of the original text.
    """
    submission = evidence.submission
    pairs = [*_log_pairs(submission), *_json_pairs(submission)]
    if not pairs:
        return [
            unverified(
                "0 pairs of val_loss and val_bpb in the logs and submission.json",
                try_next="print both with eight digits after the final evaluation, and ship the log",
                looked_at=[log.path for log in submission.logs],
            )
        ]
    groups: dict[tuple[State, str], list[tuple[_Pair, Outcome]]] = {}
    for pair in pairs:
        outcome = _one_distribution(pair, pairs) or _constant(submission, pair) or _judge(pair)
        key = (outcome.state, pair.near[0].name if pair.near else f"{pair.implied.value:.2f}")
        groups.setdefault(key, []).append((pair, outcome))
    failed_names = {name for state, name in groups if state is State.FAIL}
    return [
        _merge(group)
        for (state, name), group in groups.items()
        if not (state is State.WARN and name in failed_names)
    ]


def _judge(pair: _Pair) -> Outcome:
    nearest = pair.near[0] if pair.near else None
    measured = f"{pair.implied.value:.4f} B/token" + ("" if pair.log else f" ({pair.label} pair)")
    if nearest is None or nearest.standing is Standing.UNEXPLAINED:
        return _unknown(pair, nearest, measured)
    source = ", ".join(nearest.sources)
    if nearest.standing is Standing.RIGHT:
        if pair.tokenizer is not None and pair.named_by_log and pair.tokenizer.name != nearest.tokenizer:
            return warned(
                f"{measured} is {nearest.name}; the log's tokenizer is {pair.tokenizer.name}", pair.where
            )
        return passed(f"{measured} is {nearest.name}", pair.where)
    if nearest.standing is Standing.UNRULED:
        return unruled(
            f"{measured} is {nearest.name} ({source}); lossy text folding was asked in #1604, never ruled",
            pair.where,
        )
    if nearest.standing is Standing.SUBSET:
        return warned(f"{measured} is {nearest.name} ({source}): {nearest.cause}", pair.where)
    return _known_wrong(pair, nearest, measured, source)


def _one_distribution(pair: _Pair, pairs: list[_Pair]) -> Outcome | None:
    """A line at no known constant, in a log whose other lines are at a right one."""
    if pair.log is None or pair.near:
        return None
    right = next(
        (o for o in pairs if o.log is pair.log and o.near and o.near[0].standing is Standing.RIGHT), None
    )
    if right is None:
        return None
    outcome = warned(
        f"{pair.implied.value:.4f} B/token for {pair.label!r}, {right.implied.value:.4f} for {right.label!r} "
        "in the same log: loss and bits per byte on the first line are not of one distribution",
        pair.where,
    )
    return replace(
        outcome, rules=("R-056", "R-060"), try_next="print the mixture's own loss in nats per token"
    )


def _constant(submission: Submission, pair: _Pair) -> Outcome | None:
    """The pair's ratio is a number written in the script: no bytes of the scored text were counted."""
    if submission.script is None or not pair.claimed or pair.implied.relative_width > DECISIVE_WIDTH:
        return None
    if any(near.standing is Standing.RIGHT for near in pair.near):
        return None
    for name, value, line in _byte_literals(submission.script.source):
        if pair.implied.low <= value <= pair.implied.high:
            outcome = failed(
                f"{pair.implied.value:.6f} B/token is the constant {name} = {value} of "
                f"{submission.script.path}:{line}, not the bytes of the scored tokens",
                pair.where,
                Where(submission.script.path, line),
            )
            return replace(outcome, rules=("R-060",), try_next=NEXT_PROOF)
    return None


def _byte_literals(source: str) -> Iterator[tuple[str, float, int]]:
    """Assignments such as `BYTES_PER_TOKEN = 2.7523`: a name about bytes, a number that is not whole."""
    syntax = syntax_of(source)
    for node in () if isinstance(syntax, Broken) else syntax.of(ast.Assign, ast.AnnAssign):
        match node:
            case (
                ast.Assign(targets=[target], value=ast.Constant(value=float(value)))
                | ast.AnnAssign(target=target, value=ast.Constant(value=float(value)))
            ):
                name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
                if "byte" in name.lower() and not value.is_integer():
                    yield name, value, target.lineno


def _known_wrong(pair: _Pair, nearest: KnownRatio, measured: str, source: str) -> Outcome:
    right = _expected(pair.tokenizer)
    width = DECISIVE_WIDTH if pair.log is not None else ALONE_WIDTH
    identified = pair.tokenizer is not None and pair.tokenizer.name == nearest.tokenizer
    exact = nearest.meets(pair.implied.low, pair.implied.high, SAME_EVALUATOR)
    text = f"{measured} is {nearest.name} ({source}): {nearest.cause}"
    if identified and exact and pair.claimed and pair.implied.relative_width <= width:
        expected = f"; {right.name} has {right.bytes_per_token:.4f}" if right else ""
        outcome = failed(f"{text}{expected}", pair.where)
        return replace(outcome, try_next=_rescore(pair, right))
    if not exact or pair.implied.relative_width > width:
        why = f"the digits printed leave {pair.implied.low:.4f} to {pair.implied.high:.4f}"
    elif not identified:
        why = "the folder does not name the tokenizer that it belongs to"
    else:
        why = "no claimed number rests on it"
    return warned(f"{text}; {why}", pair.where)


def _unknown(pair: _Pair, nearest: KnownRatio | None, measured: str) -> Outcome:
    expected = _expected(pair.tokenizer) if pair.named_by_log else None
    if expected is None or pair.tokenizer is None or not pair.tokenizer.stock:
        near = f"; {expected.name} has {expected.bytes_per_token:.4f}" if expected else ""
        return Outcome(
            State.UNVERIFIED,
            f"{measured} is no known evaluator's constant{near}",
            (pair.where,),
            try_next=NEXT_PROOF,
        )
    gap = pair.implied.value / expected.bytes_per_token - 1
    seen = f", seen in {', '.join(nearest.sources)}" if nearest else ""
    return warned(
        f"{measured}; {expected.name} has {expected.bytes_per_token:.4f} ({gap:+.2%}){seen}", pair.where
    )


def _expected(tokenizer: Tokenizer | None) -> KnownRatio | None:
    if tokenizer is None:
        return None
    return next((r for r in RATIOS if r.tokenizer == tokenizer.name and r.standing is Standing.RIGHT), None)


def _rescore(pair: _Pair, right: KnownRatio | None) -> str | None:
    if right is None:
        return NEXT_PROOF
    factor = pair.implied.value / right.bytes_per_token
    return f"the same loss over {right.bytes_per_token:.4f} B/token is {factor:.4f} times the printed val_bpb"


def _merge(group: list[tuple[_Pair, Outcome]]) -> Outcome:
    """One outcome per state and constant: the count, the first message, and every place."""
    pair, first = group[0]
    count = f"{len(group)} pairs: " if len(group) > 1 else ""
    return Outcome(
        first.state,
        count + first.message,
        tuple(each.where for each, _ in group),
        {
            "bytes_per_token": [round(each.implied.value, 7) for each, _ in group],
            "interval": [pair.implied.low, pair.implied.high],
            "labels": sorted({each.label for each, _ in group}),
            "tokenizer": pair.tokenizer.name if pair.tokenizer else None,
        },
        try_next=first.try_next,
        rules=first.rules,
    )


def _log_pairs(submission: Submission) -> Iterator[_Pair]:
    claimed = claimed_logs(submission)
    labels = {m.label for log in claimed for m in final_metrics(log) if rests_on(submission, m)}
    for log in submission.logs:
        named = _tokenizer_of(log)
        tokenizer = named or _tokenizer_of_folder(submission, log)
        for metric in final_metrics(log):
            if metric.val_loss is None or metric.val_bpb is None:
                continue
            implied = implied_bytes_per_token(
                metric.val_loss,
                metric.val_bpb,
                loss_digits=metric.loss_digits,
                bpb_digits=metric.bpb_digits,
            )
            if implied is not None:
                on_claim = log in claimed and metric.label in labels
                where = at(log, metric.line, metric.label)
                yield _Pair(metric.label, implied, where, tokenizer, on_claim, named is not None, log)


def _json_pairs(submission: Submission) -> Iterator[_Pair]:
    claim = submission.claim
    where = claim.where or Where("submission.json")
    tokenizers = {each.name: each for log in submission.logs if (each := _tokenizer_of(log))}
    tokenizer = (
        next(iter(tokenizers.values())) if len(tokenizers) == 1 else _tokenizer_of_folder(submission, None)
    )
    rows = [("headline", claim.val_loss, claim.val_bpb)]
    rows += [(f"seed {seed.seed}", seed.val_loss, seed.val_bpb) for seed in claim.seeds]
    for label, loss, bpb in rows:
        if loss is None or bpb is None:
            continue
        implied = implied_bytes_per_token(
            loss, bpb, loss_digits=printed_digits(loss), bpb_digits=printed_digits(bpb)
        )
        if implied is not None:
            yield _Pair(label, implied, where, tokenizer, True, False, None)


def _tokenizer_of(log: Log) -> Tokenizer | None:
    """By the length of the stream first: a path can be a default that the run did not use."""
    counted = tokenizer_counted(log.val_tokens) if log.val_tokens else None
    return counted or (tokenizer_named(log.tokenizer_path) if log.tokenizer_path else None)


def _tokenizer_of_folder(submission: Submission, log: Log | None) -> Tokenizer | None:
    """By the run command, else by the one tokenizer that the script's text names."""
    env = {**submission.command.env, **(log.env if log else {})}
    for key in ("TOKENIZER_PATH", "DATA_PATH"):
        if key in env and (tokenizer := tokenizer_named(env[key])):
            return tokenizer
    return tokenizer_named(submission.script.source) if submission.script else None
