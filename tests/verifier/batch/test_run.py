"""A batch: every submission once, whatever each of them does, and whenever the batch is killed."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from tests.verifier.batch.audits import HOW, Watched, fake_audit, folders, run, times_run
from verifier.batch import BatchError, Book, Task, run_batch
from verifier.batch.book import open_book, read_index
from verifier.batch.local import LocalExecutor
from verifier.report.json import read_report

ROOT = Path(__file__).parents[3]


def test_each_submission_gets_a_report_and_a_line(tmp_path: Path) -> None:
    tasks = folders(tmp_path / "in", "a", "b", "c")
    counts, book, _ = run(tasks, tmp_path / "out")
    assert (counts.done, counts.broken, dict(counts.verdicts)) == (3, 0, {"NON_COMPLIANT": 3})
    lines = read_index(book.index)
    assert {line.key for line in lines} == {task.key for task in tasks}
    for line in lines:
        assert line.report is not None
        report = read_report((tmp_path / "out" / line.report).read_text())
        assert report.submission.path == line.path
        assert [(each.check, each.grade) for each in line.failed] == [("E1-floor", "probed")]
        assert line.reason.startswith("E1-floor: ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *(".lock", "index.jsonl", "reports", "run.json"),
    ]


def test_what_goes_wrong_costs_one_submission_and_is_said(tmp_path: Path) -> None:
    tasks = folders(tmp_path / "in", "raises", "empty", "dies", "exits", "lies", "writes", "good")
    counts, book, _ = run(tasks, tmp_path / "out", jobs=3)
    said = {Path(line.path).name: (line.status, line.reason) for line in book.lines.values()}
    assert said["raises"] == ("failed", "ZeroDivisionError: by design")
    assert said["empty"] == ("nothing", "nothing there")
    assert said["dies"] == ("failed", "the audit ended with signal SIGSEGV: last words")
    assert said["exits"] == ("failed", "the audit ended with exit code 7")
    assert said["lies"] == ("failed", "the report in reports is not about this submission")
    assert said["writes"][0] == said["good"][0] == "audited"
    assert {line.verdict for line in book.lines.values() if line.status != "audited"} == {"NEEDS_REVIEW"}
    assert counts.broken == 4


def test_an_overrun_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    tasks = folders(tmp_path / "in", "stuck", "good")
    before = time.monotonic()
    counts, book, _ = run(tasks, tmp_path / "out", margin_seconds=1.0)
    assert time.monotonic() - before < 30
    line = book.lines[tasks[0].key]
    assert line.status == "killed"
    assert "over the limit of 2 s" in line.reason
    assert counts.broken == 1
    group = int((tmp_path / "in" / "stuck" / "ran").read_text())
    assert not _alive(group)


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    tasks = folders(tmp_path / "in", "a", "raises")
    run(tasks, tmp_path / "out")
    before = (tmp_path / "out" / "index.jsonl").read_bytes()
    counts, _, watched = run([*tasks, tasks[0]], tmp_path / "out")
    assert (watched.started, len(watched.done), counts.done) == ([], 2, 2)
    assert (tmp_path / "out" / "index.jsonl").read_bytes() == before


def test_retry_runs_only_what_could_not_be_audited(tmp_path: Path) -> None:
    tasks = folders(tmp_path / "in", "a", "raises", "empty")
    run(tasks, tmp_path / "out")
    counts, book, watched = run(tasks, tmp_path / "out", retry=True)
    assert [Path(task.path).name for task in watched.started] == ["raises"]
    assert (counts.done, len(book.lines), len(read_index(book.index))) == (3, 3, 4)


def test_new_submissions_join_an_old_run(tmp_path: Path) -> None:
    first, second = folders(tmp_path / "in", "a", "b")
    run([first], tmp_path / "out")
    _, book, watched = run([first, second], tmp_path / "out")
    assert watched.started == [second]
    assert len(book.lines) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"level": "probes"},
        {"time_limit_seconds": 2.0},
        {"seed": 7},
        {"tool": "0.2.0+0123456789ab"},
        {"rule_edition": "2027-01-01"},
    ],
)
def test_other_settings_are_refused(tmp_path: Path, other: dict[str, object]) -> None:
    run(folders(tmp_path / "in", "a"), tmp_path / "out")
    with (
        pytest.raises(BatchError, match="holds results of other settings") as caught,
        open_book(tmp_path / "out", replace(HOW, **other)),  # type: ignore[arg-type]
    ):
        pass
    name, value = next(iter(other.items()))
    assert caught.value.facts["expected"] == f"{name} {value}"


def test_two_batches_never_write_to_one_folder(tmp_path: Path) -> None:
    with (
        open_book(tmp_path, HOW),
        pytest.raises(BatchError, match="another batch is writing"),
        open_book(tmp_path, HOW),
    ):
        pass


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text('{"key": 1}\n')
    with pytest.raises(BatchError, match=r"index\.jsonl:1 is not a line"), open_book(tmp_path, HOW):
        pass


# ---- kills --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    run(folders(root / "in", "a", "b", "c", "d"), root / "out")
    return root


@profile(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_an_index_cut_anywhere_is_made_whole_without_running_anything(
    finished: Path, data: st.DataObject
) -> None:
    """Whatever byte a kill stopped at: reports are on disk before their lines, so each is adopted."""
    index = finished / "out" / "index.jsonl"
    whole = index.read_bytes()
    index.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    tasks = [Task(HOW, str(finished / "in" / name)) for name in "abcd"]
    _, book, watched = run(tasks, finished / "out")
    assert watched.started == []
    assert set(book.lines) == {task.key for task in tasks}
    assert sorted(index.read_bytes().splitlines()) == sorted(whole.splitlines())


@pytest.mark.parametrize("damage", [b"", b"{", b"half a report", b"\xff\xfe"])
def test_a_report_that_is_no_report_is_made_again(tmp_path: Path, damage: bytes) -> None:
    tasks = folders(tmp_path / "in", "a")
    run(tasks, tmp_path / "out")
    (report,) = (tmp_path / "out" / "reports").iterdir()
    report.write_bytes(damage)
    (tmp_path / "out" / "index.jsonl").unlink()
    _, book, watched = run(tasks, tmp_path / "out")
    assert watched.started == tasks
    assert len(book.lines) == 1


@pytest.mark.slow
def wait_until_quiet(tasks: Sequence[Task]) -> None:
    """Audits notice that their batch is gone; on a busy machine it takes them a moment."""
    for _ in range(20):
        before = {task.name: times_run(task) for task in tasks}
        time.sleep(0.5)
        if before == {task.name: times_run(task) for task in tasks}:
            return
    pytest.fail("audits outlived their batch")


def test_killed_again_and_again_nothing_is_lost_and_nothing_is_run_twice(tmp_path: Path) -> None:
    tasks = folders(tmp_path / "in", *(f"slow{number:02d}" for number in range(24)))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tests.verifier.batch.audits", str(out), *(task.path for task in tasks)]
    moments = random.Random(0)
    kills = finished_before = 0
    while True:
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        try:
            assert process.wait(moments.uniform(0.8, 2.0) if kills < 8 else 120.0) == 0
            break
        except subprocess.TimeoutExpired:
            process.kill()  # the batch alone: its audits have to notice
            process.wait()
            kills += 1
        wait_until_quiet(tasks)
        reported = {path.stem for path in (out / "reports").glob("[!.]*.json")} if out.exists() else set()
        runs = {task.name: times_run(task) for task in tasks}
        assert len(reported) >= finished_before, "a finished report was lost"
        finished_before = len(reported)
        done = {name: runs[name] for name in reported}
        for task in tasks:
            (Path(task.path) / "done").write_text(str(done.get(task.name, "")))
    assert kills > 0
    lines = read_index(out / "index.jsonl")
    assert sorted(line.name for line in lines) == sorted(task.name for task in tasks)
    assert {line.status for line in lines} == {"audited"}
    for task in tasks:
        before = (Path(task.path) / "done").read_text()
        assert before in ("", str(times_run(task))), "a finished audit was run again"
    assert [path for path in (out / "reports").iterdir() if path.name.startswith(".")] == []


def test_an_interrupt_ends_what_runs_and_keeps_what_is_done(tmp_path: Path) -> None:
    tasks = folders(tmp_path / "in", "a", "stuck")

    class Interrupting(Watched):
        def ends(self, line: object) -> None:
            raise KeyboardInterrupt

    with open_book(tmp_path / "out", HOW) as book, pytest.raises(KeyboardInterrupt):
        run_batch(tasks, book, lambda: LocalExecutor(2, fake_audit), Interrupting())
    assert [line.path for line in read_index(tmp_path / "out" / "index.jsonl")] == [tasks[0].path]
    ran = tmp_path / "in" / "stuck" / "ran"
    assert not ran.exists() or not _alive(int(ran.read_text()))


def test_the_index_is_plain_json_lines(tmp_path: Path) -> None:
    _, book, _ = run(folders(tmp_path / "in", "a"), tmp_path / "out")
    (row,) = book.index.read_text().splitlines()
    document = json.loads(row)
    assert {"pr", "sha", "folder", "verdict", "grade", "seconds", "failed", "states", "reached"} <= set(
        document
    )
    assert document["report_sha256"] == line_digest(book, document["report"])
    assert document["tool"] == "test"


def line_digest(book: Book, report: str) -> str:
    return hashlib.sha256((book.folder / report).read_bytes()).hexdigest()


def _alive(group: int) -> bool:
    """Whether a process of the group still runs, some seconds from now; one that nobody buried yet does not."""
    for _ in range(50):
        stats = [_stat(path) for path in Path("/proc").glob("[0-9]*/stat")]
        if not any(fields[2:3] == [str(group)] and fields[0] != "Z" for fields in stats):
            return False
        time.sleep(0.1)
    return True


def _stat(path: Path) -> list[str]:
    """State, parent, group and so on: what follows the name in brackets."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return [""]


def test_readings_share_a_process_and_a_crash_costs_one_of_them(tmp_path: Path) -> None:
    names = ("a", "writes", "raises", "dies", "e", "f")
    tasks = folders(tmp_path / "in", *names)
    _, book, _ = run(tasks, tmp_path / "out", jobs=1)
    ran = [(tmp_path / "in" / name / "ran").read_text().strip() for name in names]
    assert len(set(ran[:4])) == 1
    assert len(set(ran[4:])) == 1
    assert ran[3] != ran[4]
    said = {Path(line.path).name: (line.status, line.reason) for line in book.lines.values()}
    assert said["dies"] == ("failed", "the audit ended with signal SIGSEGV: last words")
    assert all(said[name][0] == "audited" for name in ("a", "writes", "e", "f"))


def test_an_audit_with_probes_has_a_process_to_itself(tmp_path: Path) -> None:
    how = replace(HOW, level="probes")
    tasks = [replace(task, settings=how) for task in folders(tmp_path / "in", "a", "b", "c")]
    executor = LocalExecutor(1, fake_audit, 60.0)
    outcomes = list(executor.run(tasks, lambda task: tmp_path / f"{task.name}.json", lambda task: None))
    assert [outcome.status for outcome in outcomes] == ["audited"] * 3
    assert len({(Path(task.path) / "ran").read_text() for task in tasks}) == 3
