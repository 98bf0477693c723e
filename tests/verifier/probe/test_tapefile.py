"""Reading a tape never raises, whatever a hostile child left there, and says where it stopped."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from verifier.probe import tapefile
from verifier.probe.tape import Call, Forward, MassTest, Pick, Print, Score, WindowTest
from verifier.probe.tapefile import read_tape

SIZE = 100
FOLDER = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(folder: Path, events: list[Any] | bytes, scores: list[tuple[int, float]] | bytes = b"") -> Path:
    lines = events if isinstance(events, bytes) else "".join(f"{json.dumps(e)}\n" for e in events).encode()
    packed = (
        scores if isinstance(scores, bytes) else b"".join(struct.pack("<iid", p, 1, v) for p, v in scores)
    )
    (folder / "tape.jsonl").write_bytes(lines)
    (folder / "scores.bin").write_bytes(packed)
    return folder


def score(**fields: Any) -> dict[str, Any]:
    return {
        "k": "score",
        "i": 0,
        "how": "sum",
        "off": 0,
        "n": 2,
        "all": 2,
        "site": 0,
        "learns": False,
    } | fields


GOOD = [(5, 1.5), (6, 2.5)]


def test_a_good_tape(tmp_path: Path) -> None:
    events = [
        {"k": "site", "i": 0, "s": 0, "stack": [["train_gpt.py", 3, "main"]]},
        score(i=1, pure=True),
        {"k": "forward", "i": 2, "site": 0, "at": [[0, 9]]},
        {"k": "call", "i": 3, "site": 0, "function": "3:score", "nth": 2, "pure": False},
        {"k": "print", "i": 4, "text": "val_loss:2.0"},
        {"k": "mass", "i": 5, "site": 0, "function": "f", "line": 3, "tried": 2, "vocab": 4, "positions": 1, "over": 0,
         "highest": 1, "lowest": 0.5, "witnesses": [{"position": 5, "realised_nats": 1.5, "sum": 1.2, "tried": 3}],
         "samples": [[5, 1.5]]},
        {"k": "window", "i": 6, "site": 0, "function": "f", "line": 3, "tried": 9, "noise": 0.0, "moved": 1,
         "witnesses": [{"position": 5, "changed_from": 6, "change": 0.1, "realised_nats": 1.5}]},
        {"k": "pick", "i": 7, "site": 0, "how": "minimum", "n": 1, "pairs": [[5, 1.5, 1.25]]},
        {"k": "end", "i": 8, "status": "finished", "uses": {"device": 2}},
    ]  # fmt: skip
    tape = read_tape(write(tmp_path, events, GOOD), SIZE)
    assert tape.damage is None
    kinds = [Score, Forward, Call, Print, MassTest, WindowTest, Pick]
    assert [type(event) for event in tape.events] == kinds
    assert tape.events[0].values.tolist() == [1.5, 2.5]
    assert tape.events[0].order.tolist() == [1, 1]
    assert tape.events[6].pairs == ((5, 1.5, 1.25),)
    assert tape.events[4].witnesses[0].total == 1.2
    assert tape.events[4].samples == ((5, 1.5),)
    assert tape.events[5].witnesses[0].changed_from == 6
    assert tape.function(0) == "main"
    assert tape.end["status"] == "finished"
    assert tape.uses == {"device": 2}


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (score(n=3), "beyond the recorded scores"),
        (score(off=1 << 41), "expected"),
        (score(off=-1), "expected"),
        (score(off=True), "expected"),
        (score(n="2"), "expected"),
        ({"k": "surprise", "i": 0, "site": 0}, "unknown kind"),
        ({"i": 0, "site": 0}, "unknown kind"),
        ({"k": "score"}, "expected"),
        ({"k": "forward", "i": 0, "site": 0, "at": [[1, "2"]]}, "malformed range"),
        ({"k": "backward", "i": 0, "site": 0, "terms": ["x"]}, "event numbers"),
        ({"k": "backward", "i": 0, "site": 0, "terms": list(range(5000))}, "at most"),
        ({"k": "site", "s": 0, "stack": [["a", "b", "c"]]}, "stack frame"),
        ({"k": "mass", "i": 0, "site": 0, "line": 1, "tried": 1, "witnesses": [3]}, "malformed witness"),
        ({"k": "mass", "i": 0, "site": 0, "line": 1, "tried": 1, "samples": [[1]]}, "malformed sample"),
        ({"k": "window", "i": 0, "site": 0, "line": 1, "tried": 1, "noise": "0"}, "number was expected"),
        ([1, 2], "not an object"),
    ],
)
def test_what_is_tampered_with_is_damage(event: Any, why: str, tmp_path: Path) -> None:
    first = {"k": "print", "i": 0, "text": "before"}
    tape = read_tape(write(tmp_path, [first, event, first], GOOD), SIZE)
    assert tape.damage is not None
    assert why in tape.damage
    assert tape.events == (Print(0, "before"),)


@pytest.mark.parametrize("position", [-1, SIZE, 2**31 - 1, -(2**31)])
def test_positions_outside_the_stream_are_damage(position: int, tmp_path: Path) -> None:
    tape = read_tape(write(tmp_path, [score()], [(5, 1.0), (position, 1.0)]), SIZE)
    assert tape.damage is not None
    assert "outside the stream" in tape.damage


def test_no_files_and_a_cut_record(tmp_path: Path) -> None:
    assert read_tape(tmp_path, SIZE).damage == "the child wrote no tape"
    tape = read_tape(write(tmp_path, [score()], struct.pack("<id", 5, 1.0) + b"\0\0\0"), SIZE)
    assert tape.damage is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
KINDS = st.sampled_from(
    [
        "score",
        "backward",
        "step",
        "forward",
        "weights",
        "print",
        "open",
        "mass",
        "window",
        "call",
        "site",
        "end",
    ]
)
FIELDS = st.sampled_from(
    [
        "i",
        "site",
        "off",
        "n",
        "all",
        "terms",
        "at",
        "s",
        "stack",
        "uses",
        "witnesses",
        "samples",
        "tried",
        "line",
        "text",
        "same",
        "changed",
        "nth",
        "tensors",
        "values",
        "backward",
        "noise",
        "highest",
    ]  # fmt: skip
)


@given(events=st.binary(max_size=400), scores=st.binary(max_size=60))
@FOLDER
def test_any_bytes_are_read(tmp_path: Path, events: bytes, scores: bytes) -> None:
    read_tape(write(tmp_path, events, scores), SIZE)


@given(
    events=st.lists(
        st.builds(
            lambda kind, given, rest: {"k": kind, **given, **rest},
            KINDS,
            st.dictionaries(FIELDS, st.integers(0, 3), max_size=12),
            st.dictionaries(FIELDS, JSON, max_size=5),
        ),
        max_size=4,
    )
)
@FOLDER
def test_any_events_are_read_and_every_score_lies_in_the_stream(tmp_path: Path, events: list[Any]) -> None:
    tape = read_tape(write(tmp_path, events, GOOD), SIZE)
    for event in tape.of(Score):
        assert all(0 <= position < SIZE for position in event.positions)


@pytest.mark.parametrize(
    "end",
    [
        {"status": ["finished"], "code": 7, "error": {"a": [1]}, "at": ["train_gpt.py:1"], "uses": [1]},
        {"status": None, "uses": {"device": True, "clock": -1, "exec": 10**4000, "hub": 2}},
        {},
    ],
)
def test_the_last_event_holds_words_and_counts_alone(end: dict[str, Any], tmp_path: Path) -> None:
    tape = read_tape(write(tmp_path, [{"k": "end", "i": 0} | end]), SIZE)
    assert tape.damage is None
    assert all(isinstance(word, str) for key, word in tape.end.items() if key != "at")
    assert all(isinstance(place, str) for place in tape.end["at"])
    assert all(0 <= count < 10**12 for count in tape.uses.values())


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 500_000,
        b'{"k":"end","i":0,"at":7}',
        b'{"k":"pick","i":0,"site":0,"how":"min","n":1,"pairs":[[1,1,1' + b"0" * 400 + b"]]}",
        b'{"k":"print","i":0,"text":"' + b"x" * (1 << 21) + b'"}',
    ],
    ids=["deep", "false end", "huge number", "long line"],
)
def test_a_hostile_line_ends_the_tape_with_a_reason(line: bytes, tmp_path: Path) -> None:
    tape = read_tape(write(tmp_path, b'{"k":"print","i":0,"text":"before"}\n' + line + b"\n"), SIZE)
    assert [type(event) for event in tape.events] == [Print]
    assert tape.damage


def test_a_tape_of_endless_lines_is_read_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tapefile, "MAX_PRINTS", 3)
    tape = read_tape(write(tmp_path, [{"k": "print", "i": at, "text": "x"} for at in range(9)]), SIZE)
    assert len(tape.events) == 4
    assert tape.damage == "more than 3 lines were printed"


def test_events_cannot_share_their_scores(tmp_path: Path) -> None:
    tape = read_tape(write(tmp_path, [score(), score(i=1)], GOOD), SIZE)
    assert len(tape.of(Score)) == 2
    assert tape.damage == "event 1 claims what other events have"
