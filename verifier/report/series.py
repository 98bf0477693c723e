"""Bounded arrays out of a probe record, for the report's pictures: what moved, what was gained, what came when.

Nothing here decides: the checks measured the same record in full, and every number that a finding states is
theirs. Arrays are cut to a fixed number of points whatever the stream's length is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from verifier.probe.dirty import FlipResult, flip_results
from verifier.probe.floor import gains_of_scores, threshold_bits
from verifier.probe.passes import Committed, Pass
from verifier.probe.record import ProbeRecord, Run
from verifier.probe.stress import SMALL_TABLES
from verifier.probe.tape import Forward, Step
from verifier.report.model import FlipSeries, GainSeries, Series, Span, Timeline

BINS = 256
NEAR_TOKENS = 160
"""Positions shown on each side of a redrawn block."""
GAIN_POINTS = 256
SPANS = 240
MOST_FLIPS = 8
T = TypeVar("T")
LARGEST_NATS = 1e30
"""A script may print and score anything; beyond this a picture shows nothing more."""
FLOOR_STREAMS = ("uniform", "small alphabet", SMALL_TABLES)


@np.errstate(over="ignore", invalid="ignore")
def series_of(record: ProbeRecord) -> Series | None:
    """The arrays of a record; None where its base run gave no number."""
    base = record.base
    head = None if base is None else record.headline_pass(base)
    if base is None or head is None:
        return None
    return Series(
        flips=tuple(_flip(result, base, head) for result in flip_results(record, base, head)[:MOST_FLIPS])
        if head.reconciled
        else (),
        gains=_gains(record),
        timeline=_timeline(base, head) if head.reconciled else None,
    )


def _flip(result: FlipResult, base: Run, head: Pass) -> FlipSeries:
    size, block = base.stream.ids.size, result.block
    own = head.committed(size)
    twin = result.run.twin(head, base)
    assert twin is not None  # `flip_results` found it
    change = _change(own, twin.committed(size))
    moved = np.nan_to_num(change) != 0.0
    illegal = np.zeros(size, dtype=bool)
    illegal[result.influence.moved] = True
    inside = np.zeros(size, dtype=bool)
    inside[block.start : block.stop] = True
    width = math.ceil(size / BINS)
    starts = np.arange(0, size, width)
    near = range(max(block.start - NEAR_TOKENS, 0), min(block.stop + NEAR_TOKENS, size))
    return FlipSeries(
        run=result.run.name,
        block=(block.start, block.stop),
        positions=size,
        bin_tokens=width,
        before=tuple(np.add.reduceat(illegal, starts, dtype=np.int64).tolist()),
        after=tuple(np.add.reduceat(moved & ~illegal & ~inside, starts, dtype=np.int64).tolist()),
        largest_nats=tuple(map(_short, np.maximum.reduceat(np.abs(np.nan_to_num(change)), starts))),
        near_start=near.start,
        near_nats=tuple(
            _short(each) if np.isfinite(each) else None for each in change[near.start : near.stop]
        ),
    )


def _change(own: Committed, other: Committed) -> NDArray[np.float64]:
    """Flipped less unflipped; NaN where a position lacks a finite score in either."""
    both = own.scored & other.scored & np.isfinite(own.values) & np.isfinite(other.values)
    change = np.full(own.values.size, np.nan)
    change[both] = np.clip(other.values[both] - own.values[both], -LARGEST_NATS, LARGEST_NATS)
    return change


def _gains(record: ProbeRecord) -> tuple[GainSeries, ...]:
    streams = [run for name in FLOOR_STREAMS if (run := record.run(name)) is not None]
    threshold = threshold_bits(sum(len(run.passes) for run in streams))
    heads = [(run, record.headline_pass(run)) for run in streams]
    return tuple(
        _gain(run, head, threshold, record.device.rounding)
        for run, head in heads
        if head is not None and head.reconciled
    )


def _gain(run: Run, head: Pass, threshold: float, rounding: float) -> GainSeries:
    positions, gains_nats, _ = gains_of_scores(head, run.stream, rounding)
    total_bits = np.cumsum(gains_nats) / math.log(2)
    at = _spread(positions.size, GAIN_POINTS)
    return GainSeries(
        run=run.name,
        label=head.label,
        threshold_bits=round(threshold, 3),
        positions=tuple(positions[at].tolist()),
        gain_bits=tuple(
            round(float(each), 2) if abs(each) < LARGEST_NATS else None for each in total_bits[at]
        ),
    )


def _timeline(base: Run, head: Pass) -> Timeline:
    size = base.stream.ids.size
    committed = head.committed(size)
    positions = np.flatnonzero(committed.scored)
    order = committed.order[positions]
    turns = np.argsort(order, kind="stable")
    events, starts = np.unique(order[turns], return_index=True)
    low = np.minimum.reduceat(positions[turns], starts) if events.size else events
    high = np.maximum.reduceat(positions[turns], starts) if events.size else events
    reads = [
        (event.number, min(start for start, _ in inside), max(stop for _, stop in inside) - 1)
        for event in base.tape.of(Forward)
        if (
            inside := [
                (max(start, 0), min(stop, size)) for start, stop in event.ranges if start < min(stop, size)
            ]
        )
    ]
    steps = sorted(event.number for event in base.tape.of(Step))
    return Timeline(
        label=head.label,
        events=max((event.number for event in base.tape.events), default=0) + 1,
        positions=size,
        reads=_spans(reads),
        commits=_spans(list(zip(events.tolist(), low.tolist(), high.tolist(), strict=True))),
        updates=tuple((group[0], group[-1], len(group)) for group in _groups(steps)),
    )


def _spans(moments: Sequence[tuple[int, int, int]]) -> tuple[Span, ...]:
    """Event, lowest and highest position, neighbours merged until they are few enough."""
    return tuple(
        (group[0][0], group[-1][0], min(m[1] for m in group), max(m[2] for m in group), len(group))
        for group in _groups(sorted(moments))
    )


def _groups(items: Sequence[T]) -> list[Sequence[T]]:
    size = max(math.ceil(len(items) / SPANS), 1)
    return [items[at : at + size] for at in range(0, len(items), size)]


def _spread(size: int, points: int) -> NDArray[np.int64]:
    """Indices over 0..size-1, evenly, both ends included."""
    return np.unique(np.linspace(0, max(size - 1, 0), min(size, points)).astype(np.int64))


def _short(value: float) -> float:
    """Four significant digits: a picture has no more."""
    return float(f"{value:.4g}")
