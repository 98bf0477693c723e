"""The run command: shell text as data, and which source wins."""

from __future__ import annotations

import json
from typing import Any

import pytest

from verifier.intake import load_submission
from verifier.intake.shell import invocations

from .conftest import CLAIM, LOG, SCRIPT


@pytest.mark.parametrize(
    ("text", "env", "argv"),
    [
        ("A=1 B=2 torchrun t.py", {"A": "1", "B": "2"}, ["torchrun", "t.py"]),
        ("A=1 \\\n  B='x y' \\\n  torchrun t.py", {"A": "1", "B": "x y"}, ["torchrun", "t.py"]),
        ("export A=1 B=2\nexport C=3\npython t.py", {"A": "1", "B": "2", "C": "3"}, ["python", "t.py"]),
        ("$ env A=1 torchrun t.py  # comment", {"A": "1"}, ["torchrun", "t.py"]),
        ("A=1\nB=${A}0 C=${X:-7} torchrun t.py", {"A": "1", "B": "10", "C": "7"}, ["torchrun", "t.py"]),
        ("R=/r\nA=${A:-${R}/x} B=${B:-$Q/y} torchrun t.py", {"R": "/r", "A": "/r/x"}, ["torchrun", "t.py"]),
        ("for s in 1 2; do\n SEED=$s A=1 torchrun t.py\ndone", {"A": "1"}, ["torchrun", "t.py"]),
        ("cd x && A=1 nohup torchrun t.py 2>&1 | tee log &", {"A": "1"}, ["torchrun", "t.py", "2>&1"]),
        ("A=1 B=$(date) torchrun t.py", {"A": "1"}, ["torchrun", "t.py"]),
        ('$env:A = "1"\npython t.py', {"A": "1"}, ["python", "t.py"]),
        ("set A=1\npython t.py", {"A": "1"}, ["python", "t.py"]),
        ("A=1            # switch (default 0)\nB=0.5  # rate", {"A": "1", "B": "0.5"}, []),
        ("A=1 \\\n# why\nB=2 torchrun t.py", {"A": "1", "B": "2"}, ["torchrun", "t.py"]),
        ("SEED=<SEED> A=1 B={b} C=<your id> torchrun t.py", {"A": "1"}, ["torchrun", "t.py"]),
    ],
)
def test_shell_text(text: str, env: dict[str, str], argv: list[str]) -> None:
    (found,) = invocations(text)
    assert dict(found.env) == env
    assert list(found.argv) == argv


def test_shell_text_without_a_command_says_nothing() -> None:
    for text in ("", "pip install torch", "git clone x", "echo 'A=1'", "'unclosed A=1", "ls -la; cat x"):
        assert invocations(text) == ()


def submission(make_folder: Any, **files: str) -> Any:
    names = {"readme": "README.md", "run": "run.sh", "log": "train_seed42.log", "ablate": "run_ablation.sh"}
    shipped = {names[name]: text for name, text in files.items()}
    return load_submission(
        make_folder({"train_gpt.py": SCRIPT, "submission.json": json.dumps(CLAIM), **shipped})
    ).command


def block(text: str, before: str = "") -> str:
    return f"# X\n{before}\n```bash\n{text}\n```\n"


RUN = "torchrun --standalone --nproc_per_node=8 train_gpt.py"


def test_the_log_beats_the_script_beats_the_readme(make_folder: Any) -> None:
    command = submission(
        make_folder,
        log=f"Extra args: TTT_LR=0.1 SEED=42\n{LOG}",
        run=f"TTT_LR=0.2 VOCAB_SIZE=4096 {RUN}\n",
        readme=block(f"TTT_LR=0.3 VOCAB_SIZE=8192 TTT_ENABLED=1 {RUN}"),
    )
    assert command.env == {"TTT_LR": "0.1", "SEED": "42", "VOCAB_SIZE": "4096", "TTT_ENABLED": "1"}
    assert [where.file for where in command.where] == ["train_seed42.log", "run.sh", "README.md"]
    assert command.conflicts == (
        "TTT_LR: train_seed42.log says '0.1', run.sh:1 says '0.2'; took the first",
        "TTT_LR: train_seed42.log says '0.1', README.md:4 says '0.3'; took the first",
        "VOCAB_SIZE: run.sh:1 says '4096', README.md:4 says '8192'; took the first",
    )
    assert command.argv == ("torchrun", "--standalone", "--nproc_per_node=8", "train_gpt.py")


def test_unknown_variables_are_dropped_in_words(make_folder: Any) -> None:
    command = submission(make_folder, readme=block(f"NCCL_DEBUG=INFO TTT_LR=0.3 {RUN}"))
    assert command.env == {"TTT_LR": "0.3"}
    assert command.dropped == ("NCCL_DEBUG: set by README.md:4, but the script never reads it",)


def test_without_a_script_to_ask_no_variable_is_dropped(make_folder: Any) -> None:
    folder = make_folder({"train_gpt.py": "def f(:", "README.md": block(f"ANY=1 {RUN}")})
    assert load_submission(folder).command.env == {"ANY": "1"}


def test_the_headline_block_beats_ablations_and_downloads(make_folder: Any) -> None:
    readme = "\n".join(
        [
            block("python3 data/download.py --variant sp1024", "## Setup"),
            block(f"TTT_ENABLED=0 {RUN}", "## Ablation without TTT"),
            block(f"TTT_ENABLED=1 SEED=42 {RUN}\nTTT_ENABLED=1 SEED=7 {RUN}", "## Reproduction"),
        ]
    )
    command = submission(make_folder, readme=readme, ablate=f"TTT_ENABLED=0 {RUN}\n")
    assert command.env == {"TTT_ENABLED": "1", "SEED": "42"}


def test_of_the_commands_of_one_script_the_one_called_a_smoke_test_is_not_the_run(make_folder: Any) -> None:
    script = f"""case $MODE in
    smoke)
        # a minute, to catch crashes
        TTT_ENABLED=0 TTT_LR=0.1 {RUN}
        ;;
    default)
        TTT_LR=0.004 {RUN}
        ;;
esac
"""
    assert dict(submission(make_folder, run=script).env) == {"TTT_LR": "0.004"}


def test_tables_and_inline_commands_are_read(make_folder: Any) -> None:
    table = block(
        "TTT_ENABLED=1            # Enable it (default 0)\nTTT_LR=0.02              # rate", "## Knobs"
    )
    assert submission(make_folder, readme=table).env == {"TTT_ENABLED": "1", "TTT_LR": "0.02"}
    assert submission(make_folder, readme=f"Run `TTT_LR=0.7 {RUN}` to reproduce.").env == {"TTT_LR": "0.7"}


def test_nothing_documented_is_an_empty_command(make_folder: Any) -> None:
    command = submission(make_folder, readme="# Nothing\n```python\nx = 1\n```\n")
    assert (command.env, command.argv, command.where) == ({}, (), ())


def test_a_command_that_goes_on_from_an_earlier_one_is_not_merged(make_folder: Any) -> None:
    text = (
        "# Reproduction\n```bash\nQK_GAIN=5 torchrun train_gpt.py\n\n"
        "EVAL_ONLY_PATH=runs/0/final.pt torchrun train_gpt.py\n```\n"
    )
    script = SCRIPT + 'import os\nos.environ.get("EVAL_ONLY_PATH")\nos.environ.get("QK_GAIN")\n'
    folder = make_folder({"train_gpt.py": script, "submission.json": json.dumps(CLAIM), "README.md": text})
    assert dict(load_submission(folder).command.env) == {"QK_GAIN": "5"}


def test_the_readme_in_the_script_s_own_folder(make_folder: Any) -> None:
    script = SCRIPT + 'import os\nos.environ.get("QK_GAIN")\n'
    folder = make_folder(
        {
            "records/mine/train_gpt.py": script,
            "records/mine/submission.json": json.dumps(CLAIM),
            "records/mine/README.md": "## Run\n```bash\nQK_GAIN=5 torchrun train_gpt.py\n```\n",
        }
    )
    assert dict(load_submission(folder).command.env) == {"QK_GAIN": "5"}
