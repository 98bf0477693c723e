"""Take a run apart into passes: which recorded scores each printed loss is the mean of.

Scores that leave the computation at one place of the code form a family. When a line with a loss is
printed, the family (or the families of one call from the main program) whose mean equals the printed
number is the pass behind it. A printed number that no family explains stays unreconciled, and what
rests on capture is then UNVERIFIED for it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from verifier.intake.metric import metrics_of_line, same_label
from verifier.probe.tape import Print, Score, Tape
from verifier.submission import Metric

FLOAT32_MEAN = 3e-6
"""Nats: a mean that the script took in float32 against ours in float64 (seen: at most 7e-7)."""

MAX_PASSES = 2_000
"""Numbers that are read of one run. A script prints some hundred at audit scale; one that prints on is not waited for."""

SAME_RATIO = 1e-3
"""Relative: what four printed digits leave open."""

Family = tuple[int, str]


@dataclass(frozen=True)
class Pass:
    """The scores behind one printed loss, in the order in which they were committed."""

    label: str
    loss_nats: float
    val_bpb: float | None
    loss_digits: int
    bpb_digits: int
    printed: int
    """Event number of the line."""
    line: str
    scores: tuple[Score, ...] = field(repr=False, default=())
    """Empty when the number was not reconciled."""
    aliases: tuple[str, ...] = ()
    """Other labels under which the same scores were printed."""
    final: bool = True
    derived: bool = False
    """True where no loss was printed: `loss_nats` is what the printed BPB comes to over true bytes."""

    @property
    def reconciled(self) -> bool:
        return bool(self.scores)

    @property
    def first_event(self) -> int:
        return min((int(s.order.min()) for s in self.scores if s.order.size), default=self.printed)

    @property
    def last_event(self) -> int:
        return self.scores[-1].number if self.scores else self.printed

    def committed(self, stream_size: int) -> Committed:
        """Each position's first commit."""
        values = np.full(stream_size, np.nan)
        order = np.full(stream_size, -1, dtype=np.int64)
        sites = np.full(stream_size, -1, dtype=np.int64)
        times = np.zeros(stream_size, dtype=np.int64)
        for score in reversed(self.scores):
            # Later events first, and within an event later entries first, so the first commit stays.
            at = score.positions[::-1]
            values[at] = score.values[::-1]
            order[at] = score.order[::-1]
            sites[at] = score.site
            np.add.at(times, at, 1)
        return Committed(values, order, sites, times)


@dataclass(frozen=True)
class Committed:
    """Arrays over stream positions; NaN and -1 where a position was never scored."""

    values: NDArray[np.float64]
    order: NDArray[np.int64]
    sites: NDArray[np.int64]
    times: NDArray[np.int64]
    """How often each position entered the reported mean."""

    @property
    def scored(self) -> NDArray[np.bool_]:
        return self.times > 0


@dataclass
class _Segment:
    """Scores of one family since its last match; new scores after a match start afresh."""

    scores: list[Score] = field(default_factory=list)
    total: float = 0.0
    count: int = 0
    matched: bool = False

    def add(self, score: Score) -> None:
        if self.matched:
            self.scores, self.total, self.count, self.matched = [], 0.0, 0, False
        self.scores.append(score)
        self.total += float(score.values.sum())
        self.count += int(score.values.size)


def find_passes(
    tape: Tape, true_bytes: NDArray[np.int64] | None = None, headline: str | None = None
) -> tuple[Pass, ...]:
    """The passes of a run, in the order printed.

    A line with bits per byte alone is a pass when recorded scores explain it over `true_bytes` (of each
    stream position), its loss being theirs, or when its label is the `headline`.
    """
    segments: dict[Family, _Segment] = defaultdict(_Segment)
    found: list[Pass] = []
    for event in tape.events:
        if len(found) >= MAX_PASSES:
            break
        if isinstance(event, Score):
            segments[event.site, event.how].add(event)
        elif isinstance(event, Print):
            metrics = list(metrics_of_line(event.text, 0))
            metric = next((m for m in metrics if m.val_loss is not None), None)
            if metric is None or metric.val_loss is None:
                if true_bytes is not None:
                    found += _in_bytes(event, metrics, segments, tape, true_bytes, found, headline)
                continue
            scores = _explain(metric, segments, tape)
            aliases = _aliases(scores, found)
            found.append(
                Pass(
                    label=metric.label,
                    loss_nats=metric.val_loss,
                    val_bpb=metric.val_bpb,
                    loss_digits=metric.loss_digits,
                    bpb_digits=metric.bpb_digits,
                    printed=event.number,
                    line=event.text,
                    scores=scores,
                    aliases=aliases,
                    final=metric.final,
                )
            )
    return tuple(found)


def _explain(metric: Metric, segments: dict[Family, _Segment], tape: Tape) -> tuple[Score, ...]:
    assert metric.val_loss is not None
    slack = 0.5 * 10.0**-metric.loss_digits + FLOAT32_MEAN
    for group in _candidates(segments, tape):
        total, count = sum(s.total for s in group), sum(s.count for s in group)
        if count and abs(total / count - metric.val_loss) <= slack:
            for segment in group:
                segment.matched = True
            return _in_order(group)
    return ()


def _in_order(group: Iterable[_Segment]) -> tuple[Score, ...]:
    return tuple(sorted((score for segment in group for score in segment.scores), key=lambda s: s.number))


def _bytes_of(scores: Iterable[Score], true_bytes: NDArray[np.int64]) -> float:
    return sum(float(true_bytes[score.positions].sum()) for score in scores)


def _aliases(scores: tuple[Score, ...], found: Iterable[Pass]) -> tuple[str, ...]:
    same = next((p for p in found if scores and p.scores == scores), None)
    return () if same is None else tuple(dict.fromkeys((same.label, *same.aliases)))


def _in_bytes(
    line: Print,
    metrics: Iterable[Metric],
    segments: dict[Family, _Segment],
    tape: Tape,
    true_bytes: NDArray[np.int64],
    found: Iterable[Pass],
    headline: str | None,
) -> Iterable[Pass]:
    """The pass behind a line that prints no loss: scores whose bits over their own bytes are the number."""
    for metric in metrics:
        if metric.val_bpb is not None:
            made = _of_bits(line, metric, metric.val_bpb, segments, tape, true_bytes, found, headline)
            if made is not None:
                yield made


def _of_bits(
    line: Print,
    metric: Metric,
    bpb: float,
    segments: dict[Family, _Segment],
    tape: Tape,
    true_bytes: NDArray[np.int64],
    found: Iterable[Pass],
    headline: str | None,
) -> Pass | None:
    slack = 0.5 * 10.0**-metric.bpb_digits + FLOAT32_MEAN
    ratios = _byte_ratios(found, true_bytes)
    for group in _candidates(segments, tape):
        total = sum(s.total for s in group)
        scores = _in_order(group)
        size = _bytes_of(scores, true_bytes)
        if size and any(abs(total / math.log(2) / (size * r) - bpb) <= slack + w * bpb for r, w in ratios):
            mean = total / sum(s.count for s in group)
            return _without_loss(line, metric, mean, scores, _aliases(scores, found))
    if headline is None or not same_label(metric.label, headline):
        return None
    mean_bytes = float(true_bytes.sum()) / max(true_bytes.size - 1, 1)
    return _without_loss(line, metric, bpb * math.log(2) * mean_bytes)


def _byte_ratios(found: Iterable[Pass], true_bytes: NDArray[np.int64]) -> list[tuple[float, float]]:
    """Bytes that the script counts over true ones, and how far printed digits leave that open.

    Right, or as wrong as in a pair that it printed before.
    """
    ratios = [(1.0, 0.0)]
    for each in found:
        if each.val_bpb and each.reconciled:
            size = _bytes_of(each.scores, true_bytes)
            bits = sum(float(score.values.sum()) for score in each.scores) / math.log(2)
            if size and abs(bits / size / each.val_bpb - 1.0) > SAME_RATIO:
                ratios.append((bits / size / each.val_bpb, 0.5 * 10.0**-each.bpb_digits / each.val_bpb))
    return ratios


def _without_loss(
    line: Print,
    metric: Metric,
    loss_nats: float,
    scores: tuple[Score, ...] = (),
    aliases: tuple[str, ...] = (),
) -> Pass:
    return Pass(
        label=metric.label,
        loss_nats=loss_nats,
        val_bpb=metric.val_bpb,
        loss_digits=metric.bpb_digits,
        bpb_digits=metric.bpb_digits,
        printed=line.number,
        line=line.text,
        scores=scores,
        aliases=aliases,
        final=metric.final,
        derived=True,
    )


def _candidates(segments: dict[Family, _Segment], tape: Tape) -> Iterable[list[_Segment]]:
    """Single families, latest first; then all families that one call of the main program made."""
    ordered = sorted(segments.items(), key=lambda item: -item[1].scores[-1].number)
    # What was read for learning alone explains a number only when nothing else does.
    for learns in (False, True):
        yield from ([segment] for _, segment in ordered if segment.scores[-1].learns == learns)
    calls: dict[tuple[object, str], list[_Segment]] = defaultdict(list)
    for (site, how), segment in ordered:
        if not segment.scores[-1].learns:
            calls[tape.stacks.get(site, ())[:2], how].append(segment)
    yield from (group for group in calls.values() if len(group) > 1)
