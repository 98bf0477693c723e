"""The frontier as pictures: all lines on one scale, and those of unbroken claims enlarged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from verifier.report.pictures import Picture
from verifier.report.svg import BOTTOM, HEIGHT, RIGHT, WIDTH, Canvas, Scale
from verifier.report.wording import bpb_number
from verifier.site.frontier import Step

KINDS = {"claimed": "bad dash2", "not broken": "ink dash1", "compliant": "good"}
WORTH_ENLARGING = 2.0
"""Times that the range of all lines is the range of the unbroken ones."""
DATA = "frontier.json"
LABEL_WIDTH, LABEL_HEIGHT = 90, 14


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
    canvas = Canvas(slug, title, words)
    room = (max(values) - min(values)) * 0.06 or 0.01
    x = canvas.x(first.toordinal(), last.toordinal())
    y = canvas.y(max(min(values) - room, 0.0), max(values) + room)
    canvas.axes(x, y, "day, as submission.json gives it", "bits per byte", _day)
    canvas.legend(*((KINDS[name].split()[0], name) for name in lines))
    for name, steps in lines.items():
        canvas.path(list(_corners(steps, x, y)), f"curve {KINDS[name]}")
    ends = sorted(lines.values(), key=lambda steps: -steps[-1].val_bpb)
    # Lines that end as one have one label, of the stricter.
    apart = [
        steps
        for index, steps in enumerate(ends)
        if all(abs(y(steps[-1].val_bpb) - y(other[-1].val_bpb)) > LABEL_HEIGHT for other in ends[:index])
    ]
    for steps in apart:
        _label(canvas, steps, x, y, highest=steps is ends[0])
    return Picture(slug, title, words, canvas.svg(), DATA)


def _label(canvas: Canvas, steps: tuple[Step, ...], x: Scale, y: Scale, highest: bool) -> None:
    """Where a line ends and whose it is: over the highest line, under the others, left of one that just fell."""
    end, right = steps[-1], WIDTH - RIGHT
    words = f"{'' if end.pr is None else f'#{end.pr} '}{bpb_number(end.val_bpb)}"
    edge = right - LABEL_WIDTH
    before = [step for step in steps if x(step.day.toordinal()) <= edge][-1:]
    near = [step for step in steps if x(step.day.toordinal()) > edge]
    heights = [y(step.val_bpb) for step in [*before, *near]]
    if not highest and y(end.val_bpb) < HEIGHT - BOTTOM - 20:
        canvas.text(right, max(heights) + 15, words, "note", "end")
    elif not highest and near:
        canvas.text(x(end.day.toordinal()) - 6, y(end.val_bpb) + 3, words, "note", "end")
    else:
        canvas.text(right, min(heights) - 7, words, "note", "end")


def _corners(steps: tuple[Step, ...], x: Scale, y: Scale) -> Iterator[tuple[float, float]]:
    """A line that stays where it is until the day of the next step."""
    height = y(steps[0].val_bpb)
    for step in steps:
        yield x(step.day.toordinal()), height
        height = y(step.val_bpb)
        yield x(step.day.toordinal()), height
    yield float(WIDTH - RIGHT), height


def _day(ordinal: float) -> str:
    return date.fromordinal(round(ordinal)).strftime("%d %b").lstrip("0")


def _told(name: str, steps: tuple[Step, ...]) -> str:
    first, last = steps[0], steps[-1]
    whose = "" if last.pr is None else f" (#{last.pr})"
    return (
        f"{name.capitalize()}: {len(steps)} step{'s' if len(steps) > 1 else ''}, from "
        f"{bpb_number(first.val_bpb)} on {first.day} to {bpb_number(last.val_bpb)} on {last.day}{whose}."
    )
