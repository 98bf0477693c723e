"""The frontier as pictures: all lines on one scale, and those of unbroken claims enlarged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from verifier.report.figure import drawing
from verifier.report.pictures import Picture
from verifier.report.wording import bpb_number
from verifier.site.frontier import Step

KINDS = {"claimed": "bad dash2", "not broken": "ink dash1", "compliant": "good"}
WORTH_ENLARGING = 2.0
"""Times that the range of all lines is the range of the unbroken ones."""
DATA = "frontier.json"


def frontier_pictures(lines: Mapping[str, tuple[Step, ...]]) -> tuple[Picture, ...]:
    """None without a claim; the enlarged one only where the first hides it."""
    return tuple(_pictures({name: steps for name, steps in lines.items() if steps}))


def _pictures(lines: Mapping[str, tuple[Step, ...]]) -> Iterator[Picture]:
    if not lines:
        return
    yield _drawn("frontier", "Lowest bits per byte over time", lines, lines)
    unbroken = {name: steps for name, steps in lines.items() if name != "claimed"}
    if unbroken and _range(lines) > WORTH_ENLARGING * _range(unbroken):
        yield _drawn("unbroken", "The same, without what is broken", unbroken, lines)


def _range(lines: Mapping[str, tuple[Step, ...]]) -> float:
    values = [step.val_bpb for steps in lines.values() for step in steps]
    return max(values) - min(values)


def _drawn(
    slug: str, title: str, lines: Mapping[str, tuple[Step, ...]], whole: Mapping[str, tuple[Step, ...]]
) -> Picture:
    days = [step.day for steps in whole.values() for step in steps]
    first, last = min(days), max(days) + timedelta(days=1)
    values = [step.val_bpb for steps in lines.values() for step in steps]
    words = " ".join(_told(name, steps) for name, steps in lines.items())
    room = (max(values) - min(values)) * 0.06 or 0.01
    with drawing(slug, title, words, "day, as submission.json gives it", "bits per byte") as drawn:
        drawn.span((first.toordinal(), last.toordinal()), (max(min(values) - room, 0.0), max(values) + room))
        drawn.ticks(_day)
        for name, steps in lines.items():
            end = steps[-1]
            whose = "" if end.pr is None else f" (#{end.pr})"
            points = [(step.day.toordinal(), step.val_bpb) for step in steps]
            points.append((last.toordinal(), end.val_bpb))
            said = f"{name}: {bpb_number(end.val_bpb)}{whose}"
            drawn.line(points, f"curve {KINDS[name]}", said, drawstyle="steps-post")
        drawn.legend()
        return Picture(slug, title, words, drawn.svg(), DATA)


def _day(ordinal: float) -> str:
    return date.fromordinal(round(ordinal)).strftime("%d %b").lstrip("0")


def _told(name: str, steps: tuple[Step, ...]) -> str:
    first, last = steps[0], steps[-1]
    whose = "" if last.pr is None else f" (#{last.pr})"
    return (
        f"{name.capitalize()}: {len(steps)} step{'s' if len(steps) > 1 else ''}, from "
        f"{bpb_number(first.val_bpb)} on {first.day} to {bpb_number(last.val_bpb)} on {last.day}{whose}."
    )
