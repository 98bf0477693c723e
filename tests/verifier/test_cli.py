"""The command line: what each path prints, where, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.verifier import fakes
from verifier import __version__
from verifier.checks import Check
from verifier.cli import app
from verifier.finding import State
from verifier.intake import IntakeError
from verifier.report.json import load_schema, read_report
from verifier.report.store import write_whole


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> fakes.World:
    """The fake parts, and an empty folder `entry` in the working directory to audit."""
    (tmp_path / "entry").mkdir()
    monkeypatch.chdir(tmp_path)
    return fakes.install(monkeypatch)


def run(*args: str) -> Result:
    return CliRunner().invoke(app, args, prog_name="pgolf-verify")


# ---- audit --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checks", "word", "code"),
    [
        (fakes.compliant_checks(), "COMPLIANT", 0),
        ((*fakes.compliant_checks(), fakes.state_check(State.FAIL)), "NON_COMPLIANT", 1),
        ((*fakes.compliant_checks(), fakes.state_check(State.WARN)), "NEEDS_REVIEW", 3),
        ((*fakes.compliant_checks(), fakes.state_check(State.ERROR)), "NEEDS_REVIEW", 3),
        ((), "NEEDS_REVIEW", 3),
    ],
)
def test_the_exit_code_is_the_verdict(
    world: fakes.World, checks: tuple[Check, ...], word: str, code: int
) -> None:
    world.checks = checks
    result = run("entry")
    assert result.stdout.startswith(f"{word}  entry")
    assert result.exit_code == code
    assert json.loads(run("entry", "--json").stdout)["verdict"] == word


def test_a_check_that_raises_is_an_error_with_its_traceback(world: fakes.World) -> None:
    def raises(evidence: Any) -> Any:
        raise ZeroDivisionError("by design")

    world.checks = (*fakes.compliant_checks(), Check("Z1-raises", "t", fakes.Grade.LOG, (), raises))
    result = run("entry", "--json")
    assert result.exit_code == 3
    finding = json.loads(result.stdout)["findings"][-1]
    assert finding["state"] == "ERROR"
    assert "ZeroDivisionError: by design" in finding["evidence"]["traceback"]


def test_options_may_come_before_the_folder(world: fakes.World) -> None:
    result = run("--level", "documents", "--json", "entry")
    assert json.loads(result.stdout)["run"]["level"] == "documents"


def test_json_is_alone(world: fakes.World) -> None:
    result = run("entry", "--json", "--seed", "5")
    assert read_report(result.stdout).run.seeds == (5,)
    assert result.stderr == ""


def test_quiet_is_one_line_and_no_progress(world: fakes.World) -> None:
    result = run("entry", "--quiet")
    assert result.stdout == "NEEDS_REVIEW  entry  2 PASS\n"
    assert result.stderr == ""


def test_markdown_is_the_comment(world: fakes.World) -> None:
    assert run("entry", "--markdown").stdout.startswith("### pgolf-verify: NEEDS_REVIEW\n\n`entry`")


def test_output_writes_every_form_whole(world: fakes.World, tmp_path: Path) -> None:
    result = run("entry", "--output", "out/deep", "--quiet")
    assert result.exit_code == 3
    written = tmp_path / "out" / "deep"
    assert sorted(path.name for path in written.iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
        "report.sarif",
    ]
    document = json.loads((written / "report.json").read_text())
    floor = next(finding for finding in document["findings"] if finding["check"] == "E1-floor")
    assert floor["replay"] == "pgolf-verify replay out/deep/report.json --finding E1-floor"


def test_a_write_that_fails_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    write_whole(path, "old")

    def full(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "new")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["explian"], "did you mean explain?"),
        (["file.txt"], "file.txt is a file"),
        (["entry", "--json", "--markdown"], "--json and --markdown both want stdout"),
        (["entry", "--output", "entry/out"], "lies inside the submission"),
        (["entry", "--output", "file.txt"], "--output file.txt cannot be made"),
        (["entry", "--seed", "-1"], "greater than or equal to 0"),
        (["entry", "--time-limit", "0"], "greater than or equal to 1"),
        (["entry", "--levle", "probes"], "--level"),
        (["entry", "--level", "deep"], "'documents', 'static', 'probes'"),
        (["entry", "other"], "unexpected extra argument"),
    ],
)
def test_usage_errors_exit_2_and_say_what_to_do(
    world: fakes.World, tmp_path: Path, args: list[str], expected: str
) -> None:
    (tmp_path / "file.txt").write_text("x")
    result = run(*args)
    assert expected in " ".join(result.stderr.replace("│", " ").split())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert world.probed_with == []


def test_a_folder_named_like_a_command(world: fakes.World, tmp_path: Path) -> None:
    (tmp_path / "explain").mkdir()
    assert run("./explain", "--quiet").stdout.startswith("NEEDS_REVIEW  explain")
    assert "E1-floor" in run("explain").stdout


def test_a_folder_that_intake_refuses_is_exit_2(world: fakes.World) -> None:
    def refuse(folder: Path) -> Any:
        raise IntakeError("entry holds nothing to audit")

    world.load = refuse
    result = run("entry")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "error  entry holds nothing to audit" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("debug", [False, True])
def test_a_bug_is_exit_3_and_a_traceback_only_with_debug(world: fakes.World, debug: bool) -> None:
    def broken(folder: Path) -> Any:
        raise RuntimeError("a bug")

    world.load = broken
    result = run("entry", *(["--debug"] if debug else []))
    assert result.exit_code == 3
    assert "unexpected RuntimeError: a bug" in result.stderr
    assert ("Traceback" in result.stderr) is debug


def test_ctrl_c_is_exit_130_with_a_message(world: fakes.World) -> None:
    def interrupted(submission: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    world.run_probes = interrupted
    result = run("entry", "--output", "out")
    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    assert list(Path("out").iterdir()) == []


def test_a_reader_that_leaves_does_not_change_the_verdict(tmp_path: Path) -> None:
    """`pgolf-verify FOLDER | head -0` must not exit with 1, which is a verdict."""
    program = (
        "import sys\n"
        "import pytest\n"
        "from tests.verifier import fakes\n"
        "from verifier.cli import app\n"
        "patch = pytest.MonkeyPatch()\n"
        "fakes.install(patch).checks = fakes.compliant_checks()\n"
        "sys.argv[1:] = [sys.argv[1], '--json', '--quiet']\n"
        "app(prog_name='pgolf-verify')\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            stdout=nobody,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


# ---- explain, rules, schema, doctor, version ----------------------------------------------------


def test_without_arguments_it_is_help() -> None:
    result = run()
    assert result.exit_code == 2
    assert "pgolf-verify" in result.output
    assert "FOLDER" in result.output


def test_help_names_the_exit_codes() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "3 needs review" in " ".join(result.stdout.split())


def test_version(world: fakes.World) -> None:
    result = run("--version")
    assert (result.stdout, result.exit_code) == (f"pgolf-verify {__version__} (rules 2026-05-02)\n", 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("E1-floor", ["E1-floor  no score beats", "rule R-001  Strict causal", "Compares the reported loss"]),
        ("e1-FLOOR", ["Compares the reported loss"]),
        ("R-001", ["Strict causal dependence", "COM ORG  #1017", "Only the past.", "E1-floor"]),
        ("r-099", ["No check bears on it."]),
    ],
)
def test_explain_prints_a_page(world: fakes.World, name: str, expected: list[str]) -> None:
    result = run("explain", name)
    assert result.exit_code == 0
    for text in expected:
        assert text in result.stdout


def test_explain_lists_the_checks(world: fakes.World) -> None:
    result = run("explain")
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ["B1-denominator", "E1-floor"]


@pytest.mark.parametrize(("name", "near"), [("E1-flor", "E1-floor"), ("e1", "E1-floor"), ("R-0001", "R-001")])
def test_explain_suggests_what_is_near(world: fakes.World, name: str, near: str) -> None:
    result = run("explain", name)
    assert result.exit_code == 2
    assert f"no check or rule is called '{name}'" in result.stderr
    assert near in result.stderr.split("did you mean")[1]


def test_explain_without_a_near_name_says_where_the_list_is(world: fakes.World) -> None:
    assert "`pgolf-verify explain` lists the checks" in run("explain", "zzz").stderr


def test_rules_lists_an_edition_with_the_checks_that_bear_on_it(world: fakes.World) -> None:
    result = run("rules")
    assert result.exit_code == 0
    assert result.stdout.startswith("rule edition 2026-05-02")
    lines = result.stdout.splitlines()
    row = next(index for index, line in enumerate(lines) if line.startswith("R-060"))
    assert lines[row + 1].split() == ["B1-denominator"]


def test_rules_are_a_table_where_there_is_room(world: fakes.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    row = next(line for line in run("rules").stdout.splitlines() if line.startswith("R-060"))
    assert row.split()[-1] == "B1-denominator"


def test_an_unknown_edition_is_exit_2(world: fakes.World) -> None:
    result = run("rules", "--edition", "1999-01-01")
    assert result.exit_code == 2
    assert "there are: 2026-05-02" in result.stderr


def test_schema_prints_the_shipped_schema() -> None:
    result = run("schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == load_schema()


def test_doctor(world: fakes.World) -> None:
    result = run("doctor")
    assert "isolation: network" in result.stdout
    assert "tokenizer cache" in result.stdout
    assert (result.exit_code, result.stderr) == (0, "")


def test_doctor_without_isolation_is_exit_3(world: fakes.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifier.doctor.isolation", dict)
    result = run("doctor")
    assert result.exit_code == 3
    assert "probes will not run" in result.stderr


# ---- replay -------------------------------------------------------------------------------------


def recorded(world: fakes.World, bits: float = 611.0) -> None:
    """Audit a script that is `bits` under the floor, and keep the report."""
    world.run_probes = lambda submission, **options: fakes.record(options["seed"], gain_bits=bits)
    assert run("entry", "--output", "out", "--seed", "9").exit_code in (1, 3)


def test_tokens_to_decode_reach_the_probes_and_need_a_run(world: fakes.World) -> None:
    asked: list[int] = []

    def probes(submission: Any, **options: Any) -> Any:
        asked.append(options["decode_tokens"])
        return fakes.record(options["seed"])

    world.run_probes = probes
    run("entry")
    run("entry", "--decode", "4096")
    assert asked == [0, 4096]
    result = run("entry", "--decode", "10", "--level", "static")
    assert result.exit_code == 2
    assert "--decode needs a run" in result.stderr


def test_a_finding_that_comes_out_again_is_exit_0(world: fakes.World) -> None:
    recorded(world)
    result = run("replay", "out/report.json", "--finding", "E1-floor")
    assert result.exit_code == 0
    assert result.stdout.startswith("agrees  E1-floor")
    assert [line.split() for line in result.stdout.splitlines() if "gain_bits" in line] == [
        ["gain_bits", "611", "611"]
    ]


def test_the_recorded_seed_is_used_again(world: fakes.World) -> None:
    recorded(world)
    used: list[int] = []

    def probes(submission: Any, **options: Any) -> Any:
        used.append(options["seed"])
        return fakes.record(options["seed"], gain_bits=611.0)

    world.run_probes = probes
    assert run("replay", "out/report.json").exit_code == 0
    assert used == [9]


def test_a_finding_that_does_not_come_out_is_exit_1(world: fakes.World) -> None:
    recorded(world)
    world.run_probes = lambda submission, **options: fakes.record(options["seed"])
    result = run("replay", "out/report.json", "--finding", "e1-floor")
    assert result.exit_code == 1
    assert result.stdout.startswith("DIFFERS  E1-floor")


def test_another_script_is_not_replayed(world: fakes.World) -> None:
    recorded(world)
    world.load = lambda folder: fakes.submission(folder, sha256="ef" * 32)
    result = run("replay", "out/report.json")
    assert result.exit_code == 2
    assert "not the one that the report is about" in result.stderr
    assert "found     sha256 efef" in result.stderr
    assert "expected  sha256 abab" in result.stderr


def test_a_moved_folder_is_found_with_folder(world: fakes.World, tmp_path: Path) -> None:
    recorded(world)
    (tmp_path / "entry").rename(tmp_path / "moved")
    result = run("replay", "out/report.json")
    assert result.exit_code == 2
    assert "--folder DIR" in result.stderr
    assert run("replay", "out/report.json", "--folder", "moved").exit_code == 0


def test_a_folder_beside_the_report_is_found(
    world: fakes.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(world)
    (tmp_path / "entry").rename(tmp_path / "out" / "entry")
    monkeypatch.chdir("/")
    assert run("replay", str(tmp_path / "out" / "report.json")).exit_code == 0


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        ("E1-flor", "did you mean E1-floor?"),
        ("B1-denominator", "rests on the documents"),
        ("zzz", "it can rerun: E1-floor"),
    ],
)
def test_a_finding_that_cannot_be_replayed(world: fakes.World, finding: str, expected: str) -> None:
    recorded(world)
    result = run("replay", "out/report.json", "--finding", finding)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_a_report_of_documents_has_nothing_to_replay(world: fakes.World) -> None:
    run("entry", "--level", "documents", "--output", "out")
    result = run("replay", "out/report.json")
    assert result.exit_code == 2
    assert "nothing was executed" in result.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{", "not JSON"),
        (b"{}", "found None"),
        (b"\xff\xfe", "not UTF-8"),
        (None, "No such file"),
    ],
)
def test_what_is_not_a_report_is_not_replayed(
    world: fakes.World, tmp_path: Path, content: bytes | None, expected: str
) -> None:
    path = tmp_path / "odd.json"
    if content is not None:
        path.write_bytes(content)
    result = run("replay", "odd.json")
    assert result.exit_code == 2
    assert expected in result.stderr


def test_a_saved_report_is_written_in_other_forms_as_the_audit_wrote_it(
    world: fakes.World, tmp_path: Path
) -> None:
    printed = run("entry", "--output", "out").stdout
    for form in ("html", "sarif"):
        assert (
            run("render", "out/report.json", f"--{form}").stdout
            == (tmp_path / f"out/report.{form}").read_text()
        )
    assert run("render", "out/report.json").stdout == printed
    assert run("render", "out/report.json", "--out", "page.txt").stdout == ""
    assert (tmp_path / "page.txt").read_text().split() == printed.split()
    assert run("render", "out/report.json", "--html", "--out", "page.html").stdout == ""
    assert (tmp_path / "page.html").read_text() == (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["out/report.json", "--html", "--sarif"], "one form at a time"),
        (["nothing.json", "--html"], "nothing.json cannot be read"),
        (["out/report.json", "--html", "--out", "no/page.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_rendered_is_said_plainly(world: fakes.World, args: list[str], expected: str) -> None:
    run("entry", "--output", "out", "--quiet")
    result = run("render", *args)
    assert result.exit_code == 2
    assert expected in result.stderr
