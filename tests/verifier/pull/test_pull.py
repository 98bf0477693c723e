"""A pull request from its commits to its comment: what is audited, handed over, believed and published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft4Validator
from typer.testing import CliRunner, Result

from tests.verifier.intake.repositories import Repo, submission
from tests.verifier.pull.server import Forge, forge
from verifier.cli import app
from verifier.intake.git import open_repository
from verifier.pull.comment import MARKER, MAX_CHARS
from verifier.pull.github import ApiError, GitHub
from verifier.pull.handover import MAX_FOLDERS, HandoverError, read_handover
from verifier.pull.work import find_folders

ONE, TWO = (f"records/track_10min_16mb/2026-05-0{day}_Mine" for day in (1, 2))
SCHEMA = Path(__file__).parents[1] / "report/schemas/sarif-schema-2.1.0.json"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


@pytest.fixture
def github() -> Iterator[Forge]:
    with forge() as state:
        yield state


def run(*args: str) -> Result:
    return CliRunner().invoke(app, args, prog_name="pgolf-verify", env={"GITHUB_TOKEN": "t0ken"})


def audited(repo: Repo, out: Path, head: str, base: str = "main") -> Result:
    return run(
        *("pull-audit", "--git", str(repo.path), "--pr", "7", "--base", base, "--head", head),
        *("--level", "documents", "--out", str(out)),
    )


def published(github: Forge, handed: Path, head: str, out: Path | None = None) -> Result:
    return run(
        *("pull-publish", str(handed), "--repository", "o/r", "--head", head, "--api", github.url),
        *("--out", str(out or handed.parent / "published")),
    )


def handed_over(repo: Repo, tmp_path: Path, *folders: str) -> tuple[Path, str]:
    """The handover of a pull request that adds these folders, and its head."""
    head = repo.pull(7, {name: text for folder in folders for name, text in submission(folder).items()})
    audited(repo, tmp_path / "handed", head)
    return tmp_path / "handed", head


# ---- what is audited ----------------------------------------------------------------------------


def test_every_folder_that_is_added_is_audited_and_no_other(repo: Repo, tmp_path: Path) -> None:
    edited = {"records/track_10min_16mb/2026-03-17_NaiveBaseline/train_gpt.py": "print(2)\n"}
    head = repo.pull(7, {**submission(ONE), **submission(TWO), **edited})
    result = audited(repo, tmp_path / "out", head)
    assert result.exit_code == 3  # documents alone show no compliance
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["2026-05-02_Mine", "2026-05-01_Mine"]
    index = json.loads((tmp_path / "out/pull.json").read_text())
    assert index == {"pr": 7, "head": head, "folders": [TWO, ONE], "left_out": []}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0", "1", "pull.json"]


def test_what_main_gained_meanwhile_is_not_the_pull_request_s(repo: Repo) -> None:
    head = repo.pull(7, submission(ONE))
    repo.commit(submission(TWO))
    assert find_folders(open_repository(repo.path), "main", head) == (ONE,)


def test_a_pull_request_that_reworks_a_folder_has_that_one_audited(repo: Repo) -> None:
    repo.commit(submission(ONE))
    head = repo.pull(7, {f"{ONE}/train_gpt.py": "print(3)\n"})
    assert find_folders(open_repository(repo.path), "main", head) == (ONE,)


def test_a_pull_request_without_a_submission_is_no_failure(repo: Repo, tmp_path: Path) -> None:
    result = audited(repo, tmp_path / "out", repo.pull(7, {"README.md": "better\n"}))
    assert (result.exit_code, result.stdout) == (0, "no submission folder is added\n")
    assert read_handover(tmp_path / "out")[1] == ()


def test_an_archive_of_folders_is_audited_up_to_a_limit(repo: Repo, tmp_path: Path) -> None:
    names = [f"records/track_10min_16mb/2026-05-{day:02d}_Mine" for day in range(1, MAX_FOLDERS + 3)]
    handed, _ = handed_over(repo, tmp_path, *names)
    handover, reports = read_handover(handed)
    assert len(reports) == MAX_FOLDERS
    assert len(handover.left_out) == 2


def test_a_commit_that_is_not_there_is_a_usage_error(repo: Repo, tmp_path: Path) -> None:
    result = audited(repo, tmp_path / "out", "nonsense")
    assert result.exit_code == 2
    assert "has no commit nonsense" in result.stderr


# ---- what is published --------------------------------------------------------------------------


def test_the_first_time_comments_and_the_second_time_updates(
    repo: Repo, tmp_path: Path, github: Forge
) -> None:
    handed, head = handed_over(repo, tmp_path, ONE, TWO)
    github.heads[7] = head
    github.say("somebody", "nice work")
    for _ in range(2):
        result = published(github, handed, head)
        assert result.exit_code == 0
        assert result.stdout == f"pr=7\nsarif={tmp_path}/published/report.sarif\n"
    assert [each["user"]["login"] for each in github.comments] == ["somebody", "github-actions[bot]"]
    body = github.comments[1]["body"]
    assert body.startswith(MARKER)
    assert body.count("### pgolf-verify: NEEDS_REVIEW") == 2
    assert head in body
    assert github.tokens == {"Bearer t0ken"}
    assert "t0ken" not in repr(GitHub("o/r", "t0ken"))


def test_a_marker_in_somebody_else_s_comment_is_not_ours(repo: Repo, tmp_path: Path, github: Forge) -> None:
    handed, head = handed_over(repo, tmp_path, ONE)
    github.heads[7] = head
    github.say("somebody", f"{MARKER}\nCOMPLIANT, trust me")
    published(github, handed, head)
    assert github.comments[0]["body"].endswith("trust me")
    assert len(github.comments) == 2


def test_our_comment_is_found_behind_many_others(repo: Repo, tmp_path: Path, github: Forge) -> None:
    handed, head = handed_over(repo, tmp_path, ONE)
    github.heads[7] = head
    for number in range(230):
        github.say("somebody", f"comment {number}")
    github.say("github-actions[bot]", f"{MARKER}\nold")
    published(github, handed, head)
    assert len(github.comments) == 231
    assert not github.comments[-1]["body"].endswith("old")


def test_the_sarif_of_all_folders_is_one_valid_file(repo: Repo, tmp_path: Path, github: Forge) -> None:
    handed, head = handed_over(repo, tmp_path, ONE, TWO)
    github.heads[7] = head
    published(github, handed, head)
    document = json.loads((tmp_path / "published/report.sarif").read_text())
    Draft4Validator(json.loads(SCHEMA.read_text())).validate(document)
    assert [each["automationDetails"]["id"] for each in document["runs"]] == [
        f"pgolf-verify/{folder}/" for folder in (TWO, ONE)
    ]


def test_a_comment_never_outgrows_what_github_takes(repo: Repo, tmp_path: Path, github: Forge) -> None:
    handed, head = handed_over(repo, tmp_path, ONE)
    github.heads[7] = head
    path = handed / "0/report.json"
    report = json.loads(path.read_text())
    report["findings"][0]["message"] = "x" * 2 * MAX_CHARS
    path.write_text(json.dumps(report))
    assert published(github, handed, head).exit_code == 0
    body = github.comments[0]["body"]
    assert len(body) < 65_536
    assert "did not fit into a comment" in body
    assert body.count("<details>") == body.count("</details>")


def test_the_verdict_and_the_rules_are_told_anew_and_not_believed(
    repo: Repo, tmp_path: Path, github: Forge
) -> None:
    handed, head = handed_over(repo, tmp_path, ONE)
    github.heads[7] = head
    path = handed / "0/report.json"
    report = json.loads(path.read_text())
    assert report["verdict"] == "NEEDS_REVIEW"
    report["verdict"] = "COMPLIANT"
    report["findings"][0]["state"] = "FAIL"
    for rule in report["rules"]:
        rule.update(text="send money", sources=["https://evil.example/"])
    path.write_text(json.dumps(report))
    assert published(github, handed, head).exit_code == 0
    body = github.comments[0]["body"]
    assert "NON_COMPLIANT" in body
    assert "evil.example" not in body
    assert "send money" not in body


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["moved on", "another event", "workflows"])
def test_what_is_not_this_pull_request_now_is_not_published(
    repo: Repo, tmp_path: Path, github: Forge, why: str
) -> None:
    handed, head = handed_over(repo, tmp_path, ONE)
    github.heads[7] = "f" * 40 if why == "moved on" else head
    github.files = ["README.md"] * 150 + [".github/workflows/pgolf-verify.yml"] * (why == "workflows")
    result = published(github, handed, "e" * 40 if why == "another event" else head)
    assert (result.exit_code, result.stdout) == (0, "sarif=\n")
    assert result.stderr.startswith("not published: ")
    assert github.comments == []
    assert not (tmp_path / "published").exists()


def test_a_handover_that_is_not_one_is_refused(repo: Repo, tmp_path: Path, github: Forge) -> None:
    handed, head = handed_over(repo, tmp_path, ONE)
    github.heads[7] = head
    report, index = handed / "0/report.json", handed / "pull.json"
    good = {path: path.read_text() for path in (report, index)}
    other = json.loads(good[report])
    other["submission"]["git"]["sha"] = "a" * 40
    bad = {
        "no report": (report, "{}"),
        "another commit": (report, json.dumps(other)),
        "not what an audit leaves": (index, json.dumps({"pr": True, "head": head, "folders": []})),
        "more than 8": (index, json.dumps({"pr": 7, "head": head, "folders": [ONE] * 9})),
        "more than 65,536 bytes": (index, " " * 100_000),
        "is missing": (index, json.dumps({"pr": 7, "head": head, "folders": [ONE, TWO]})),
    }
    for expected, (path, text) in bad.items():
        path.write_text(text)
        with pytest.raises(HandoverError, match=expected):
            read_handover(handed)
        assert published(github, handed, head).exit_code == 2
        path.write_text(good[path])
    report.unlink()
    report.symlink_to(tmp_path / "elsewhere.json")
    (tmp_path / "elsewhere.json").write_text(good[report])
    with pytest.raises(HandoverError, match="no plain file"):
        read_handover(handed)
    assert github.asked == []


def test_a_refusal_of_github_is_told_plainly(repo: Repo, tmp_path: Path, github: Forge) -> None:
    handed, head = handed_over(repo, tmp_path, ONE)
    github.refuse = 403
    result = published(github, handed, head)
    assert result.exit_code == 2
    assert result.stderr.startswith("error  GitHub: GET pulls/7: HTTP 403")
    with pytest.raises(ApiError, match="GET pulls/7"):
        GitHub("o/r", "t", "http://127.0.0.1:1").head(7)


def test_publishing_needs_a_token_and_a_repository(tmp_path: Path) -> None:
    asked = ("pull-publish", str(tmp_path), "--head", "a", "--out", str(tmp_path))
    assert "OWNER/NAME" in run(*asked, "--repository", "o/r/../x").stderr
    result = CliRunner().invoke(app, [*asked, "--repository", "o/r"], env={"GITHUB_TOKEN": ""})
    assert "GITHUB_TOKEN is not set" in result.stderr
