"""Small tables: which numbers are sizes of hashed tables, what becomes of them, and what is left alone."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.intake.environment import EnvRead, EnvType
from verifier.probe.stress import FULL_TOKENS, cut_tables, equal_load, find_tables, small_settings

TOKENS = 8192
SMALL = equal_load(4_194_304, TOKENS)
HASH = "def key(a, b):\n    return (a * 36313) ^ (b * 27191)\n"


def cut(source: str) -> str:
    tree = ast.parse(HASH + source)
    cut_tables(tree, find_tables([HASH + source]), TOKENS)
    return ast.unparse(ast.Module(tree.body[1:], [])).strip()


@pytest.mark.parametrize(
    ("source", "small"),
    [
        ("BUCKETS = 4_194_304", f"BUCKETS = {SMALL}"),
        ("TABLE_SIZE = 1 << 22", f"TABLE_SIZE = {SMALL}"),
        ("hash_size: int = 2 ** 22", f"hash_size: int = {SMALL}"),
        ("HASH_BITS = 22", f"HASH_BITS = {SMALL.bit_length() - 1}"),
        ("MASK = (1 << 22) - 1", f"MASK = {SMALL - 1}"),
        ("cache = Cache(buckets=4194304)", f"cache = Cache(buckets={SMALL})"),
        ("sizes = {'buckets': 4194304}", f"sizes = {{'buckets': {SMALL}}}"),
        ("n = int(env.get('NGRAM_BUCKETS', '4194304'))", f"n = int(env.get('NGRAM_BUCKETS', '{SMALL}'))"),
        ("i = (a * 3 ^ b * 5) % 4194304", f"i = (a * 3 ^ b * 5) % {SMALL}"),
        ("i = h & 4194303", f"i = h & {SMALL - 1}"),
        ("BUCKETS = 4194304\nt = zeros(4194304)", f"BUCKETS = {SMALL}\nt = zeros({SMALL})"),
        ("BUCKETS = 4194304\nchunk_tokens = 131072", f"BUCKETS = {SMALL}\nchunk_tokens = 1024"),
    ],
)
def test_tables_are_cut(source: str, small: str) -> None:
    assert cut(source) == small


def test_a_delay_is_cut_beside_a_hash_and_nowhere_else() -> None:
    beside = "class Mixer:\n    def on(self, h):\n        return h ^ 1 if self.total_tokens < 10000 else 0"
    apart = "def enough(total_tokens):\n    return total_tokens < 10000"
    assert "total_tokens < 156" in cut(beside)
    assert "total_tokens < 10000" in cut(apart)


@pytest.mark.parametrize(
    "source",
    [
        "BIGRAM_VOCAB_SIZE = 10240",
        "hash_seed = 1315423911",
        "buckets = 256",
        "low = word & 65535",
        "wide = word & 4294967295",
        "batch_tokens = 524288",
        "x = y & z",
        "flag = True",
    ],
)
def test_other_numbers_are_no_tables(source: str) -> None:
    assert find_tables([HASH + source]) == ()


def test_a_table_needs_a_hash() -> None:
    """Pairs packed without loss are exact at their own size and would collide in a smaller one."""
    packed = "TABLE_SIZE = 1 << 20\ncounts = zeros(TABLE_SIZE)\ncounts[previous * 1024 + token] += 1\n"
    assert find_tables([packed]) == ()
    assert find_tables([HASH, "BUCKETS = 1 << 22"]) == ()
    assert find_tables(["def broken(:"]) == ()


def test_tables_of_one_file_are_cut_in_the_other() -> None:
    tree = ast.parse("evaluate(ttt_chunk_tokens=131072, size=4194304)")
    done = cut_tables(tree, (4_194_304,), TOKENS)
    assert ast.unparse(tree) == f"evaluate(ttt_chunk_tokens=1024, size={SMALL})"
    assert [(each.before, each.table) for each in done] == [(131072, False), (4194304, True)]
    assert {each.line for each in done} == {1}


@given(st.integers(13, 28), st.integers(1024, 65536))
def test_no_table_is_loaded_more_than_over_the_whole_set(bits: int, tokens: int) -> None:
    small = equal_load(1 << bits, tokens)
    assert small.bit_count() == 1
    assert tokens / small <= FULL_TOKENS / (1 << bits)


def test_variables_are_cut_from_their_documented_value() -> None:
    names = {
        "NGRAM_BUCKETS": "65536",
        "NGRAM_CHUNK_TOKENS": "1000000",
        "BIGRAM_VOCAB_SIZE": "10240",
        "X": None,
    }
    reads = {name: EnvRead(name, default, 1, EnvType.INT) for name, default in names.items()}
    assert small_settings(reads, {"NGRAM_BUCKETS": "4194304"}, TOKENS) == {
        "NGRAM_BUCKETS": (4_194_304, SMALL),
        "NGRAM_CHUNK_TOKENS": (1_000_000, 1024),
    }
