"""Shared fixtures: one tokenizer for the session, one torch thread."""

from pathlib import Path

import pytest
import sentencepiece as spm
import torch

from pgolf import corpus
from pgolf.tokenizer import load_tokenizer, train_tokenizer

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary of 1,024, trained on 200 kB: real merges, half a second."""
    path = tmp_path_factory.mktemp("tokenizer") / "tiny_1024_bpe.model"
    return train_tokenizer(corpus.documents("train", 200_000), 1024, path)


@pytest.fixture(scope="session")
def sp(tokenizer_path: Path) -> spm.SentencePieceProcessor:
    return load_tokenizer(tokenizer_path)
