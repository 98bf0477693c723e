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
from typing import TypeGuard

from verifier.report.figure import GROUND, drawing
from verifier.report.model import FlipSeries, GainSeries, LoggedBpb, Report, Timeline
from verifier.report.wording import bpb_number, clean, number

SMALLEST_CHANGE = 1e-7
"""Nats; smaller changes are drawn as if they were this large."""
LARGEST_DRAWN = 1e60
"""Nats or bits; only a report that was edited has more, and its axes would have no end."""
LARGEST_BPB = 100.0
"""A number beyond it is a broken log's and would hide the others; the table above the pictures has it."""
NAMED_ROWS = 8
"""Seeds that are named beside their dots; of more, the words under the picture name them."""
LARGEST_SEED = 10**12
"""That is named; the words under the picture name any."""
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
    size = max(flip.positions for flip in flips)
    high = size / 28
    with drawing(
        "influence", title, words, "stream position of the score", "position of the changed tokens"
    ) as drawn:
        drawn.span((0, size), (0, size))
        drawn.ticks()
        drawn.axes.fill([0, 0, size], [0, size, size], gid="forbidden", zorder=GROUND)
        drawn.line([(0, 0), (size, size)], "rule", zorder=GROUND)
        for flip in flips:
            start, stop = flip.block
            middle = (start + stop) / 2
            for side, kind, lift in (("before", "bad", high), ("after", "good", high / 2)):
                for since, until, shade in _runs(getattr(flip, side), flip.bin_tokens):
                    bar = (since, min(until, flip.positions), middle - lift, middle + lift)
                    drawn.bars([bar], f"{kind} shade{shade}")
            drawn.bars([(start, stop, middle - 1.3 * high, middle + 1.3 * high)], "ink")
        drawn.note("must stay empty", (0, size), (8, -14))
        drawn.note("the past may matter", (size, 0), (-4, 8), ha="right")
        return Picture("influence", title, words, drawn.svg(), "series.flips")


def _runs(counts: Sequence[int], width: int) -> Iterator[tuple[int, int, int]]:
    """Neighbouring bins of one shade as one: first position, the one after the last, shade of the share that moved."""
    shades = [math.ceil(min(count / width, 1.0) * LEVELS) for count in counts]
    at = 0
    for shade, group in groupby(shades):
        length = len(list(group))
        if shade:
            yield at * width, (at + length) * width, shade
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
    values = [bits for each in gains for bits in each.gain_bits if _drawable(bits)]
    with drawing("gain", title, words, "stream position", "bits under the floor") as drawn:
        low, high = min([0.0, *values]), max([threshold * 1.3, *values])
        room = (high - low) / 20
        drawn.span(
            (0, max(each.positions[-1] for each in gains)), (low - room if low < 0 else 0, high + room)
        )
        drawn.ticks()
        drawn.axes.axhline(threshold, gid="threshold")
        for index, each in enumerate(gains):
            points = [
                (at, bits) for at, bits in zip(each.positions, each.gain_bits, strict=True) if _drawable(bits)
            ]
            if points:
                last = each.gain_bits[-1]
                broken = last is not None and last >= each.threshold_bits
                kind = f"curve dash{index % 3} {'bad' if broken else 'good'}"
                drawn.line(points, kind, each.run)
        drawn.legend()
        return Picture("gain", title, words, drawn.svg(), "series.gains")


def _drawable(value: float | None) -> TypeGuard[float]:
    return value is not None and abs(value) <= LARGEST_DRAWN


def _ends(each: GainSeries) -> str:
    last = each.gain_bits[-1]
    if not _drawable(last):
        return "a score that is no number ends the sum"
    side = "under" if last >= 0 else "over"
    return f"{number(round(abs(last)))} bits {side} the floor at the end ({clean(each.label)})"


def _near(flip: FlipSeries) -> Picture:
    """Absolute change of each score in powers of ten; what did not move has no mark."""
    start, stop = flip.block
    moved = [
        (at, abs(nats)) for at, nats in enumerate(flip.near_nats, flip.near_start) if _drawable(nats) and nats
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
    largest = max([each[1] for each in moved], default=1.0)
    top = 10.0 ** math.ceil(math.log10(max(largest, 10 * SMALLEST_CHANGE)))
    first, last = flip.near_start, flip.near_start + max(len(flip.near_nats) - 1, 1)
    with drawing("near", title, words, "stream position of the score", "nats") as drawn:
        drawn.ticks(log=True)
        drawn.span((first, last), (SMALLEST_CHANGE, top))
        drawn.axes.axvspan(first, start, gid="forbidden", zorder=GROUND)
        drawn.axes.axvspan(start, stop, gid="block", zorder=GROUND)
        for points, kind in ((early, "bad"), (late, "good")):
            drawn.dots([(at, max(nats, SMALLEST_CHANGE)) for at, nats in points], kind)
        drawn.note("must stay empty", (start, top), (-5, -13), ha="right")
        drawn.note("changed", ((start + stop) / 2, top), (0, -13), ha="center")
        return Picture("near", title, words, drawn.svg(), "series.flips")


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
    spans = [*line.reads, *line.commits]
    begin = min([each[0] for each in spans] + [each[0] for each in line.updates])
    end = max([each[1] for each in spans] + [each[1] for each in line.updates])
    lane = line.positions / 12
    with drawing("timeline", title, words, "order of events", "stream position") as drawn:
        drawn.span((begin, end), (-1.5 * lane, line.positions))
        drawn.ticks()
        for kind, name, group in (("read", "reads", line.reads), ("good", "commits", line.commits)):
            drawn.bars([each[:4] for each in group], kind, name)
        drawn.bars(
            [(since, until, -1.3 * lane, -0.3 * lane) for since, until, _ in line.updates],
            "update",
            "updates",
        )
        drawn.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, columnspacing=0.7, handlelength=0.8)
        return Picture("timeline", title, words, drawn.svg(), "series.timeline")


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
    values = [each.val_bpb for each in logged] + [value for _, value, _ in marks]
    room = (max(values) - min(values)) * 0.08 or 1e-4
    middle = (max(values) + min(values)) / 2
    rows = len(logged)
    with drawing("seeds", title, words, "bits per byte") as drawn:
        drawn.ticks()
        named = [
            f"seed {each.seed}" if each.seed is not None and abs(each.seed) < LARGEST_SEED else ""
            for each in logged
        ]
        drawn.axes.set_yticks(range(rows), named if rows <= NAMED_ROWS else [""] * rows)
        step = max(rows, 4) / 7
        drawn.span((min(values) - room, max(values) + room), (-0.7, rows - 0.5 + step * len(marks)))
        for index, (name, value, kind) in enumerate(marks):
            height = rows - 0.3 + step * (len(marks) - 1 - index)
            drawn.line([(value, -0.7), (value, height + step / 2)], f"mark {kind}")
            right = value < middle
            drawn.note(name, (value, height), (4 if right else -4, 0), ha="left" if right else "right")
        drawn.dots([(each.val_bpb, row) for row, each in enumerate(logged)], "seed")
        return Picture("seeds", title, words, drawn.svg(), "bpb")


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
