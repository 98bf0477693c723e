"""X08-validation-calibration: validation tokens are handed to quantization or calibration."""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import calls, look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Label, Source, last_name

_CALIBRATES = re.compile(
    r"hessian|calib|gptq|awq|act(?:ivation)?_(?:stats?|scale)|fit_(?:temp|bias)", re.IGNORECASE
)
_EVALUATES = re.compile(r"eval|score|timed|log|print|^load_|serialize|^main$|^train", re.IGNORECASE)


@check(
    "X08-validation-calibration",
    title="calibration is not handed validation tokens",
    grade=Grade.STATIC,
    rules=("R-017", "R-020"),
)
def validation_calibration(evidence: Evidence) -> Outcome:
    """Reads the source for calls named for Hessians, GPTQ, calibration or activation statistics that are given
    validation tokens or files.

    WARN: such a call is live. No match is NOT_APPLICABLE.

    Cannot see: calibration under another name or on tokens held in an object; V1 measures the reads.

    Ruling: #728 (2026-03-28): not on evaluation tokens that were not scored yet.

    Violation: `collect_hessians(model, val_tokens)`. Legal contrast: `collect_hessians(model, train_loader)` inside the
    budget (#1394), text that the model generated (#1019).
    """
    source = evidence.source
    if source is None:
        return unread()
    places = list(_handed(source))
    if not places:
        return nothing(source, "calibration call that is given validation tokens")
    return look("calibration is given validation tokens", places)


def _handed(source: Source) -> Iterator[Where]:
    for function, index, call in calls(source):
        name = last_name(call.func)
        if not _CALIBRATES.search(name) or _EVALUATES.search(name):
            continue
        for each in (*call.args, *(keyword.value for keyword in call.keywords)):
            label = source.flow.of(function, each)
            name = last_name(each)
            if name and function.name not in ("<module>",):
                label = source.flow.origin(function, {name}, index)
            if label & Label.VAL and not label & Label.TRAIN:
                yield source.program.where(function, call)
                break
