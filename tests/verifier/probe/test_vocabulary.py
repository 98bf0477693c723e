"""A byte-level script is audited on bytes, and every vocabulary counts the bytes that it stands for."""

from __future__ import annotations

import json

import numpy as np
import pytest

from verifier.intake.environment import environment_reads
from verifier.probe.scale import AUDIT, vocab_size
from verifier.probe.vocabulary import Vocabulary

BYTE_SCRIPT = 'import os\nvocab_size = int(os.environ.get("VOCAB_SIZE", 256))\n'
PIECE_SCRIPT = 'import os\nvocab_size = int(os.environ.get("VOCAB_SIZE", 8192))\n'


@pytest.mark.parametrize(
    ("script", "documented", "size"),
    [
        (BYTE_SCRIPT, {}, 256),
        (PIECE_SCRIPT, {}, 1024),
        (PIECE_SCRIPT, {"VOCAB_SIZE": "260"}, 260),
        (BYTE_SCRIPT, {"VOCAB_SIZE": "1024"}, 1024),
        (PIECE_SCRIPT, {"VOCAB_SIZE": "${VOCAB}"}, 1024),
        ("x = 1\n", {}, 1024),
    ],
)
def test_the_kind_that_the_script_was_written_for(script: str, documented: dict[str, str], size: int) -> None:
    assert vocab_size(environment_reads(script), documented, AUDIT) == size


@pytest.mark.parametrize("size", [256, 257, 260, 264])
def test_every_byte_counts_one(size: int) -> None:
    vocabulary = Vocabulary.of_size(size)
    drawn = vocabulary.uniform().draw(3000, (1,))
    counted = vocabulary.stream_bytes(drawn)
    starts = drawn.ids == vocabulary.bos_id
    assert (counted[1:][~starts[1:]] == 1).all()
    assert counted[0] == 0
    assert vocabulary.bos_id not in vocabulary.normal_ids
    assert len(vocabulary.normal_ids) == (256 if size > 256 else 255)
    assert max(vocabulary.normal_ids) < size
    assert np.isclose(drawn.entropy_nats, np.log(len(vocabulary.normal_ids)), rtol=0.01)


def test_the_tokenizer_file_is_the_contest_s_kind() -> None:
    vocabulary = Vocabulary.of_size(260)
    assert vocabulary.data_paths()["TOKENIZER_PATH"].endswith("fineweb_pure_byte_260.json")
    config = json.loads(vocabulary.file)
    assert (config["vocab_size"], config["tokenizer_type"]) == (260, "pure_byte")
    assert Vocabulary.of_size(1024).data_paths()["DATA_PATH"].endswith("fineweb10B_sp1024")
