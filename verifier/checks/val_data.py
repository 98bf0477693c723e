"""D3-val-data: validation tokens as training data, or stored in the artifact."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from verifier.checks import check
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, State, Where, not_applicable
from verifier.headline import at, claimed_logs, is_behind_claim
from verifier.intake.syntax import Broken, syntax_of
from verifier.submission import Log, LoggedLine, Submission

_VAL_SET = re.compile(r"(?<![a-z])val(?:idation)?[-_]?only|fineweb_val_", re.IGNORECASE)
"""In the name or pattern of the *training* set: `fineweb10B_sp1024_valonly`, `…/fineweb_val_*.bin`."""
_TRAINED_ON_VAL = re.compile(
    r"(?:\btrain(?:ed|ing|s)?\s+(?:\w+\s+){0,2}on\s+(?:the\s+)?(?:\w+\s+){0,2}"
    r"val(?:idation)?\s+(?:shards?|set|split|data|tokens)|\bval(?:idation)?[-\s]only\s+training|"
    r"ln\s+-s\w*\s+\S*fineweb_val\S*\s+\S*fineweb_train)",
    re.IGNORECASE,
)
_STORED = re.compile(
    r"(?:stor|compress|cover|contain|hold|encod|packs?\b)\w*[^\n]{0,60}?\bval(?:idation)?\s+(?:target\s+)?tokens|"
    r"\bval(?:idation)?\s+(?:target\s+)?tokens[^.\n]{0,40}\b(?:stored|compressed)|paid[-\s]prefix blob",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\b(?:no|not|never|without|isn't|n't|non)\b[-\s]*(?:\w+\s+){0,4}$", re.IGNORECASE)
_STORED_NAME = re.compile(r"prefix", re.IGNORECASE)
_TARGET_NAME = re.compile(r"tgt|target|^y$|^y_", re.IGNORECASE)


@dataclass(frozen=True)
class _Source:
    """One place that says so."""

    text: str
    where: Where


@check(
    "D3-val-data",
    title="validation tokens are neither trained on nor stored",
    grade=Grade.LOG,
    rules=("R-020", "R-022"),
)
def val_data(evidence: Evidence) -> list[Outcome]:
    """Looks for a claimed run whose training set is the validation set, and for an artifact that stores
    validation tokens (a paid prefix). One mention proves nothing; a log and a second source do.

    FAIL: a claimed log names the validation set as its training set, and README, submission.json or the
    script says so too; or a claimed log counts stored tokens (`paid_prefix … tokens:12924343`), and the
    author's text says that they are validation tokens or the script compares them with the targets. WARN:
    the log alone, or a log that no claimed number rests on. NOT_APPLICABLE: no log mentions it; a text alone
    speaks of rules and of other runs as often as of its own.

    Cannot see: a validation file under a training name that nobody mentions, or a renamed blob; E1-floor's
    secret streams make both useless, and D2-split reads the shard counts.

    Ruling: #44, #262, #64 and #179 (2026-03-19 to 21), no validation tokens in training; #168 and #275
    (2026-03-20), no validation tokens in the artifact, even if paid for in bytes.

    Violation: `train_loader:dataset:fineweb10B_sp1024_valonly` beside a README that says "trained entirely
    on the validation shard". Legal contrast: `val_only:False` with `fineweb10B_sp1024`, and a README that
    says "no val-only training".
    """
    submission = evidence.submission
    logs = [log for log in claimed_logs(submission) if log.train_data or log.stored_targets]
    stored = [(log, log.stored_targets) for log in logs if log.stored_targets]
    outcomes = [
        *_joined(
            submission,
            [
                (log, log.train_data)
                for log in logs
                if log.train_data and _VAL_SET.search(log.train_data.text)
            ],
            [*_said(submission, _TRAINED_ON_VAL)],
            "the training set is the validation set",
            "R-020",
        ),
        *_joined(
            submission,
            stored,
            [*_said(submission, _STORED), *(_compared(submission) if stored else ())],
            "the artifact stores validation tokens",
            "R-022",
        ),
    ]
    return outcomes or [not_applicable("no log speaks of training on, or storing, validation tokens")]


def _joined(
    submission: Submission,
    logged: list[tuple[Log, LoggedLine]],
    said: list[_Source],
    what: str,
    rule: str,
) -> Iterator[Outcome]:
    if not logged:
        return  # a text alone speaks of rules, of other runs and of what was not done
    held = [(log, line) for log, line in logged if is_behind_claim(submission, log)]
    places = (
        *(at(log, line.line, line.text[:160]) for log, line in held or logged),
        *(s.where for s in said),
    )
    if held and said:
        state = State.FAIL
        message = (
            f"{what}: the log says {held[0][1].text.strip()[:100]!r}, and {said[0].where} {said[0].text!r}"
        )
    else:
        state = State.WARN
        lacks = "no second source says so" if held else "no claimed number rests on that log"
        message = f"{what}, by {logged[0][1].text.strip()[:100]!r}: {lacks}"
    yield Outcome(
        state,
        message,
        places,
        try_next="train on the training shards, and ship an artifact without validation tokens",
        rules=(rule,),
    )


def _said(submission: Submission, pattern: re.Pattern[str]) -> Iterator[_Source]:
    """The author's own sentences, those that deny it left out; the first of each text is enough."""
    texts = [(submission.readme or "", Where("README.md"))]
    texts.append((submission.claim.blurb, submission.claim.where or Where("submission.json")))
    for text, where in texts:
        for match in pattern.finditer(text):
            before = re.sub(r"[*_`~|]", "", text[max(0, match.start() - 60) : match.start()])
            if _DENIED.search(before) is None:
                yield _Source(" ".join(match.group(0).split())[:100], where)
                break


def _compared(submission: Submission) -> Iterator[_Source]:
    """`prefix == target`: the script forgives the loss where a stored token is the realised one."""
    script = submission.script
    syntax = syntax_of(script.source) if script else None
    if script is None or syntax is None or isinstance(syntax, Broken):
        return
    for node in syntax.of(ast.Compare):
        match node:
            case ast.Compare(left=ast.Name(id=left), ops=[ast.Eq()], comparators=[ast.Name(id=right)]):
                for stored, target in ((left, right), (right, left)):
                    if _STORED_NAME.search(stored) and _TARGET_NAME.search(target):
                        yield _Source(f"{stored} == {target}", Where(script.path, node.lineno))
                        return
