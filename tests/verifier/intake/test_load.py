"""The whole folder: what `load_submission` reads, and that no bytes make it raise."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from verifier.intake import IntakeError, load_submission
from verifier.submission import Submission, Track

from .conftest import SCRIPT


def _codes(submission: Submission) -> set[str]:
    return {problem.code for problem in submission.problems}


def test_a_whole_folder_is_read(small_folder: Path) -> None:
    submission = load_submission(small_folder)
    assert submission.problems == ()
    assert submission.track is Track.TEN_MINUTES
    assert submission.name == "A small submission"
    assert submission.script is not None
    assert (submission.script.path, submission.script.wrapper, submission.script.grammar) == (
        "train_gpt.py",
        None,
        "3.11",
    )
    assert submission.claim.val_bpb == 1.11437394
    (log,) = submission.logs
    assert (log.seed, log.train_ms, log.world_size, log.val_tokens) == (42, 600058.0, 8, 62021632)
    assert submission.head_metric_label == "final_int6_sliding_window_exact"
    assert submission.command.env == {
        "DATA_PATH": "/data",
        "SEED": "42",
        "TTT_ENABLED": "1",
        "TTT_LR": "0.004",
    }
    assert [file.path for file in submission.files] == sorted(p.name for p in small_folder.iterdir())
    for file in submission.files:
        assert file.sha256 == hashlib.sha256((small_folder / file.path).read_bytes()).hexdigest()


def test_a_missing_folder_a_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, found in (("absent", "nothing"), ("file", "a file"), ("empty", "empty")):
        with pytest.raises(IntakeError, match=found):
            load_submission(tmp_path / name)


def test_links_pipes_and_deep_folders_are_reported_and_not_followed(
    small_folder: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.log"
    secret.write_text("final val_loss:1.0000 val_bpb:0.5000\n")
    (small_folder / "outside.log").symlink_to(secret)
    (small_folder / "loop").symlink_to(small_folder)
    (small_folder / "broken").symlink_to("nowhere")
    (small_folder / "again.log").symlink_to("train_seed42.log")
    os.mkfifo(small_folder / "pipe.log")
    deep = small_folder.joinpath(*["d"] * 20)
    deep.mkdir(parents=True)
    (deep / "x.log").write_text("x")
    submission = load_submission(small_folder)
    expected = {"symlink-outside", "symlink-folder", "symlink-broken", "not-a-file", "too-deep"}
    assert _codes(submission) == expected
    assert [log.path for log in submission.logs] == ["again.log", "train_seed42.log"]


def test_a_folder_of_nothing_useful_names_what_is_missing(make_folder: Any) -> None:
    submission = load_submission(make_folder({"notes.md": "hello"}))
    assert {"no-json", "no-script", "no-logs"} <= _codes(submission)
    assert any(problem.fatal for problem in submission.problems)
    assert submission.name == "submission"


def test_the_track_falls_back_to_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "track_non_record_16mb" / "2026-04-01_x"
    folder.mkdir(parents=True)
    (folder / "train_gpt.py").write_text("x = 1\n")
    assert load_submission(folder).track is Track.NON_RECORD


@pytest.mark.parametrize(
    "script",
    [
        "(" * 50_000,
        "x=" + "-" * 50_000 + "1",
        "x" + ".a" * 50_000,
        "x = " + "1+" * 50_000 + "1",
        'f"{' * 2_000,
        'f"{' * 90 + "1" + '}"' * 90,
        "exec('a' * 99999999999)",
        "A = '" + "Ab0" * 200 + "'\n" + "A = A + A\n" * 60 + "exec(A)",
        "f = lambda x: g(x)\ng = lambda x: f(x)\nexec(f('" + "a" * 500 + "'))",
    ],
    ids=["brackets", "signs", "dots", "sum", "open fields", "nested fields", "repeat", "doubling", "lambdas"],
)
def test_a_script_made_to_exhaust_the_reader_is_read(make_folder: Any, script: str) -> None:
    assert load_submission(make_folder({"train_gpt.py": script})).problems


def test_a_file_over_the_parsing_cap_is_hashed_and_named(
    small_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.intake.folder.MAX_PARSED_BYTES", 1_000)
    submission = load_submission(small_folder)
    (file,) = [file for file in submission.files if file.path == "train_seed42.log"]
    assert file.sha256 == hashlib.sha256((small_folder / "train_seed42.log").read_bytes()).hexdigest()
    assert _codes(submission) >= {"file-too-large", "no-logs"}


def test_a_stub_keeps_its_name_and_lists_what_it_runs(make_folder: Any) -> None:
    files = {
        "train_gpt.py": "import os\nos.environ.setdefault('A', '1')\nfrom train_big import main\nmain()\n",
        "train_big.py": "import configs, ctypes\nlib = 'kernel.cpp'\ndef main():\n    pass\n",
        "configs.py": "B = 1\n",
        "kernel.cpp": "int x;\n",
        "unrelated.py": "",
    }
    script = load_submission(make_folder(files)).script
    assert script is not None
    assert (script.path, script.siblings) == ("train_gpt.py", ("train_big.py", "configs.py", "kernel.cpp"))


@pytest.mark.parametrize(
    ("files", "chosen", "code"),
    [
        ({"train_v2.py": SCRIPT}, "train_v2.py", "script-name"),
        ({"train_v2.py": SCRIPT, "prepare_data.py": ""}, "train_v2.py", "script-name"),
        ({"a.py": "x = 1", "train_b.py": SCRIPT}, "train_b.py", "two-scripts"),
        ({"deep/train_gpt.py": SCRIPT, "a.py": ""}, "deep/train_gpt.py", "script-name"),
        ({"plot_curves.py": "x = 1"}, None, "no-script"),
    ],
)
def test_without_an_entry_point_the_choice_is_named(
    make_folder: Any, files: dict[str, str], chosen: str | None, code: str
) -> None:
    submission = load_submission(make_folder(files))
    assert (submission.script.path if submission.script else None) == chosen
    assert code in _codes(submission)


@pytest.mark.parametrize(
    ("data", "source", "codes"),
    [
        (b"\xef\xbb\xbfx = 1\r\ny = 2\r\n", "x = 1\ny = 2\n", set()),
        (
            b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
            "# -*- coding: latin-1 -*-\nx = '\xe9'\n",
            {"script-encoding"},
        ),
        (b"x = '\xe9'\n", "x = '\xe9'\n", {"script-encoding"}),
        (b"x = (\n1,\n", "x = (\n1,\n", {"script-syntax"}),
    ],
)
def test_odd_script_bytes(make_folder: Any, data: bytes, source: str, codes: set[str]) -> None:
    submission = load_submission(make_folder({"train_gpt.py": data}))
    assert submission.script is not None
    assert submission.script.source == source
    assert {problem.code for problem in submission.problems if problem.code.startswith("script")} == codes


def test_a_syntax_error_names_its_line(make_folder: Any) -> None:
    submission = load_submission(make_folder({"train_gpt.py": "x = 1\ndef f(:\n    pass\n"}))
    (problem,) = [problem for problem in submission.problems if problem.code == "script-syntax"]
    assert problem.fatal
    assert problem.where is not None
    assert (problem.where.line, problem.where.excerpt) == (2, "def f(:")


def test_a_claim_may_have_a_name_of_its_own(small_folder: Path) -> None:
    (small_folder / "submission.json").rename(small_folder / "submission_ternary.json")
    (small_folder / "submission_accounting.json").write_text('{"bytes": 3}')
    submission = load_submission(small_folder)
    assert submission.claim.val_bpb == 1.11437394
    assert _codes(submission) == {"json-place"}


@pytest.mark.parametrize(
    ("claimed", "read_as"),
    [(1.11437394, 1.11437394), (1.1150, 1.1150), (1.88, None), (3.2, None)],
    ids=["the log's bits", "near them, as a mean is", "the log's nats", "neither"],
)
def test_bits_claimed_as_a_loss_are_known_by_the_logs(
    small_folder: Path, claimed: float, read_as: float | None
) -> None:
    (small_folder / "submission.json").write_text(f'{{"name": "x", "val_loss": {claimed}}}')
    submission = load_submission(small_folder)
    assert submission.claim.val_bpb == read_as
    assert ("bpb-as-loss" in _codes(submission)) == (read_as is not None)
    assert ("no-claim" in _codes(submission)) == (read_as is None)
