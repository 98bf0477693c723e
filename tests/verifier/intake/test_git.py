"""From a repository to a folder: heads, bases, blobs that are missing, paths that lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.verifier.intake.repositories import RECORD, Repo, submission
from verifier.intake import load_submission
from verifier.intake.checkout import Checkout, check_out
from verifier.intake.git import GitError, open_repository


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "clone")


def out(repo: Repo, tmp_path: Path, **wanted: object) -> Checkout:
    return check_out(open_repository(repo.path), tmp_path / "scratch", **wanted)  # type: ignore[arg-type]


def names(checkout: Checkout) -> list[str]:
    return sorted(str(path.relative_to(checkout.root)) for path in checkout.root.rglob("*") if path.is_file())


def test_the_folder_that_a_pull_request_adds(repo: Repo, tmp_path: Path) -> None:
    head = repo.pull(7, submission(RECORD))
    checkout = out(repo, tmp_path, pr=7)
    origin = checkout.origin
    assert (origin.pr, origin.sha, origin.folder, origin.script) == (7, head, RECORD, None)
    assert names(checkout) == ["submission.json", "train_gpt.py", "train_seed1.log"]
    assert checkout.problems == ()
    assert load_submission(checkout.root).track == "10min_16mb"


def test_a_bare_mirror_does_as_well(repo: Repo, tmp_path: Path) -> None:
    repo.pull(7, submission(RECORD))
    repo.git("clone", "--quiet", "--mirror", ".", str(tmp_path / "mirror"))
    checkout = check_out(open_repository(tmp_path / "mirror"), tmp_path / "scratch", pr=7)
    assert checkout.origin.folder == RECORD


@pytest.mark.parametrize(
    "ref", ["refs/remotes/origin/pr/7", "refs/remotes/up/pull/7/head", "refs/heads/pull/7/head"]
)
def test_the_names_that_clones_give_to_pull_requests(repo: Repo, tmp_path: Path, ref: str) -> None:
    head = repo.pull(7, submission(RECORD))
    repo.git("update-ref", "-d", "refs/pull/7/head")
    repo.git("update-ref", ref, head)
    assert out(repo, tmp_path, pr=7).origin.sha == head


@pytest.mark.parametrize("later", [0, 3])
def test_a_merged_head_is_compared_from_before_its_merge(repo: Repo, tmp_path: Path, later: int) -> None:
    head = repo.pull(7, submission(RECORD))
    repo.merge(head)
    for number in range(later):
        other = repo.pull(10 + number, submission(f"records/track_10min_16mb/2026-05-0{number + 1}_Later"))
        repo.merge(other)
    assert out(repo, tmp_path, pr=7).origin.folder == RECORD


def test_a_head_that_main_was_fast_forwarded_to(repo: Repo, tmp_path: Path) -> None:
    head = repo.pull(7, submission(RECORD))
    repo.git("merge", "--quiet", "--ff-only", head)
    assert out(repo, tmp_path, pr=7).origin.folder == RECORD


def test_a_head_without_common_history(repo: Repo, tmp_path: Path) -> None:
    repo.git("checkout", "--quiet", "--orphan", "alone")
    head = repo.commit(submission(RECORD))
    repo.git("update-ref", "refs/pull/7/head", head)
    repo.git("checkout", "--quiet", "main")
    assert out(repo, tmp_path, pr=7).origin.folder == RECORD


def test_of_several_attempts_the_last_one_is_chosen_and_the_others_are_named(
    repo: Repo, tmp_path: Path
) -> None:
    first, last = f"{RECORD}_b_first", f"{RECORD}_a_last"
    repo.pull(7, submission(first), submission(last), {f"{first}/README.md": "more\n"})
    origin = out(repo, tmp_path, pr=7).origin
    assert (origin.folder, origin.others) == (last, (first,))
    assert (
        check_out(open_repository(repo.path), tmp_path / "again", pr=7, folder=first).origin.folder == first
    )


def test_an_older_commit_of_the_pull_request(repo: Repo, tmp_path: Path) -> None:
    repo.pull(7, submission(RECORD), submission(f"{RECORD}_later"))
    older = repo.git("rev-parse", "refs/pull/7/head^")
    assert out(repo, tmp_path, pr=7, sha=older[:12]).origin.sha == older


def test_the_script_at_the_root(repo: Repo, tmp_path: Path) -> None:
    repo.pull(7, {"train_gpt.py": "print('better')\n", "logs/a.log": "x\n", "README.md": "mine\n"})
    checkout = out(repo, tmp_path, pr=7)
    assert checkout.origin.folder == ""
    assert names(checkout) == ["logs/a.log", "train_gpt.py"]
    assert (checkout.root / "train_gpt.py").read_text() == "print('better')\n"


def test_a_folder_whose_script_is_at_the_root(repo: Repo, tmp_path: Path) -> None:
    repo.pull(7, {**submission(RECORD, script=None), "train_gpt.py": "print('better')\n"})
    checkout = out(repo, tmp_path, pr=7)
    assert (checkout.origin.folder, checkout.origin.script) == (RECORD, "train_gpt.py")
    assert (checkout.root / "train_gpt.py").read_text() == "print('better')\n"


def test_blobs_that_the_clone_lacks_are_named(repo: Repo, tmp_path: Path) -> None:
    repo.pull(7, {**submission(RECORD), f"{RECORD}/final_model.ptz": "weights\n"})
    for name in ("train_seed1.log", "final_model.ptz"):
        blob = repo.git("rev-parse", f"refs/pull/7/head:{RECORD}/{name}")
        (repo.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    checkout = out(repo, tmp_path, pr=7)
    assert checkout.origin.missing == ("final_model.ptz", "train_seed1.log")
    assert [(problem.code, problem.where and problem.where.file) for problem in checkout.problems] == [
        ("git-missing", "train_seed1.log")
    ]
    assert names(checkout) == ["submission.json", "train_gpt.py"]


def test_links_and_submodules_are_not_followed(repo: Repo, tmp_path: Path) -> None:
    (repo.path / RECORD).mkdir(parents=True)
    os.symlink("/etc/passwd", repo.path / RECORD / "train_seed2.log")
    Repo(repo.path / RECORD / "library")  # a repository inside: `git add` makes it a submodule
    repo.pull(7, submission(RECORD))
    checkout = out(repo, tmp_path, pr=7)
    assert names(checkout) == ["submission.json", "train_gpt.py", "train_seed1.log"]
    assert sorted(problem.code for problem in checkout.problems) == ["submodule", "symlink"]


@pytest.mark.parametrize("name", ["..", ".git", ".GIT", "."])
def test_a_tree_that_points_out_of_the_folder(repo: Repo, tmp_path: Path, name: str) -> None:
    """Written with plumbing: git itself refuses to check such a tree out."""
    head = repo.pull(7, submission(RECORD))
    blob = bytes.fromhex(repo.git("hash-object", "-w", "--stdin", data=b"escaped\n"))

    def tree(*entries: tuple[str, str, bytes]) -> bytes:
        data = b"".join(f"{mode} {entry}\0".encode() + sha for mode, entry, sha in entries)
        return bytes.fromhex(repo.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=data))

    inner = tree(("100644", "escaped.log", blob))
    claim = bytes.fromhex(repo.git("rev-parse", f"{head}:{RECORD}/submission.json"))
    mine = tree(("40000", name, inner), ("100644", "submission.json", claim))
    parts = RECORD.split("/")
    for part in reversed(parts):
        mine = tree(("40000", part, mine))
    hostile = repo.git("commit-tree", mine.hex(), "-p", "main", "-m", "hostile")
    repo.git("update-ref", "refs/pull/7/head", hostile)
    checkout = out(repo, tmp_path, pr=7)
    assert [path.name for path in tmp_path.rglob("escaped.log")] == []
    assert names(checkout) == ["submission.json"]
    assert [problem.code for problem in checkout.problems] == ["git-path"]


def test_strange_names_come_through(repo: Repo, tmp_path: Path) -> None:
    folder = "records/track_10min_16mb/2026-04-01_Größe [x] *"
    repo.pull(7, {**submission(folder), f"{folder}/ two words\tand a tab.log": "x\n"})
    checkout = out(repo, tmp_path, pr=7)
    assert checkout.origin.folder == folder
    assert " two words\tand a tab.log" in names(checkout)


def test_nothing_is_written_over_the_limit(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.intake.checkout.MAX_FILE_BYTES", 64)
    repo.pull(7, {**submission(RECORD), f"{RECORD}/data.bin": "x" * 65})
    checkout = out(repo, tmp_path, pr=7)
    assert checkout.origin.missing == ("data.bin",)
    assert [problem.code for problem in checkout.problems] == ["file-too-large"]
    assert names(checkout) == ["submission.json", "train_gpt.py", "train_seed1.log"]


# ---- what is said when it cannot be done --------------------------------------------------------


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="there is no repository"):
        open_repository(tmp_path / "nowhere")
    with pytest.raises(GitError, match="not a git repository"):
        open_repository(tmp_path)


def test_no_such_pull_request_says_which_names_were_tried(repo: Repo, tmp_path: Path) -> None:
    repo.pull(7, submission(RECORD))
    with pytest.raises(GitError, match="does not hold pull request 8") as caught:
        out(repo, tmp_path, pr=8)
    assert "refs/pull/8/head" in caught.value.facts["tried"]
    assert caught.value.facts["found"] == "1 pull requests"


@pytest.mark.parametrize("sha", ["feed" * 10, "--help", "main:train_gpt.py"])
def test_no_such_commit(repo: Repo, tmp_path: Path, sha: str) -> None:
    with pytest.raises(GitError, match="has no commit"):
        out(repo, tmp_path, sha=sha)


@pytest.mark.parametrize("folder", ["records/nowhere", "../x", "/etc", ".git/x"])
def test_no_such_folder(repo: Repo, tmp_path: Path, folder: str) -> None:
    repo.pull(7, submission(RECORD))
    with pytest.raises(GitError, match=r"no folder|not a path"):
        out(repo, tmp_path, pr=7, folder=folder)


def test_a_pull_request_that_submits_nothing(repo: Repo, tmp_path: Path) -> None:
    repo.pull(7, {"README.md": "a typo\n"})
    with pytest.raises(GitError, match="looks like a submission") as caught:
        out(repo, tmp_path, pr=7)
    assert caught.value.facts["found"] == "it changes README.md"
