"""The commands do their work on small inputs, and bad input is one line and exit code 2."""

import json
import re

import pytest
from typer.testing import CliRunner

from pgolf import corpus
from pgolf.cli import app
from pgolf.evaluate.methods import METHODS

TINY = ["--iterations", "3", "--batch-tokens", "64", "--seq-len", "32", "--device", "cpu"]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A dataset from a text file, and a run trained on it."""
    root = tmp_path_factory.mktemp("cli")
    text = root / "text.txt"
    text.write_text("\n\n".join(corpus.documents("train", 120_000)))
    built = run("data", "build", root / "data", "--text", text, "--vocab-size", 600, "--val-share", 0.1)
    assert built.exit_code == 0, built.output
    data = ["--data", root / "data", "--tokenizer", root / "data" / "fineweb_600_bpe.model"]
    trained = run("train", *data, *TINY, "--out", root / "run")
    assert trained.exit_code == 0, trained.output
    return root, data, built.output, trained.output


def test_data_build_says_what_it_made_and_what_is_next(workspace):
    root, _, built, _ = workspace
    assert re.search(r"train: \d+ documents, [\d,]+ tokens, 1 shards", built)
    assert f"next: pgolf train --data {root / 'data'}" in built
    names = sorted(path.name for path in (root / "data").iterdir())
    assert names == ["fineweb_600_bpe.model", "fineweb_train_000000.bin", "fineweb_val_000000.bin"]


def test_train_writes_log_and_artifact_with_the_contests_last_line(workspace):
    root, _, _, output = workspace
    log = (root / "run" / "train.log").read_text()
    assert re.search(r"^final_int8_zlib_roundtrip_exact val_loss:\d\.\d{8} val_bpb:\d\.\d{8}$", log, re.M)
    sizes = [int(value) for value in re.findall(r"(?:Code size|zlib): (\d+) bytes", log)]
    assert sizes[2] == sizes[0] + sizes[1]
    assert sizes[1] == (root / "run" / "final_model.pgolf").stat().st_size
    assert set(log.splitlines()) <= set(output.splitlines())
    assert "\x1b" not in output
    assert "\r" not in output


def test_every_eval_method_scores_every_token(workspace):
    root, data, _, _ = workspace
    arguments = ["--method", "all", "--max-tokens", 300, "--set", "ttt.chunk_tokens=64", "--json"]
    result = run("eval", root / "run" / "final_model.pgolf", *data, *arguments)
    assert result.exit_code == 0, result.output
    scores = {score["method"]: score for score in json.loads(result.stdout)}
    assert scores.keys() == METHODS.keys()
    for method, score in scores.items():
        assert score.get("tokens") == 300, (method, score)
    scores = {method: scores[method] for method in ("plain", "sliding", "ttt")}
    assert len({score["val_loss"] for score in scores.values()}) == 3
    assert len({score["bytes"] for score in scores.values()}) == 1


def test_eval_agrees_with_the_score_that_training_logged(workspace):
    root, data, _, output = workspace
    result = run("eval", root / "run" / "final_model.pgolf", *data, "--method", "plain")
    logged = re.search(r"exact (val_loss:\S+ val_bpb:\S+)", output)[1]
    assert logged in result.output


def test_pack_counts_and_enforces_the_cap(workspace):
    root, _, _, _ = workspace
    artifact = root / "run" / "final_model.pgolf"
    (root / "code.py").write_text("x" * 100)
    result = run("pack", artifact, "--code", root / "code.py", "--json")
    report = json.loads(result.stdout)
    assert report["total_bytes"] == 100 + artifact.stat().st_size
    over = run("pack", artifact, "--cap", 1000)
    assert over.exit_code == 1
    assert "OVER the cap of 1,000" in over.output


@pytest.mark.parametrize(
    ("options", "tokenizer"),
    [
        (["--tokenizer-type", "byte", "--val-share", "0.1"], "fineweb_pure_byte_260.json"),
        (
            ["--case-transform", "--vocab-size", "600", "--val-docs", "6"],
            "fineweb_600_bpe_lossless_caps_caseops_v1_reserved.model",
        ),
    ],
)
def test_every_kind_of_tokens_trains_and_scores_over_the_bytes_of_the_text(tmp_path, options, tokenizer):
    documents = [text for text in corpus.documents("train", 60_000) if len(text) > 100]
    repeated = [*documents, documents[2]]  # in both splits by the contest's rule
    lines = "".join(json.dumps({"text": text}) + "\n" for text in repeated)
    (tmp_path / "docs.jsonl").write_text(lines)
    built = run("data", "build", tmp_path / "data", "--text", tmp_path / "docs.jsonl", *options)
    assert built.exit_code == 0, built.output
    every = 10 if "--val-share" in options else None
    val = documents[every - 1 :: every] if every else documents[:6]
    assert ("dropped: 1 documents" in built.output) == (every is None)
    data = ["--data", tmp_path / "data", "--tokenizer", tmp_path / "data" / tokenizer]
    trained = run("train", *data, *TINY, "--out", tmp_path / "run")
    assert trained.exit_code == 0, trained.output
    scored = run("eval", tmp_path / "run" / "final_model.pgolf", *data, "--json")
    assert scored.exit_code == 0, scored.output
    assert json.loads(scored.stdout)["bytes"] == sum(len(text.encode()) for text in val)
    part = run("eval", tmp_path / "run" / "final_model.pgolf", *data, "--json", "--max-tokens", 50)
    assert json.loads(part.stdout)["tokens"] == 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--preset", "huge"], "unknown preset 'huge'; expected tiny or naive-baseline"),
        (["train", "--data", "nowhere"], "--data and --tokenizer belong together"),
        (["train", "--data", "nowhere", "--tokenizer", "t.model"], "no data folder at nowhere"),
        (["train", "--data", ".", "--tokenizer", "t.model"], "no tokenizer at t.model"),
        (["train", "--batch-tokens", "100"], "train_batch_tokens 100 is not a multiple of train_seq_len"),
        (["train", "--device", "tpu"], "unknown device 'tpu'"),
        (["eval", "nothing.pgolf"], "nothing.pgolf: No such file or directory"),
        (["eval", "--method", "slott"], "unknown method 'slott'; expected all or one of plain, sliding"),
        (["pack", "nothing.pgolf"], "nothing.pgolf: No such file or directory"),
        (["data", "build", "out", "--text", "missing.txt"], "missing.txt"),
        (["data", "build", "out", "--text", "latin.txt"], "latin.txt is not UTF-8: byte 2"),
        (["data", "build", "out", "--text", "short.txt"], "cannot train a vocabulary of 1024"),
        (
            ["data", "build", "out", "--text", "short.txt", "--val-share", "0.9"],
            "val_share must be above 0",
        ),
        (["data", "build", "out", "--vocab-size", "12"], "vocab_size 12 is out of range"),
        (["data", "build", "out", "--tokenizer-type", "word"], "unknown tokenizer type 'word'"),
        (["data", "build", "out", "--text", ".", "--glob", "*.md"], "no text among the 0 files"),
        (["data", "build", "out", "--text", "short.txt", "--val-docs", "0"], "val_docs must be at least 1"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"na\xefve")
    (tmp_path / "short.txt").write_text("a few words\n" * 20)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("ttt.lr", "expected name=value"),
        ("tt.lr=1", "no setting 'tt'; known here: seq_len"),
        ("ttt=1", "ttt is a section"),
        ("stride.x=1", "stride is one value"),
        ("ttt.epochs=many", "'many' is no int as 3 is"),
        ("ttt.epochs=0", "epochs must be at least 1, got 0"),
    ],
)
def test_a_setting_that_is_none_is_refused(setting, message, workspace):
    root, data, _, _ = workspace
    result = run("eval", root / "run" / "final_model.pgolf", *data, "--set", setting)
    assert result.exit_code == 2
    assert message in result.stderr


def test_methods_lists_what_eval_takes():
    output = run("methods").stdout
    assert "stateful-overlap" in output
    assert "ttt.lr=0.002" in output.splitlines()
    assert json.loads(run("methods", "--json").stdout)["settings"]["ngram"]["max_order"] == 22


def test_a_model_of_another_vocabulary_is_refused(workspace, tokenizer_path):
    root, data, _, _ = workspace
    result = run("eval", root / "run" / "final_model.pgolf", *data[:3], tokenizer_path)
    assert result.exit_code == 2
    assert "has 1024 ids" in result.stderr
