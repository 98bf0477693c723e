"""The pictures' arrays: bounded, equal to what the checks measured, and read back as they were written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.verifier.probe.builders import (
    BLOCK,
    TARGETS,
    TapeBuilder,
    flipped,
    legal_losses,
    moved_losses,
    record,
    run,
    scored,
    stream,
)
from tests.verifier.report import samples
from verifier.probe.floor import floor_of_scores
from verifier.report.html import render_html
from verifier.report.json import ReportError, read_report, render_json
from verifier.report.model import Series
from verifier.report.series import series_of

DRAWN = stream()
LOSSES = legal_losses(DRAWN)
LEAK = moved_losses(LOSSES, BLOCK)
LEAK[BLOCK.start - 9 : BLOCK.start - 4] -= 0.25


def audited(other: np.ndarray, builder: TapeBuilder | None = None, order: Any = None) -> Series:
    base = run("uniform", DRAWN, scored(DRAWN, LOSSES, builder=builder, order=order))
    twin = run("flip 1", flipped(DRAWN), scored(flipped(DRAWN), other, order=order))
    made = series_of(record(base, twin))
    assert made is not None
    return made


def test_a_legal_method_leaves_the_side_before_the_block_empty() -> None:
    (flip,) = audited(moved_losses(LOSSES, BLOCK)).flips
    assert sum(flip.before) == 0
    assert sum(flip.after) == DRAWN.ids.size - BLOCK.stop


def test_a_leak_is_in_its_bins_and_at_its_positions() -> None:
    (flip,) = audited(LEAK).flips
    assert sum(flip.before) == 5
    bins = {position // flip.bin_tokens for position in range(BLOCK.start - 9, BLOCK.start - 4)}
    assert {at for at, count in enumerate(flip.before) if count} == bins
    moved = [at for at, nats in enumerate(flip.near_nats, flip.near_start) if nats and at < BLOCK.start]
    assert moved == list(range(BLOCK.start - 9, BLOCK.start - 4))
    assert flip.near_nats[moved[0] - flip.near_start] == pytest.approx(-0.25)


def test_documents_scored_after_the_block_do_not_count_as_before() -> None:
    order = [*range(500, DRAWN.ids.size), *range(1, 500)]
    other = moved_losses(LOSSES, BLOCK)
    other[1:500] += 0.2
    (flip,) = audited(other, order=order).flips
    assert sum(flip.before) == 0
    assert sum(flip.after) == DRAWN.ids.size - BLOCK.stop + 499


def test_the_gain_ends_where_the_floor_check_does() -> None:
    base = run("uniform", DRAWN, scored(DRAWN, LOSSES - 0.5))
    made = series_of(record(base))
    assert made is not None
    (gain,) = made.gains
    floor = floor_of_scores(base.passes[0], DRAWN, len(base.passes))
    assert gain.gain_bits[-1] == pytest.approx(floor.gain_bits, abs=0.01)
    assert gain.threshold_bits == pytest.approx(floor.threshold_bits, abs=0.001)
    assert gain.positions[-1] == TARGETS


def test_a_score_that_is_no_number_ends_the_line() -> None:
    base = run("uniform", DRAWN, scored(DRAWN, LOSSES))
    base.passes[0].scores[10].values[0] = np.inf
    made = series_of(record(base))
    assert made is not None
    (gain,) = made.gains
    assert gain.gain_bits[-1] is None
    assert {at < 641 for at, bits in zip(gain.positions, gain.gain_bits, strict=True) if bits is None} == {
        False
    }


def test_the_timeline_orders_reads_commits_and_updates() -> None:
    tape = TapeBuilder()
    for start in range(1, DRAWN.ids.size, 256):
        stop = min(start + 256, DRAWN.ids.size)
        tape.forward(start, stop)
        number = tape.score(range(start, stop), LOSSES[start:stop])
        tape.step(tape.backward(number))
    tape.print(float(LOSSES[1:].mean()))
    made = series_of(record(run("uniform", DRAWN, tape)))
    assert made is not None
    timeline = made.timeline
    assert timeline is not None
    assert timeline.reads[0] == (0, 0, 1, 256, 1)
    assert timeline.commits[:2] == ((1, 1, 1, 256, 1), (5, 5, 257, 512, 1))
    assert timeline.updates == ((3, 3, 1), (7, 7, 1), (11, 11, 1), (15, 15, 1))


def test_scores_and_ranges_that_no_honest_run_has_break_nothing() -> None:
    other = moved_losses(LOSSES, BLOCK)
    other[700] = 1.7e308
    tape = TapeBuilder()
    tape.forward(-5, 10**30)
    tape.forward(40, 3)
    base = run("uniform", DRAWN, scored(DRAWN, LOSSES, builder=tape))
    base.passes[0].scores[-1].values[0] = -1.7e308
    made = series_of(record(base, run("flip 1", flipped(DRAWN), scored(flipped(DRAWN), other))))
    assert made is not None
    report = samples.report(series=made)
    assert read_report(render_json(report)) == report
    assert "<svg" in render_html(report)
    assert made.timeline is not None
    assert made.timeline.reads == ((0, 0, 0, DRAWN.ids.size - 1, 1),)


def test_no_array_grows_with_the_stream() -> None:
    long = stream(targets=50_000)
    losses = legal_losses(long)
    other = long.flip(range(30_000, 30_096), (9,))
    made = series_of(
        record(
            run("uniform", long, scored(long, losses, chunk=16)),
            run("flip 1", other, scored(other, moved_losses(losses, range(30_000, 30_096)), chunk=16)),
        )
    )
    assert made is not None
    assert len(render_json(samples.report(series=made))) < 60_000
    timeline = made.timeline
    assert timeline is not None
    assert sum(span[4] for span in timeline.commits) == 3125


def test_a_record_without_a_number_has_no_series() -> None:
    assert series_of(record()) is None
    tape = TapeBuilder()
    tape.print(3.25)
    made = series_of(record(run("uniform", DRAWN, tape)))
    assert made == Series()


def test_series_and_snippets_read_back_equal_and_write_the_same_bytes() -> None:
    report = replace(samples.drawn(), series=audited(LEAK))
    text = render_json(report)
    again = read_report(text)
    assert again.series == report.series
    assert again.snippets == report.snippets
    assert render_json(again) == text


def test_a_series_longer_than_any_picture_is_refused() -> None:
    document = json.loads(render_json(replace(samples.drawn(), series=audited(LEAK))))
    document["series"]["flips"][0]["near_nats"] = [0.0] * 2001
    with pytest.raises(ReportError, match="near_nats"):
        read_report(json.dumps(document))
