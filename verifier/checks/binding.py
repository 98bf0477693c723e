"""L1-binding: whether a log came from the script that lies beside it."""

from __future__ import annotations

from dataclasses import replace

from verifier.checks import check
from verifier.codesize import smallest_packed
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where, passed, unverified, warned
from verifier.headline import at, claimed_logs
from verifier.submission import Log, LoggedSize, Script, Submission

PACKED_SLACK = 0.15
"""Relative. Minifiers differ in names and spaces; a packed size further from ours is another script."""


@check(
    "L1-binding",
    title="the logs came from the shipped script",
    grade=Grade.LOG,
    rules=("R-086",),
)
def binding(evidence: Evidence) -> list[Outcome]:
    """Compares each claimed log with the shipped script: the `Code size: N bytes` that the run printed with
    the sizes of the file, of the program it unpacks to, and of these with the siblings it loads; and the
    listing that the log embeds with that program's SHA-256.

    PASS: the listing or a size agrees. WARN: neither agrees, with both numbers. UNVERIFIED: the logs carry
    no size and no listing, or there is no script.

    Cannot see: an edit that keeps the length, or a log that was edited to agree.

    Ruling: README asks for reproducible records; a number from other code than the code shipped is none of
    this submission's (R-086). No pull request was closed over the size alone, so this is never FAIL.

    Violation: `Code size: 50232 bytes` beside a script of 48,917 bytes that unpacks to 61,004. Legal
    contrast: `Code size: 78688 bytes` beside a packed script of 23,095 bytes that unpacks to 78,688.
    """
    submission = evidence.submission
    script = submission.script
    logs = claimed_logs(submission)
    if script is None or not logs:
        missing = "no script" if script is None else "0 logs with a final result"
        return [unverified(f"{missing}: nothing to compare", try_next="ship the script and each seed's log")]
    outcomes = [_bind(submission, script, log) for log in logs]
    bound = [outcome for outcome in outcomes if outcome is not None]
    if not bound:
        return [
            unverified(
                f"0 of {len(logs)} logs print a code size or a source listing",
                Where(script.path),
                try_next="print the script's SHA-256 at the start of each log",
            )
        ]
    merged: dict[tuple[str, str], Outcome] = {}
    for outcome in bound:
        key = (outcome.state.value, outcome.message)
        known = merged.get(key)
        merged[key] = outcome if known is None else replace(known, where=known.where + outcome.where[1:])
    return list(merged.values())


def _bind(submission: Submission, script: Script, log: Log) -> Outcome | None:
    where = Where(script.path)
    if log.source_sha256 is not None and log.source_sha256 in (script.payload_sha256, script.sha256):
        return passed("the log's listing is the shipped program, byte for byte", where, at(log, 1))
    sizes = _known_sizes(submission, script)
    logged = [size for size in log.sizes if size.kind == "code"]
    if not logged:
        return None
    for size in logged:
        name = next((name for name, known in sizes.items() if known == size.size_bytes), None)
        if name is not None:
            return passed(f"code size {size.size_bytes:,} is {name}", where, at(log, size.line))
    if packed := _packed_match(script, logged):
        return passed(packed, where, at(log, logged[0].line))
    numbers = ", ".join(f"{size.size_bytes:,}" for size in logged)
    here = ", ".join(f"{name} {known:,}" for name, known in sizes.items())
    outcome = warned(
        f"code size {numbers} in the log; {here}",
        where,
        at(log, logged[0].line),
        logged=[size.size_bytes for size in logged],
        shipped=sizes,
    )
    return replace(
        outcome,
        try_next="rerun the seeds with the shipped script, or ship the script that made the logs",
    )


def _packed_match(script: Script, logged: list[LoggedSize]) -> str | None:
    """A log that prints the packed size alone, near what our own packing of the program gives."""
    if any("uncompressed" in size.label or not size.label for size in logged):
        return None
    packed = smallest_packed(script.source).size_bytes
    near = next((s for s in logged if abs(s.size_bytes / packed - 1) <= PACKED_SLACK), None)
    return f"packed code size {near.size_bytes:,}, {packed:,} when packed here" if near else None


def _known_sizes(submission: Submission, script: Script) -> dict[str, int]:
    payload = len(script.source.encode("utf-8", "surrogatepass"))
    siblings = sum(file.size_bytes for file in submission.files if file.path in script.siblings)
    sizes = {"the shipped file": script.size_bytes, "the program it unpacks to": payload}
    characters = len(script.source)
    if characters != payload:
        sizes["its characters"] = characters
    sizes |= {file.path: file.size_bytes for file in submission.files if file.path in script.siblings}
    if siblings:
        sizes["the file with its siblings"] = script.size_bytes + siblings
        sizes["the program with its siblings"] = payload + siblings
    return {
        name: size for name, size in sizes.items() if size != script.size_bytes or name == "the shipped file"
    }
