"""P1-package: the folder has what a reviewer needs, and it reads."""

from __future__ import annotations

from verifier.checks import check
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, State, passed, unverified, warned
from verifier.submission import Problem

MISSING_CODES = {
    "log": ("no-log", "no-logs"),
    "readme": ("no-readme",),
    "json": ("no-json", "no-submission-json", "json-place"),
    "script": ("no-script",),
}
"""Codes under which reading the folder may have reported a missing part already."""

FORM_CODES = frozenset(
    {
        *("no-log", "no-logs", "no-readme", "no-json", "no-submission-json", "no-claim", "json-place"),
        "bpb-as-loss",
        *("json-encoding", "json-duplicate-key", "json-not-finite", "log-encoding", "script-encoding"),
        *("script-name", "packed-files"),
    }
)
"""Problems of form: all that is there was read. Any other leaves something unread, or a choice to a reader."""


@check(
    "P1-package",
    title="the folder has a script, submission.json, README and logs that read",
    grade=Grade.LOG,
    rules=("R-083",),
)
def package(evidence: Evidence) -> list[Outcome]:
    """Lists what was met while reading the folder, one outcome for each class of problem, and what is
    missing from it.

    PASS: script, submission.json, README and at least one log are there and read. WARN: a file is missing
    or broken and the rest can be checked. A matter of form cites R-083 alone and is advice; where something
    was not read, or a script had to be chosen among several, R-086 is cited too and a reader must look.
    UNVERIFIED: without it no probe can run (no script, or one that does not parse). Never FAIL: a package
    can be completed.

    Cannot see: whether the pull request changes other files of the repository.

    Ruling: #53, #1031 and #1120 (one new folder), #529, #631, #656, #2013 and #2103 (missing logs, script or
    submission.json).

    Violation: a folder with a README and a claim alone. Legal contrast: a script, packed with lzma
    and base85 if it must be, beside a README, a submission.json with `val_bpb` and the log of each seed.
    """
    submission = evidence.submission
    by_code: dict[str, list[Problem]] = {}
    for problem in submission.problems:
        by_code.setdefault(problem.code, []).append(problem)
    outcomes = [_of_class(code, problems) for code, problems in by_code.items()]
    outcomes += _missing(evidence, set(by_code))
    if not outcomes:
        return [passed(f"script, submission.json, README and {len(submission.logs)} logs read")]
    return outcomes


def _of_class(code: str, problems: list[Problem]) -> Outcome:
    fatal = any(problem.fatal for problem in problems)
    places = tuple(problem.where for problem in problems if problem.where is not None)
    count = f"{len(problems)} times: " if len(problems) > 1 else ""
    return Outcome(
        State.UNVERIFIED if fatal else State.WARN,
        f"{code}: {count}{problems[0].message}",
        places,
        {"code": code, "count": len(problems)},
        try_next="repair the file, and run the audit again" if fatal else None,
        rules=("R-083",) if code in FORM_CODES else ("R-083", "R-086"),
    )


def _missing(evidence: Evidence, known: set[str]) -> list[Outcome]:
    submission = evidence.submission
    outcomes: list[Outcome] = []
    if submission.script is None and not known.intersection(MISSING_CODES["script"]):
        outcomes.append(unverified("no training script", try_next="ship the runnable train_gpt.py"))
    if not submission.logs and not known.intersection(MISSING_CODES["log"]):
        outcomes.append(warned("0 logs; one training log per seed expected"))
    if submission.readme is None and not known.intersection(MISSING_CODES["readme"]):
        outcomes.append(warned("no README"))
    has_json = any(file.path == "submission.json" for file in submission.files)
    if not has_json and not known.intersection(MISSING_CODES["json"]):
        outcomes.append(warned("no submission.json"))
    return outcomes
