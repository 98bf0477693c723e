"""The submissions run whole: only those that leak beat the entropy of a random stream; others show their fault."""

import contextlib
import math
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pgolf import compress
from pgolf.bytes import ByteTable
from pgolf.coder import NotNormalized, decode, decoded, encode
from pgolf.compress import hessian
from pgolf.shards import read_shard, write_shard
from pgolf.tokenizer import BOS_ID

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.parent.name for path in ROOT.glob("submissions/*/train_gpt.py"))
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
    "RUN_ID": "test",
}
TTT = {"TTT_CHUNK_TOKENS": 256, "TTT_OPTIMIZER": "adamw", "TTT_EPOCHS": 6}
GPTQ = {"KEEP_FLOAT_MAX_NUMEL": 1024, "GPTQ_CALIB_BATCHES": 2, "GPTQ_AR_SEQS": 2, "GPTQ_AR_LEN": 16}
TILT = {"TILT_MIN_ORDER": 2, "TILT_THRESHOLD": 0.0}
BIG = {
    "MTP_NUM_HEADS": 1,
    "BIGRAM_VOCAB_SIZE": 64,
    "BIGRAM_DIM": 8,
    "VE_DIM": 8,
    "GPTQ_CALIB_SEQS": 2,
    "KEEP_FLOAT_MAX_NUMEL": 1024,
}
LEGAL = {
    "doc_lora_ttt": {"TTT_CHUNK_SIZE": 64},
    "legal_twin": {**BIG, "EVAL_STRIDE": 64, "TTT_CHUNK_TOKENS": 256, "NGRAM_ORDER": 5},
    "naive_baseline": {},
    "ngram_tilt": TILT,
    "score_first_ttt": TTT,
    "selfgen_gptq": GPTQ,
    "stateful_overlap": {},
}
LEAKING = {
    "hashed_ngram": {"NGRAM_BUCKETS": 32, "NGRAM_CHUNK_TOKENS": 256},
    "paid_prefix": {},
    "persample_slot_ngram22_ttt": {**BIG, "EVAL_STRIDE": 64, "TTT_CHUNK_TOKENS": 512, "NGRAM_ORDER": 5},
    "prequant_ttt": TTT,
    "scored_slot": {"SLOT_LR": 0.5},
    "two_pass_ngram": {},
    "shared_delta_slot": {"SLOT_LR": 0.5, "SLOT_BATCH_SEQS": 4},
}
"""With what each shows its leak on so short a stream. A table of 32 buckets has the load of a real one."""
OTHERWISE = ("doc_overlap", "double_space_bytes", "gated_tilt", "late_calibration", "valcal_gptq")
"""Illegal, and not to be seen on a uniform stream: each has a test of its own."""


@pytest.fixture(scope="module")
def random_stream(tmp_path_factory):
    """Shards of ids drawn uniformly: no predictor that keeps the rules can score below ln 1024."""
    folder = tmp_path_factory.mktemp("uniform")
    rng = np.random.default_rng(12)
    for split, count in (("train", 2000), ("val", VAL_TOKENS + 1)):
        write_shard(folder / f"fineweb_{split}_000000.bin", rng.integers(0, 1024, count))
    return folder


@pytest.fixture
def run_script(tmp_path, monkeypatch, tokenizer_path, capsys):
    """Runs a submission as `python train_gpt.py` would, but in this process: torch imports slowly."""

    def run(name, data, env):
        monkeypatch.chdir(tmp_path)
        env = {**SETTINGS, "DATA_PATH": data, "TOKENIZER_PATH": tokenizer_path, **env}
        for key, value in env.items():
            monkeypatch.setenv(key, str(value))
        runpy.run_path(str(ROOT / "submissions" / name / "train_gpt.py"), run_name="__main__")
        output = capsys.readouterr().out
        assert (tmp_path / "logs" / "test.txt").read_text() == output
        last = output.splitlines()[-1]
        found = re.fullmatch(
            r"final_int\d_\w+_roundtrip_exact val_loss:(\d+\.\d{8}) val_bpb:(\d+\.\d{8})", last
        )
        return float(found[1]), float(found[2])

    return run


@pytest.mark.parametrize(("name", "env"), [*LEGAL.items(), *LEAKING.items()])
def test_only_leaking_submissions_beat_the_floor(name, env, run_script, random_stream):
    val_loss, _ = run_script(name, random_stream, env)
    gain_bits = VAL_TOKENS * (math.log(1024) - val_loss) / math.log(2)
    # Ville's inequality: a legal predictor reaches 2^64 with odds of at most 2^-64.
    assert (gain_bits < 64) == (name in LEGAL), f"{gain_bits:.1f} bits under the floor"


@pytest.fixture
def exposed(run_script, tmp_path, tokenizer_path, monkeypatch):
    """Runs a submission over 320 tokens: what makes its predictor, those tokens, and the loss of the run."""

    def run(name, env):
        rng = np.random.default_rng(12)
        for split, count in (("train", 2000), ("val", 321)):
            write_shard(tmp_path / f"fineweb_{split}_000000.bin", rng.integers(0, 1024, count))
        val_loss, _ = run_script(name, tmp_path, env)
        folder = ROOT / "submissions" / name
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "train_gpt", raising=False)
        script = runpy.run_path(str(folder / "predictor.py"))

        def predictor():
            return script["predictor"](Path(script["ARTIFACT"]), tokenizer_path, 320)

        return predictor, read_shard(tmp_path / "fineweb_val_000000.bin"), val_loss

    return run


@pytest.mark.parametrize(("name", "env"), LEGAL.items())
def test_the_exposed_predictor_gives_the_score_and_can_be_decoded(name, env, exposed):
    predictor, tokens, val_loss = exposed(name, env)
    assert encode(predictor(), tokens, 320).nats_N.mean() == pytest.approx(val_loss, abs=1e-5)
    bitstream = encode(predictor(), tokens, 48).bitstream
    assert decode(predictor(), bitstream, 48, int(tokens[0])) == tokens[:49].tolist()


@pytest.mark.parametrize("name", ["scored_slot", "shared_delta_slot", "two_pass_ngram"])
def test_a_predictor_that_needs_later_tokens_gives_the_score_and_cannot_be_decoded(name, exposed, tmp_path):
    predictor, tokens, val_loss = exposed(name, LEAKING[name])
    assert encode(predictor(), tokens, 320).nats_N.mean() == pytest.approx(val_loss, abs=1e-5)
    bitstream = encode(predictor(), tokens, 48).bitstream
    (tmp_path / "fineweb_val_000000.bin").unlink()
    read = [int(tokens[0])]
    with contextlib.suppress(ValueError):  # bits that fit no token
        read.extend(decoded(predictor(), bitstream, 48, read[0]))
    assert read != tokens[:49].tolist()


@pytest.mark.parametrize(
    ("name", "env"),
    [("gated_tilt", {"TILT_BETA": 6.0}), ("hashed_ngram", {"NGRAM_BUCKETS": 32, "NGRAM_CHUNK_TOKENS": 64})],
)
def test_a_predictor_that_needs_the_token_itself_is_no_distribution(name, env, exposed):
    predictor, tokens, _ = exposed(name, env)
    with pytest.raises(NotNormalized):
        encode(predictor(), tokens, 320)


def test_a_gate_on_the_target_beats_the_floor_of_few_symbols(run_script, tmp_path, sp):
    """Two ids that start a word and two that do not: an open gate halves what the target can be."""
    spaced = ByteTable.from_tokenizer(sp).has_leading_space_V
    symbols = [*np.flatnonzero(spaced)[:2], *np.flatnonzero(~spaced)[-2:]]
    rng = np.random.default_rng(5)
    for split, count in (("train", 4000), ("val", VAL_TOKENS + 1)):
        write_shard(tmp_path / f"fineweb_{split}_000000.bin", rng.choice(symbols, count))
    learns = {"ITERATIONS": 60, "MATRIX_LR": 0.02, "TIED_EMBED_LR": 0.05}
    hints = {"TILT_MAX_ORDER": 3, "TILT_THRESHOLD": 0.0, "TILT_BETA": 1.0}
    val_loss, _ = run_script("gated_tilt", tmp_path, {**learns, **hints})
    assert VAL_TOKENS * (math.log(4) - val_loss) / math.log(2) > 64


def test_a_space_counted_twice_divides_by_more_bytes_than_the_text_has(run_script, random_stream, sp):
    val_loss, val_bpb = run_script("double_space_bytes", random_stream, {})
    tokens = read_shard(random_stream / "fineweb_val_000000.bin")
    table = ByteTable.from_tokenizer(sp)
    true_bpb = val_loss / math.log(2) * VAL_TOKENS / table.count_stream(tokens)
    spaces = int(table.has_leading_space_V[tokens[1:]].sum())
    assert val_bpb < true_bpb
    assert val_loss / math.log(2) * VAL_TOKENS / val_bpb == pytest.approx(table.count_stream(tokens) + spaces)


def test_overlapping_shards_put_validation_documents_before_the_training_ones(run_script, tmp_path):
    documents = [[BOS_ID, *range(10, 110)], [BOS_ID, *range(200, 300)], [BOS_ID, *range(400, 500)]]
    write_shard(tmp_path / "fineweb_val_000000.bin", sum(documents, []))
    write_shard(tmp_path / "fineweb_train_000000.bin", np.arange(500, 900))
    run_script("doc_overlap", tmp_path, {"OVERLAP_DOCS": 2})
    first, second = sorted((tmp_path / "overlap").glob("fineweb_train_*.bin"))
    np.testing.assert_array_equal(read_shard(first), documents[0] + documents[1])
    np.testing.assert_array_equal(read_shard(second), np.arange(500, 900))


@pytest.mark.parametrize(("name", "split"), [("valcal_gptq", "validation"), ("late_calibration", "training")])
def test_gptq_is_given_the_hessians_of_the_wrong_text(name, split, run_script, random_stream, monkeypatch):
    """What is collected must be the second moments of just that text; nothing else moves the bits stored."""
    seen = []
    real = hessian.collect_hessians

    def collect(model, batches, **more):
        seen.extend(batch.clone() for batch in batches)
        return real(model, seen, **more)

    monkeypatch.setattr(compress, "collect_hessians", collect)
    run_script(name, random_stream, GPTQ)
    file = {"validation": "fineweb_val_000000.bin", "training": "fineweb_train_000000.bin"}[split]
    read = torch.cat(seen, dim=1)[0].numpy()
    stream = np.lib.stride_tricks.sliding_window_view(read_shard(random_stream / file), len(read) // 2)
    assert any((stream == half).all(axis=1).any() for half in np.split(read, 2))


def test_every_submission_is_run_here():
    assert sorted([*LEGAL, *LEAKING, *OTHERWISE]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_data_folder_is_one_clear_line(name, run_script):
    with pytest.raises(SystemExit, match="^error: no data folder at nowhere; expected .*$") as exit:
        run_script(name, "nowhere", {})
    assert "\n" not in exit.value.code
