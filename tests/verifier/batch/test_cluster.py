"""The same batch on a Ray of this machine. Needs `pip install 'pgolf-verify[ray]'`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.verifier.batch.audits import HOW, Watched, fake_audit, folders, run, times_run
from verifier.batch import BatchError, run_batch
from verifier.batch.book import open_book
from verifier.batch.cluster import LOCAL, RayExecutor


def test_without_ray_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    tasks = folders(tmp_path / "in", "a")
    with open_book(tmp_path / "out", HOW) as book, pytest.raises(BatchError, match="not installed") as caught:
        run_batch(tasks, book, lambda: RayExecutor(LOCAL, 1), Watched())
    assert "pgolf-verify[ray]" in caught.value.facts["next"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_local_ray_gives_what_processes_give(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    tasks = folders(tmp_path / "in", "a", "b", "raises", "dies", "empty")
    with open_book(tmp_path / "out", HOW) as book:
        counts = run_batch(tasks, book, lambda: RayExecutor(LOCAL, 1, fake_audit), Watched())
    assert (counts.done, counts.broken) == (5, 2)
    there = {line.path: (line.status, line.reason, line.report_sha256) for line in book.lines.values()}
    _, local, watched = run(tasks, tmp_path / "out")
    assert watched.started == []
    _, local, _ = run(tasks, tmp_path / "again")
    assert there == {
        line.path: (line.status, line.reason, line.report_sha256) for line in local.lines.values()
    }
    assert {times_run(task) for task in tasks} == {2}
