"""Which folder a pull request submits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.intake.choose import ROOT, Change, borrowed_script, choose_folder, root_files

TRACK = "records/track_10min_16mb"


def added(*paths: str, age: int = 0) -> list[Change]:
    return [Change(path, True, age) for path in paths]


def whole(folder: str, age: int = 0) -> list[Change]:
    return added(f"{folder}/submission.json", f"{folder}/train_gpt.py", f"{folder}/train.log", age=age)


@pytest.mark.parametrize(
    ("changes", "folder"),
    [
        pytest.param(whole(f"{TRACK}/2026-04-01_A"), f"{TRACK}/2026-04-01_A", id="the contest's own layout"),
        pytest.param(whole("records/a"), "records/a", id="no track"),
        pytest.param(whole("records/records/a"), "records/records/a", id="nested records"),
        pytest.param(whole("my_submission"), "my_submission", id="outside records"),
        pytest.param(added(f"{TRACK}/A/README.md"), f"{TRACK}/A", id="only a README in a record's folder"),
        pytest.param([Change("train_gpt.py", False)], ROOT, id="only the root script"),
        pytest.param(
            [*whole(f"{TRACK}/A"), Change("train_gpt.py", False)],
            f"{TRACK}/A",
            id="the root script beside a folder",
        ),
        pytest.param(
            [*whole(f"{TRACK}/A"), *whole(f"{TRACK}/A/human_readable")],
            f"{TRACK}/A",
            id="a folder within a folder",
        ),
        pytest.param(
            [*whole("experiments/b"), *whole(f"{TRACK}/A")], f"{TRACK}/A", id="records over experiments"
        ),
        pytest.param(
            [*whole(f"{TRACK}/2026-04-02_B"), *whole(f"{TRACK}/2026-04-01_A")],
            f"{TRACK}/2026-04-02_B",
            id="the newest date",
        ),
        pytest.param(
            [*whole(f"{TRACK}/2026-04-01_A", age=1), *whole(f"{TRACK}/2026-04-01_B", age=0)],
            f"{TRACK}/2026-04-01_B",
            id="the one added last",
        ),
        pytest.param(
            [*whole(f"{TRACK}/2026-04-01_A"), *added(f"{TRACK}/2026-04-02_B/train_gpt.py")],
            f"{TRACK}/2026-04-01_A",
            id="with a claim over without",
        ),
        pytest.param(
            [Change(each.path, False) for each in whole(f"{TRACK}/2026-05-01_Old")]
            + whole(f"{TRACK}/2026-04-01_A"),
            f"{TRACK}/2026-04-01_A",
            id="new over changed",
        ),
    ],
)
def test_the_likeliest_folder(changes: list[Change], folder: str) -> None:
    choice = choose_folder(changes)
    assert choice is not None
    assert choice.folder == folder


@pytest.mark.parametrize("paths", [[], ["README.md"], ["data/prepare.py"], ["records/notes.md"]])
def test_nothing_that_looks_like_a_submission(paths: list[str]) -> None:
    assert choose_folder(added(*paths)) is None


def test_the_others_are_named_likeliest_first() -> None:
    dated = [f"{TRACK}/2026-04-0{day}_X" for day in (3, 2, 1)]
    choice = choose_folder([change for folder in reversed(dated) for change in whole(folder)])
    assert choice is not None
    assert (choice.folder, choice.others) == (dated[0], tuple(dated[1:]))


SEGMENT = st.sampled_from(("records", "track_10min_16mb", "2026-04-01_A", "x", "..", "train_gpt.py"))
PATHS = st.builds(
    lambda folders, name: "/".join([*folders, name]),
    st.lists(SEGMENT, max_size=4),
    st.sampled_from(("submission.json", "train_gpt.py", "train.log", "README.md", "helper.py")),
)
CHANGES = st.lists(st.builds(Change, PATHS, st.booleans(), st.integers(0, 3)), max_size=12)


@given(CHANGES, st.randoms())
def test_the_choice_is_a_folder_of_the_changes_in_any_order(changes: list[Change], random: object) -> None:
    choice = choose_folder(changes)
    shuffled = list(changes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert choose_folder(shuffled) == choice
    if choice is not None:
        folders = (choice.folder, *choice.others)
        assert len(set(folders)) == len(folders)
        for folder in folders:
            assert folder == ROOT or any(each.path.startswith(f"{folder}/") for each in changes)


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        (["train_gpt.py"], "train_gpt.py"),
        (["train_gpt.py", "train_gpt_mlx.py"], "train_gpt.py"),
        (["train_gpt.py", f"{TRACK}/train_gpt.py"], f"{TRACK}/train_gpt.py"),
        ([f"{TRACK}/other/train_gpt.py"], None),
        ([], None),
    ],
)
def test_a_folder_without_script_takes_the_nearest_one_above(above: list[str], expected: str | None) -> None:
    files = [f"{TRACK}/A/submission.json"]
    assert borrowed_script(f"{TRACK}/A", files, added(*above, *files)) == expected


def test_a_folder_with_a_script_takes_no_other() -> None:
    assert borrowed_script(f"{TRACK}/A", [f"{TRACK}/A/run.py"], added("train_gpt.py")) is None


def test_a_submission_at_the_root_is_its_scripts_and_what_it_adds() -> None:
    changes = [
        Change("train_gpt.py", False),
        Change("README.md", False),
        *added("notes.md", "logs/seed1.log", f"{TRACK}/A/README.md", ".github/x.yml"),
    ]
    assert root_files(changes) == ("logs/seed1.log", "notes.md", "train_gpt.py")
