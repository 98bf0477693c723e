"""How a run ended: a status and one line of reason, from outside first and from the child's own words second."""

from __future__ import annotations

from typing import NamedTuple

from verifier.probe.job import Ended, Outcome
from verifier.probe.tape import Tape


class Ending(NamedTuple):
    """`finished`, `raised`, `exit`, `killed`, or the limit that was passed; the reason is empty for the first."""

    status: str
    reason: str


def ending_of(outcome: Outcome, tape: Tape) -> Ending:
    """A run that left without its last word was killed, whatever its exit code."""
    if outcome.ended is not Ended.EXIT:
        return Ending(str(outcome.ended), outcome.message)
    code = outcome.exit_code
    status = str(tape.end.get("status") or "killed")
    if status == "finished":
        return Ending("finished", "") if code == 0 else Ending("exit", f"exit code {code}")
    places = " < ".join(str(each) for each in reversed(tape.end.get("at") or ()))
    if status == "raised":
        return Ending(status, f"{tape.end.get('error')}" + (f" at {places}" if places else ""))
    last = outcome.stderr.decode("utf-8", "replace").strip().splitlines()
    return Ending(status, f"exit code {code}; last line: {last[-1][:300] if last else '(none)'}")
