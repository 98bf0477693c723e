"""D1-calibration-source: which data the log says quantization was calibrated on."""

from __future__ import annotations

from verifier.checks import check
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, State, not_applicable, passed
from verifier.headline import at


@check(
    "D1-calibration-source",
    title="calibration does not read validation data",
    grade=Grade.LOG,
    rules=("R-017",),
)
def calibration_source(evidence: Evidence) -> list[Outcome]:
    """Reads what each log says about the data that calibrated its quantization. The words are the author's
    own, so they can warn and cannot convict.

    PASS: the log says training shards or text that the model generated itself. WARN: it says validation
    data. NOT_APPLICABLE: no log speaks of calibration.

    Cannot see: a calibration that prints nothing, or words that differ from the code; the order tape of a
    probe shows the reads themselves.

    Ruling: #728 (2026-03-28), validation tokens may not calibrate before they are scored; self-generated
    calibration was merged in #1019.

    Violation: `gptq:using validation data for calibration`. Legal contrast: a script named `ValCalib` whose
    log says `gptq:generating autoregressive calibration data`.
    """
    spoken = [log for log in evidence.submission.logs if log.calibration_source is not None]
    if not spoken:
        return [not_applicable("no log names the data of a calibration")]
    outcomes: list[Outcome] = []
    for source in sorted({log.calibration_source or "" for log in spoken}):
        logs = [log for log in spoken if log.calibration_source == source]
        places = tuple(at(log, log.calibration_line) for log in logs)
        if source == "val":
            outcomes.append(
                Outcome(
                    State.WARN,
                    f"{len(logs)} logs say that validation data calibrated it (the author's own words)",
                    places,
                    try_next="calibrate on training shards inside the budget, or on self-generated text",
                )
            )
        else:
            outcomes.append(passed(f"{len(logs)} logs say that calibration read {source} data", *places))
    return outcomes
