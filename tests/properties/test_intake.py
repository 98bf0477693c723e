"""Any submission.json and any log bytes are read without an exception, and every check has an answer."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.profile import assert_refuted, examples
from tests.verifier.intake.conftest import CLAIM, LOG, README, SCRIPT
from verifier import audit as audit_module
from verifier.audit import Level, audit
from verifier.checks import load_checks
from verifier.evidence import Evidence
from verifier.finding import Outcome, State, passed
from verifier.intake import load_submission
from verifier.intake.claim import read_claim
from verifier.intake.logs import read_log
from verifier.report.json import read_report, render_json
from verifier.report.markdown import render_markdown
from verifier.submission import ShippedFile

Read = Callable[[bytes], object]

NUMBERS = (
    st.integers()
    | st.floats()
    | st.integers(10**300, 10**330)
    | st.sampled_from(
        [0, -1, 1.1, 15_984_850, 16_000_001, 2**63, 1e308, -0.0, True, math.inf, -math.inf, math.nan]
    )
)
ODD = (
    "1.0810 (3-seed mean)", "~1.12", "15,991,930", "1e999", "-", "nan", "Infinity", "10min_16mb", "\x00", "\ud800",
)  # fmt: skip
WORDS = st.text(max_size=12) | st.sampled_from(ODD)
NAMES = (
    "val_bpb", "mean_val_bpb", "val_loss", "score", "results", "metrics", "seeds", "seed_results", "42", "1337", "seed",
    "bytes_total", "artifact_bytes", "bytes_code", "name", "author", "date", "track", "submission_type", "mean", "std",
    "eval_time_seconds", "value", "per_seed", "runs", "blurb", "description", "summary", "final",
)  # fmt: skip
KEYS = st.sampled_from(NAMES) | WORDS
VALUES = st.recursive(
    NUMBERS | WORDS | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
FIELDS = st.sampled_from(sorted(CLAIM))
CLAIMS = st.dictionaries(KEYS, VALUES, max_size=8) | (
    st.dictionaries(FIELDS, VALUES, max_size=3) | st.dictionaries(FIELDS, NUMBERS, min_size=1)
).map(lambda changed: CLAIM | changed)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "utf-7"])


def encoded(text: str, encoding: str) -> bytes:
    return text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")


@st.composite
def edited(draw: st.DrawFn, text: str) -> bytes:
    """A valid file after a few accidents: lines lost, doubled or swapped, numbers replaced, bytes flipped."""
    lines = text.split("\n")
    for _ in range(draw(st.integers(0, 4))):
        at, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["drop", "double", "swap", "number", "word", "join", "repeat"]))
        if kind == "drop":
            lines[at] = ""
        elif kind == "double":
            lines.insert(other, lines[at])
        elif kind == "swap":
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "number":
            number = str(
                draw(
                    NUMBERS | st.sampled_from(["nan", "inf", "1e999", "", "1,2,3", "0x1f", "--1", "1" * 400])
                )
            )
            found = list(re.finditer(r"\d[\d.,]*", lines[at]))
            if found:
                match = draw(st.sampled_from(found))
                lines[at] = lines[at][: match.start()] + number + lines[at][match.end() :]
        elif kind == "word":
            cut = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:cut] + draw(st.text(max_size=8)) + lines[at][cut:]
        elif kind == "join":
            lines[at] = lines[at] + draw(st.sampled_from(["", " ", "\r", "\x1b[31m", "\t|"])) + lines[other]
        else:
            lines[at] = lines[at] * draw(st.integers(2, 60))
    data = bytearray(encoded("\n".join(lines), draw(ENCODINGS)))
    for _ in range(draw(st.integers(0, 3))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 3)) == 0 else data)


JSON_BYTES = (
    st.builds(lambda value, encoding: encoded(json.dumps(value), encoding), CLAIMS | VALUES, ENCODINGS)
    | edited(json.dumps(CLAIM, indent=2))
    | st.binary(max_size=200)
)
LOG_BYTES = (
    edited(LOG)
    | st.binary(max_size=300)
    | st.builds(
        lambda start, text: (start + text).encode("utf-8", "surrogatepass"),
        st.sampled_from([LOG[:200], "", "val_loss:", "final val_bpb:1.5 ", "step:1/2 train_time:", "seed:"]),
        st.text(max_size=200),
    )
)
OTHER_BYTES = edited(SCRIPT) | edited(README) | st.binary(max_size=200)


def claim_of(data: bytes) -> object:
    return read_claim(data, "submission.json")


def log_of(data: bytes) -> object:
    return read_log(data, ShippedFile("train_seed42.log", len(data), "0" * 64))


def audit_of(files: dict[str, bytes]) -> None:
    """The audit of the documents, to the end: findings, and a report that can be read back."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            Path(folder, name).write_bytes(data)
        report = audit(Path(folder), level=Level.DOCUMENTS, seed=1)
    errors = [each for each in report.findings if each.state is State.ERROR]
    assert not errors, f"{errors[0].check}: {errors[0].message}"
    assert read_report(render_json(report)).verdict.call is report.verdict.call
    assert render_markdown(report)


def check_reads(read: Read, data: bytes) -> None:
    try:
        read(data)
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error


@examples(300)
@given(data=JSON_BYTES)
def test_any_submission_json_is_read(data: bytes) -> None:
    check_reads(claim_of, data)


@examples(300)
@given(data=LOG_BYTES)
def test_any_log_is_read(data: bytes) -> None:
    check_reads(log_of, data)


@examples(100)
@given(
    name=st.sampled_from(["train_gpt.py", "README.md", "run.sh", "requirements.txt", "notes.ipynb"]),
    data=OTHER_BYTES,
)
def test_any_other_file_is_read(name: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_bytes(data)
        check_reads(lambda _: load_submission(Path(folder)), data)


@examples(80)
@given(claim=JSON_BYTES, logs=st.lists(LOG_BYTES, max_size=3))
def test_every_check_has_an_answer_to_any_documents(claim: bytes, logs: list[bytes]) -> None:
    files = {f"train_seed{42 + number}.log": data for number, data in enumerate(logs)}
    audit_of({"submission.json": claim, "train_gpt.py": SCRIPT.encode(), **files})


def strict_claim(data: bytes) -> Any:
    return float(json.loads(data)["val_bpb"])


def trusting_claim(data: bytes) -> Any:
    """Falls back on nothing, but only for what is no JSON."""
    try:
        document = json.loads(data)
    except ValueError:
        return None
    return document.get("val_bpb")


def utf8_log(data: bytes) -> Any:
    return data.decode("utf-8")


def float_log(data: bytes) -> Any:
    return [float(each) for each in re.findall(rb"val_bpb:(\S+)", data)]


def index_log(data: bytes) -> Any:
    """The last result, of a log that must have one."""
    return re.findall(rb"val_bpb:([\d.]+)", data)[-1]


@pytest.mark.mutant
@pytest.mark.parametrize("read", [strict_claim, trusting_claim])
def test_a_reader_that_takes_json_on_trust_is_caught(read: Read) -> None:
    assert_refuted(lambda data: check_reads(read, data), data=JSON_BYTES)


@pytest.mark.mutant
@pytest.mark.parametrize("read", [utf8_log, float_log, index_log])
def test_a_reader_that_takes_logs_on_trust_is_caught(read: Read) -> None:
    assert_refuted(lambda data: check_reads(read, data), data=LOG_BYTES)


@pytest.mark.mutant
def test_a_check_that_raises_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one claim in many: a check that takes a size for a count."""

    def negative(evidence: Evidence) -> list[Outcome]:
        return [passed(f"{math.isqrt(evidence.submission.claim.bytes_total or 0)} a side")]

    one = replace(load_checks()[0], function=negative)
    monkeypatch.setattr(audit_module, "load_checks", lambda: [one])
    assert_refuted(
        lambda claim: audit_of({"submission.json": claim, "train_gpt.py": SCRIPT.encode()}), claim=JSON_BYTES
    )
