"""The reference constants that this repository can recompute."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pgolf import corpus
from pgolf.bytes import ByteTable
from pgolf.cli import app
from pgolf.shards import read_stream
from pgolf.tokenizer import load_tokenizer
from verifier.reference import DEMO_BYTES, DEMO_TOKENS, TOKENIZERS

FINGERPRINT_3_11_7 = "baac43dae0ef30ef"


def test_demonstration_constants_are_what_data_build_makes(tmp_path: Path) -> None:
    if corpus.fingerprint() != FINGERPRINT_3_11_7:
        pytest.skip("the constants are of CPython 3.11.7's standard library")
    folder = tmp_path / "stdlib_sp1024"
    assert CliRunner().invoke(app, ["data", "build", str(folder)]).exit_code == 0
    tokens = read_stream(str(folder / "fineweb_val_*.bin"))
    table = ByteTable.from_tokenizer(load_tokenizer(folder / "fineweb_1024_bpe.model"), 1024)
    assert tokens.size - 1 == DEMO_TOKENS
    assert table.count(tokens[:-1], tokens[1:]) == DEMO_BYTES


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda each: each.name)
def test_a_count_one_percent_short_is_not_full(tokenizer) -> None:
    for full in tokenizer.full_val_tokens:
        assert tokenizer.has_full_count(full)
    if tokenizer.full_val_tokens:
        assert not tokenizer.has_full_count(int(min(tokenizer.full_val_tokens) * 0.99))
        assert not tokenizer.has_full_count(max(tokenizer.full_val_tokens) + 1)
