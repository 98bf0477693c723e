"""The submissions run whole, and only the illegal ones beat the entropy of a random stream."""

import math
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from pgolf.shards import write_shard

ROOT = Path(__file__).parents[2]
FLOOR = math.log(1024)
VAL_TOKENS = 1536
SETTINGS = {
    "NUM_LAYERS": 1,
    "MODEL_DIM": 64,
    "NUM_HEADS": 2,
    "NUM_KV_HEADS": 1,
    "ITERATIONS": 2,
    "WARMUP_STEPS": 1,
    "TRAIN_BATCH_TOKENS": 128,
    "TRAIN_SEQ_LEN": 64,
    "EVAL_STRIDE": 32,
    "VAL_BATCH_SIZE": 512,
    "VAL_LOSS_EVERY": 0,
    "MATRIX_LR": 0.001,
    "TIED_EMBED_LR": 0.001,
    "SCALAR_LR": 0.001,
    "TTT_CHUNK_TOKENS": 256,
    "TTT_OPTIMIZER": "adamw",
    "TTT_EPOCHS": 6,
    "SLOT_LR": 0.5,
    "RUN_ID": "test",
}


@pytest.fixture(scope="module")
def random_stream(tmp_path_factory):
    """Shards of ids drawn uniformly: no predictor that keeps the rules can score below ln 1024."""
    folder = tmp_path_factory.mktemp("uniform")
    rng = np.random.default_rng(12)
    for split, count in (("train", 2000), ("val", VAL_TOKENS + 1)):
        write_shard(folder / f"fineweb_{split}_000000.bin", rng.integers(0, 1024, count))
    return folder


@pytest.fixture
def run_script(tmp_path, monkeypatch):
    """Runs a submission as `python train_gpt.py` would, but in this process: torch imports slowly."""

    def run(name, env):
        monkeypatch.chdir(tmp_path)
        for key, value in env.items():
            monkeypatch.setenv(key, str(value))
        runpy.run_path(str(ROOT / "submissions" / name / "train_gpt.py"), run_name="__main__")

    return run


@pytest.mark.parametrize(
    ("name", "legal"),
    [("naive_baseline", True), ("score_first_ttt", True), ("scored_slot", False), ("prequant_ttt", False)],
)
def test_only_illegal_submissions_beat_the_floor(
    name, legal, run_script, random_stream, tokenizer_path, tmp_path, capsys
):
    run_script(name, {**SETTINGS, "DATA_PATH": random_stream, "TOKENIZER_PATH": tokenizer_path})
    output = capsys.readouterr().out
    last = output.splitlines()[-1]
    found = re.fullmatch(r"final_int8_zlib_roundtrip_exact val_loss:(\d\.\d{8}) val_bpb:\d\.\d{8}", last)
    gain_bits = VAL_TOKENS * (FLOOR - float(found[1])) / math.log(2)
    # Ville's inequality: a legal predictor reaches 2^64 with odds of at most 2^-64.
    assert (gain_bits < 64) == legal, f"{gain_bits:.1f} bits under the floor"
    assert (tmp_path / "logs" / "test.txt").read_text() == output


@pytest.mark.parametrize("name", sorted(path.parent.name for path in ROOT.glob("submissions/*/train_gpt.py")))
def test_a_missing_data_folder_is_one_clear_line(name, run_script, monkeypatch):
    for variable in ("DATA_PATH", "TOKENIZER_PATH"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(
        SystemExit, match="error: no data folder at data/datasets/fineweb10B_sp1024; expected"
    ) as exit:
        run_script(name, {})
    assert "\n" not in exit.value.code
