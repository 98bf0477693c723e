"""submission.json in its dialects. The shapes are those of real files; the numbers are our own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from verifier.intake.claim import ClaimFile, number, read_claim, track_of
from verifier.submission import SeedClaim, Track


def read(document: Any) -> ClaimFile:
    data = document if isinstance(document, bytes) else json.dumps(document, indent=1).encode()
    return read_claim(data, "submission.json")


@pytest.mark.parametrize(
    ("document", "key", "value"),
    [
        ({"val_bpb": 1.25}, "val_bpb", 1.25),
        ({"val_bpb": "1.25"}, "val_bpb", 1.25),
        ({"val_bpb": "1.25 (3-seed mean)"}, "val_bpb", 1.25),
        ({"val_bpb": "~1.25"}, "val_bpb", 1.25),
        ({"val_bpb": 1}, "val_bpb", 1.0),
        ({"val_bpb": None, "mean_val_bpb": 1.25}, "mean_val_bpb", 1.25),
        ({"val_bpb_mean": 1.25, "val_bpb_std": 0.5}, "val_bpb_mean", 1.25),
        ({"score": 1.25}, "score", 1.25),
        ({"bpb": 1.25}, "bpb", 1.25),
        ({"results": {"val_bpb": 1.25}}, "results.val_bpb", 1.25),
        ({"results": {"mean": {"val_bpb": 1.25}}}, "results.mean.val_bpb", 1.25),
        ({"val_bpb": {"mean": 1.25, "std": 0.1}}, "val_bpb.mean", 1.25),
        ({"int6_zstd_val_bpb": 1.25, "pre_quant_val_bpb": 1.2}, "int6_zstd_val_bpb", 1.25),
        ({"pre_quant_val_bpb": 1.25, "baseline_bpb": 1.3, "val_bpb_std": 0.1}, None, None),
        ({"val_bpb": "TBD"}, None, None),
        ({"val_bpb": True}, None, None),
        ({}, None, None),
    ],
)
def test_the_headline_is_found(document: Any, key: str | None, value: float | None) -> None:
    claim = read(document).claim
    assert (claim.key, claim.val_bpb) == (key, value)


TWO = (SeedClaim(42, val_bpb=1.1), SeedClaim(7, val_bpb=1.2))


@pytest.mark.parametrize(
    "document",
    [
        {"seed_results": {"42": {"val_bpb": 1.1}, "7": {"val_bpb": 1.2}}},
        {"seed_results": {"42": 1.1, "7": 1.2}},
        {"seed_results": {"seed_42": {"bpb": 1.1}, "seed_7": {"bpb": 1.2}}},
        {"seed_results": [{"seed": 42, "val_bpb": 1.1}, {"seed": 7, "val_bpb": 1.2}]},
        {"results": [{"seed": "42", "val_bpb": "1.1"}, {"seed": 7, "val_bpb": 1.2}]},
        {"results": {"per_seed": {"42": 1.1, "7": 1.2}}},
        {"seeds": {"42": 1.1, "7": 1.2}},
        {"seeds": {"42": {"val_bpb": 1.1}, "7": {"val_bpb": 1.2}}},
        {"seeds": [42, 7], "val_bpb_seeds": [1.1, 1.2]},
        {"seeds": [42, 7], "seed_bpbs": [1.1, 1.2]},
        {"val_bpb_per_seed": {"42": 1.1, "7": 1.2}},
        {"seed_42": {"val_bpb": 1.1}, "seed_7": {"val_bpb": 1.2}},
        {"seed_42_val_bpb": 1.1, "seed_7_val_bpb": 1.2},
        {"val_bpb_seed42": 1.1, "val_bpb_seed7": 1.2},
        {"seed_42": 1.1, "seed_7": 1.2, "seed_std": 0.1},
    ],
)
def test_seeds_are_found_in_every_layout(document: Any) -> None:
    assert read(document).claim.seeds == TWO


def test_a_seed_row_carries_its_bytes_and_times() -> None:
    row = {
        "val_bpb": 1.1,
        "val_loss": 1.9,
        "bytes_total": "15,900,000",
        "train_time_ms": 599000,
        "eval_time_s": 300,
    }
    (seed,) = read({"seed_results": {"42": row}}).claim.seeds
    assert seed == SeedClaim(42, 1.1, 1.9, 15_900_000, 599.0, 300.0)


def test_declared_seeds_without_results_are_kept() -> None:
    assert read({"seeds": [1, 2]}).claim.seeds == (SeedClaim(1), SeedClaim(2))
    assert read({"seed": 1337}).claim.seeds == (SeedClaim(1337),)


def test_the_plain_fields() -> None:
    claim = read(
        {
            "val_bpb": 1.25,
            "val_loss": 2.1,
            "bytes_total": "15,990,006",
            "bytes_code": 50000.0,
            "name": "x",
            "author": {"name": "y"},
            "date": "2026-04-01",
        }
    ).claim
    assert (claim.val_loss, claim.bytes_total, claim.bytes_code) == (2.1, 15_990_006, 50_000)
    assert (claim.name, claim.author, claim.date) == ("x", "y", "2026-04-01")
    assert claim.where is not None
    assert (claim.where.line, claim.where.excerpt) == (2, '"val_bpb": 1.25,')


@pytest.mark.parametrize(
    ("text", "line", "value"),
    [
        ('{\n"val_bpb": 1.25}\n}', 3, 1.25),
        ('{"val_bpb": 1.25}{"val_bpb": 2}', 1, 1.25),
        ('{"val_bpb": 1.25,\n}', 2, 1.25),
        ('{\n"name": "a\nb",\n"val_bpb": 1.25}', 2, 1.25),
        ('{"val_bpb": 1.25 "x": 2}', 1, 1.25),
        ("", 1, None),
        ("version https://git-lfs", 1, None),
    ],
)
def test_broken_json_is_reported_and_recovered(text: str, line: int, value: float | None) -> None:
    file = read(text.encode())
    problem = file.problems[0]
    assert problem.code == "json-syntax"
    assert problem.where is not None
    assert problem.where.line == line
    assert file.claim.val_bpb == value
    assert file.claim.recovered == (value is not None)


def test_odd_json_is_reported() -> None:
    cases: list[tuple[bytes, str, float | None]] = [
        (b'{"val_bpb": NaN}', "json-not-finite", None),
        (b'{"val_bpb": 1e999}', "json-not-finite", None),
        (b'{"val_bpb": 1.25, "val_bpb": 1.5}', "json-duplicate-key", 1.5),
        (b"[1.25]", "json-shape", None),
        (b"\xff\xfe\x00\x01\x00", "json-syntax", None),
        (b"\0\1\2\3", "json-encoding", None),
        ('{"val_bpb": 1.25, "name": "é"}'.encode("latin-1"), "json-encoding", 1.25),
        ('{"val_bpb": 1.25}'.encode("utf-16"), "json-encoding", 1.25),
        (b"[" * 100_000, "json-syntax", None),
        (b'{"val_bpb": ' + b"9" * 5000 + b"}", "no-claim", None),
    ]
    for data, code, value in cases:
        file = read(data)
        assert code in {problem.code for problem in file.problems}, data[:40]
        assert file.claim.val_bpb == value, data[:40]
    assert read(b'\xef\xbb\xbf{"val_bpb": 1.25}').problems == ()


def test_tracks_are_recognised_in_every_spelling() -> None:
    for name in ("10min_16mb", "track_10min_16mb", "10min-16mb", "10min-8xH100-16mb"):
        assert track_of(name) is Track.TEN_MINUTES
    for name in (
        "non_record_16mb",
        "non-record-10min-16mb",
        "non-record-unlimited-compute-16mb",
        "Non-Record",
    ):
        assert track_of(name) is Track.NON_RECORD
    for other in ("16mb", "", None, 3):
        assert track_of(other) is Track.UNKNOWN


def test_numbers_are_read_as_people_write_them() -> None:
    assert [number(text) for text in ("1.5", " ~1.5", "**1.5**", "1,500", "1e3", "x", "", "1.5 ± 0.1")] == [
        *(1.5, 1.5, 1.5, 1500.0, 1000.0, None, None, 1.5)
    ]


@pytest.mark.parametrize(
    ("document", "track"),
    [
        ({"track": "10min_16mb", "submission_type": "non_record"}, Track.NON_RECORD),
        ({"submission_type": "non-record research contribution"}, Track.NON_RECORD),
        ({"track": "10min_16mb", "submission_type": "record_candidate"}, Track.TEN_MINUTES),
        ({"track": "10min_16mb"}, Track.TEN_MINUTES),
    ],
)
def test_an_author_s_own_non_record_answer_counts(document: dict[str, Any], track: Track) -> None:
    assert read(document | {"val_bpb": 1.25}).track is track


@pytest.mark.parametrize(
    ("document", "seconds"),
    [
        ({"eval_time_seconds": 688}, 688.0),
        ({"eval_ops_seconds": 688.5}, 688.5),
        ({"eval_time_ms": 688_000}, 688.0),
        ({"eval_time_seconds_a100": 1575}, None),
        ({"eval_time_seconds": "688"}, None),
        ({}, None),
    ],
)
def test_the_stated_evaluation_time(document: dict[str, Any], seconds: float | None) -> None:
    assert read(document).claim.eval_seconds == seconds


def test_the_author_s_prose_is_kept_and_bounded() -> None:
    assert read({"name": "Val-Only 10min", "blurb": "Trained on text."}).claim.blurb == (
        "Val-Only 10min\n\nTrained on text."
    )
    assert len(read({"blurb": "x" * 10_000}).claim.blurb) == 4_000
