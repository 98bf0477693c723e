"""The command that writes a folder's numbers: all of them from its logs, or none."""

import hashlib
import json

import pytest

from benchmarks.run_submission import commands, read, write

CODE = b"print('hello')\n"
README = """# Title

Words stay.

## Results

old table

## How it was run

```bash
pgolf data build data/x
NUM_LAYERS=2 \\
SEED=1337 python train_gpt.py
```
"""


def log_of(seed, loss=2.0, bpb=1.0, code=CODE):
    return f"""code_sha256:{hashlib.sha256(code).hexdigest()}
seed:{seed} model_params:1234 device:cpu
step:5/5 val_loss:2.1000 val_bpb:1.0500 train_time:2500ms step_avg:500.00ms
Code size: {len(code)} bytes
Total submission size int8+zlib: 5000 bytes
final_int8_zlib_roundtrip val_loss:{loss:.4f} val_bpb:{bpb:.4f} eval_time:1500ms
final_int8_zlib_roundtrip_exact val_loss:{loss:.8f} val_bpb:{bpb:.8f}
"""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "train_gpt.py").write_bytes(CODE)
    (folder / "README.md").write_text(README)
    (folder / "submission.json").write_text('{"author": "me", "val_bpb": 9.0, "hardware": "CPU"}\n')
    (folder / "train_seed9.log").write_text("of an older run")
    return folder


def test_logs_table_and_claim_are_replaced_and_nothing_else(folder):
    write(folder, {1337: log_of(1337), 42: log_of(42, 3.0, 2.0)}, note="A busy machine.")
    assert sorted(path.name for path in folder.glob("*.log")) == ["train_seed1337.log", "train_seed42.log"]
    readme = (folder / "README.md").read_text()
    assert "| 1337 | 5 | 2.5 | 1.0500 | 1.00000000 | 1.5 | 5,000 |" in readme
    assert (
        "Mean over 2 seeds: val_bpb 1.5000, val_loss 2.5000 nats; 1,234 parameters.\nA busy machine."
        in readme
    )
    assert (
        readme.replace(readme[readme.index("\n| seed") : readme.index("## How")], "\nold table\n\n") == README
    )
    claimed = json.loads((folder / "submission.json").read_text())
    assert (claimed["author"], claimed["hardware"]) == ("me", "CPU")
    assert (claimed["val_bpb"], claimed["seeds"], claimed["bytes_total"]) == (1.5, [1337, 42], 5000)
    assert claimed["val_bpb_std"] == pytest.approx(2**-0.5)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (log_of(7, code=b"other"), "was not written by .*train_gpt.py; run it again"),
        (log_of(8), "the log named for seed 7 says seed:8"),
        (log_of(7).rpartition("final_")[0], "has no line like"),
    ],
)
def test_a_log_that_does_not_fit_changes_nothing(folder, log, message):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=message):
        write(folder, {1337: log_of(1337), 7: log}, note="")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_documented_commands_are_what_is_run():
    assert commands(README) == ["pgolf data build data/x", "NUM_LAYERS=2  SEED=1337 python train_gpt.py"]
    with pytest.raises(ValueError, match="no ```bash block"):
        commands("# Title\n")


def test_logs_made_elsewhere_are_found_by_their_seed(tmp_path):
    (tmp_path / "big_seed314.txt").write_text("a")
    (tmp_path / "train_seed42.log").write_text("b")
    assert read(tmp_path) == {314: "a", 42: "b"}
