"""Each guarantee of the sandbox, against a child that really tries to break it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from verifier.probe.sandbox import WORK, Ended, Job, Limits, Mechanism, Outcome, run_sandboxed


def works(mechanism: Mechanism, folder: Path) -> bool:
    if mechanism is Mechanism.ROOT and os.geteuid() != 0:
        return False
    return run_sandboxed(Job((sys.executable, "-I", "-S", "-c", ""), folder), mechanism).ok


@pytest.fixture(scope="session", params=list(Mechanism), ids=lambda mechanism: mechanism.value)
def mechanism(request, tmp_path_factory) -> Mechanism:
    chosen: Mechanism = request.param
    if chosen is not Mechanism.PROCESS and not works(chosen, tmp_path_factory.mktemp("probe")):
        pytest.skip(f"this system does not permit namespaces by way of {chosen.value!r}")
    return chosen


def run(mechanism: Mechanism, tree: Path, script: str, **fields) -> Outcome:
    (tree / "script.py").write_text(script)
    fields.setdefault("limits", Limits(wall_seconds=20))
    return run_sandboxed(Job((sys.executable, "-I", f"{WORK}/script.py"), tree, **fields), mechanism)


def test_a_plain_script_runs_where_it_was_told(mechanism, tmp_path):
    outcome = run(
        mechanism,
        tmp_path,
        "import os, sys; print(os.getcwd(), dict(os.environ)); open('out', 'w').write('x'); sys.exit(3)",
        env={"AUDIT": f"{WORK}/data"},
    )
    assert outcome.message == ""
    assert (outcome.ended, outcome.exit_code, outcome.stderr) == (Ended.EXIT, 3, b"")
    words = outcome.stdout.decode()
    assert words.startswith(str(outcome.work_path))
    assert f"{outcome.work_path}/data" in words
    assert "HOME" not in words  # nothing is inherited
    assert (tmp_path / "out").read_text() == "x"
    assert (tmp_path / "out").stat().st_uid == tmp_path.stat().st_uid
    assert set(outcome.isolation) == {"network", "filesystem", "processes", "ipc", "memory", "privileges"}
