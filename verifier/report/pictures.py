"""The report's pictures: what a flip moved, what was gained, what came when, and how far the seeds reach.

Each is drawn from the report alone and says in words what it shows, for readers who cannot see it. A picture
whose data are missing is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from verifier.report.model import FlipSeries, GainSeries, LoggedBpb, Report, Timeline
from verifier.report.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Canvas, Scale
from verifier.report.wording import bpb_number, clean, number

SMALLEST_CHANGE = 1e-7
"""Nats; smaller changes are drawn as if they were this large."""
LARGEST_BPB = 100.0
"""A number beyond it is a broken log's and would hide the others; the table above the pictures has it."""
LABEL_WIDTH = 45
"""Of a seed's number, which stands on the side where no line crosses it."""
LEVELS = 4
"""Shades of a bin, by the share of its scores that moved."""


@dataclass(frozen=True)
class Picture:
    slug: str
    title: str
    words: str
    """What it shows, with its numbers."""
    svg: str
    data: str
    """Path of its data in the JSON report, with dots."""


def pictures(report: Report) -> tuple[Picture, ...]:
    """Those that the report has data for, most telling first."""
    return tuple(_pictures(report))


def _pictures(report: Report) -> Iterator[Picture]:
    series = report.series
    if series is not None and series.flips:
        yield _influence(series.flips)
    if series is not None and any(each.gain_bits for each in series.gains):
        yield _gain([each for each in series.gains if each.gain_bits])
    if series is not None and series.flips:
        worst = max(series.flips, key=lambda flip: sum(flip.before))
        yield _near(worst)
    if series is not None and series.timeline is not None and series.timeline.commits:
        yield _timeline(series.timeline)
    logged = [each for each in report.bpb.logged if 0.0 <= each.val_bpb <= LARGEST_BPB]
    if len(logged) > 1:
        yield _seeds(report, logged)


def _influence(flips: Sequence[FlipSeries]) -> Picture:
    """Across: the score. Upwards: the tokens that were changed. Left of the diagonal is the future's side."""
    before, after = (sum(sum(getattr(flip, side)) for flip in flips) for side in ("before", "after"))
    blocks = f"{len(flips)} changed block" + ("s" if len(flips) > 1 else "")
    words = (
        f"{number(before) if before else 'No'} scores moved that had been committed before the tokens were changed: a "
        f"legal method leaves that side empty. {number(after)} that could know the change moved. {blocks}."
    )
    title = "Which scores moved when other tokens changed"
    canvas = Canvas("influence", title, words)
    size = max(flip.positions for flip in flips)
    x, y = canvas.x(0, size), canvas.y(0, size)
    canvas.polygon([(x(0), y(0)), (x(0), y(size)), (x(size), y(size))], "forbidden")
    canvas.axes(x, y, "stream position of the score", "position of the changed tokens")
    canvas.line(x(0), y(0), x(size), y(size), "rule")
    for flip in flips:
        middle = y((flip.block[0] + flip.block[1]) / 2)
        for side, kind, lift in (("before", "bad", 7), ("after", "good", 4)):
            for start, stop, share in _runs(getattr(flip, side), flip.bin_tokens):
                edge = x(min(stop, flip.positions))
                canvas.rect(x(start), middle - lift, edge - x(start), 2 * lift, kind, share)
        canvas.rect(x(flip.block[0]), middle - 9, x(flip.block[1]) - x(flip.block[0]), 18, "ink")
    canvas.text(LEFT + 8, TOP + 14, "must stay empty", "note", "start")
    canvas.text(WIDTH - RIGHT - 4, HEIGHT - BOTTOM - 8, "the past may matter", "note", "end")
    return Picture("influence", title, words, canvas.svg(), "series.flips")


def _runs(counts: Sequence[int], width: int) -> Iterator[tuple[int, int, float]]:
    """Neighbouring bins of one shade as one: first position, the one after the last, share that moved."""
    shades = [math.ceil(min(count / width, 1.0) * LEVELS) for count in counts]
    at = 0
    for shade, group in groupby(shades):
        length = len(list(group))
        if shade:
            yield at * width, (at + length) * width, shade / LEVELS
        at += length


def _gain(gains: Sequence[GainSeries]) -> Picture:
    threshold = max(each.threshold_bits for each in gains)
    words = " ".join(
        [
            f"At the end of the stream, {threshold:.0f} bits prove a breach, by odds of 2^-64.",
            *(f"{clean(each.run)}: {_ends(each)}." for each in gains),
        ]
    )
    title = "Bits gained over the entropy, along the stream"
    canvas = Canvas("gain", title, words)
    values = [bits for each in gains for bits in each.gain_bits if bits is not None]
    x = canvas.x(0, max(each.positions[-1] for each in gains))
    y = canvas.y(min([0.0, *values]), max([threshold * 1.3, *values]))
    canvas.axes(x, y, "stream position", "bits under the floor")
    canvas.line(LEFT, y(threshold), WIDTH - RIGHT, y(threshold), "threshold")
    for index, each in enumerate(gains):
        points = [
            (x(at), y(bits))
            for at, bits in zip(each.positions, each.gain_bits, strict=True)
            if bits is not None
        ]
        if points:
            last = each.gain_bits[-1]
            broken = last is not None and last >= each.threshold_bits
            canvas.path(points, f"curve dash{index % 3} {'bad' if broken else 'good'}")
            right, height = points[-1]
            span = 6 * len(each.run) + 8
            room = right < WIDTH - RIGHT - span
            near = [at for along, at in points if along >= right - span]
            over = height - 3 if height > HEIGHT - BOTTOM - 8 else height + 4
            if not room:
                over = min(near) - 6 if min(near) > TOP + 20 else max(near) + 14
            canvas.text(right + 5 if room else right - 2, over, each.run, "note", "start" if room else "end")
    return Picture("gain", title, words, canvas.svg(), "series.gains")


def _ends(each: GainSeries) -> str:
    last = each.gain_bits[-1]
    if last is None:
        return "a score that is no number ends the sum"
    side = "under" if last >= 0 else "over"
    return f"{number(round(abs(last)))} bits {side} the floor at the end ({clean(each.label)})"


def _near(flip: FlipSeries) -> Picture:
    """Absolute change of each score in powers of ten; what did not move has no mark."""
    start, stop = flip.block
    moved = [
        (at, abs(nats))
        for at, nats in enumerate(flip.near_nats, flip.near_start)
        if nats is not None and nats
    ]
    early = [each for each in moved if each[0] < start]
    late = [each for each in moved if each[0] >= stop]
    scored = sum(nats is not None for nats in flip.near_nats[: start - flip.near_start])
    words = (
        f"{clean(flip.run)}: tokens {number(start)} to {number(stop - 1)} were changed. Of the {scored} scores "
        f"shown before them {len(early)} moved"
        + (f", by up to {max(each[1] for each in early):.3g} nats" if early else "")
        + f"; of those shown after them {len(late)} did."
    )
    title = "Change of each score around a changed block"
    canvas = Canvas("near", title, words)
    x = canvas.x(flip.near_start, flip.near_start + max(len(flip.near_nats) - 1, 1))
    largest = max([each[1] for each in moved], default=1.0)
    y = canvas.y(SMALLEST_CHANGE, 10.0 ** math.ceil(math.log10(max(largest, 10 * SMALLEST_CHANGE))), log=True)
    canvas.rect(LEFT, TOP, x(start) - LEFT, HEIGHT - BOTTOM - TOP, "forbidden")
    canvas.rect(x(start), TOP, x(stop) - x(start), HEIGHT - BOTTOM - TOP, "block")
    canvas.axes(x, y, "stream position of the score", "nats")
    for points, kind in ((early, "bad"), (late, "good")):
        canvas.dots([(x(at), y(max(nats, SMALLEST_CHANGE))) for at, nats in points], kind)
    canvas.text(x(start) - 5, TOP + 13, "must stay empty", "note", "end")
    canvas.text((x(start) + x(stop)) / 2, TOP + 13, "changed", "note", "middle")
    return Picture("near", title, words, canvas.svg(), "series.flips")


def _timeline(line: Timeline) -> Picture:
    steps = sum(each[2] for each in line.updates)
    first = min(each[0] for each in line.commits)
    early = sum(each[2] for each in line.updates if each[1] < first)
    words = (
        f"{clean(line.label)}: {number(sum(each[4] for each in line.reads))} reads of validation tokens, "
        f"{number(sum(each[4] for each in line.commits))} commits of scores, {number(steps)} updates learned from "
        f"validation tokens, {number(early)} of them before the first commit."
    )
    title = "Reads, commits and updates, in order"
    canvas = Canvas("timeline", title, words)
    spans = [*line.reads, *line.commits]
    begin = min([each[0] for each in spans] + [each[0] for each in line.updates])
    end = max([each[1] for each in spans] + [each[1] for each in line.updates])
    x = canvas.x(begin, max(end, begin + 1))
    lane = 22
    y = Scale(0, line.positions, HEIGHT - BOTTOM - lane, TOP)
    canvas.axes(x, None, "order of events")
    canvas.text(2, 10, "stream position", "axis", "start")
    canvas.legend(("read", "reads"), ("good", "commits"), ("update", "updates"))
    for value in y.ticks():
        canvas.line(LEFT, y(value), WIDTH - RIGHT, y(value), "grid")
        canvas.text(LEFT - 5, y(value) + 4, number(value), "tick", "end")
    for kind, group in (("read", line.reads), ("good", line.commits)):
        for since, until, low, high, _ in group:
            canvas.rect(x(since), y(high), x(until) - x(since), y(low) - y(high), kind)
    for since, until, _ in line.updates:
        canvas.rect(x(since), HEIGHT - BOTTOM - 14, x(until) - x(since), 12, "update")
    canvas.text(0, HEIGHT - BOTTOM - 4, "updates", "tick", "start")
    return Picture("timeline", title, words, canvas.svg(), "series.timeline")


def _seeds(report: Report, logged: Sequence[LoggedBpb]) -> Picture:
    """One dot for each log; to the right, the frontiers that these seeds would beat."""
    mean = fmean(each.val_bpb for each in logged)
    frontiers, claimed = _reach(report), report.bpb.claimed
    marks = [("mean", mean, "ink"), *frontiers]
    if claimed is not None and 0.0 <= claimed <= LARGEST_BPB and bpb_number(claimed) != bpb_number(mean):
        marks.append(("claimed", claimed, "ink"))
    told = [f"Mean {bpb_number(mean)}, claimed {bpb_number(claimed)}."]
    told += [
        f"They beat a frontier above {bpb_number(value)} by the {name} (its own spread apart)."
        for name, value, _ in frontiers
    ]
    words = (
        f"{len(logged)} logs: "
        + ", ".join(
            bpb_number(each.val_bpb) + ("" if each.seed is None else f" (seed {each.seed})")
            for each in logged
        )
        + f". {' '.join(told)}"
    )
    title = "Seeds, and how far from the frontier they are"
    canvas = Canvas("seeds", title, words)
    values = [each.val_bpb for each in logged] + [value for _, value, _ in marks]
    room = (max(values) - min(values)) * 0.08 or 1e-4
    x = canvas.x(min(values) - room, max(values) + room)
    canvas.axes(x, None, "bits per byte")
    for index, (name, value, kind) in enumerate(marks):
        height = TOP + 14 + 18 * index
        canvas.line(x(value), height - 8, x(value), HEIGHT - BOTTOM, f"mark {kind}")
        right = x(value) < (LEFT + WIDTH) / 2
        canvas.text(x(value) + (4 if right else -4), height, name, "note", "start" if right else "end")
    for index, each in enumerate(logged):
        height = HEIGHT - BOTTOM - 20 - 16 * (index % 5)
        canvas.circle(x(each.val_bpb), height, 4.5, "seed")
        if each.seed is not None:
            right = x(each.val_bpb) < WIDTH - 90 and not any(
                0 <= x(value) - x(each.val_bpb) < LABEL_WIDTH for _, value, _ in marks
            )
            canvas.text(
                x(each.val_bpb) + (8 if right else -8),
                height + 4,
                f"{each.seed}",
                "note",
                "start" if right else "end",
            )
    return Picture("seeds", title, words, canvas.svg(), "bpb")


def _reach(report: Report) -> list[tuple[str, float, str]]:
    """The frontiers that S1-seeds computed; a report that was edited may hold anything there."""
    found: object = next(
        (each.evidence["reach"] for each in report.findings if "reach" in each.evidence), None
    )
    names = {"practice": "final practice: p<0.25", "written": "written rule: 0.005 nats, p<0.01"}
    values = found if isinstance(found, dict) else {}
    return [
        (words, float(value), "threshold")
        for name, words in names.items()
        if isinstance(value := values.get(name), int | float) and 0.0 <= value <= LARGEST_BPB
    ]
