"""Tokenizers: SentencePiece BPE with the contest's options, trained here and kept in a cache, or plain bytes.

Options follow the contest's data/download_hf_docs_and_tokenize.py: BPE, byte fallback, split digits,
nmt_nfkc normalization, no dummy prefix, ids pad 0, bos 1, eos 2, unk 3. One differs: `hard_vocab_limit`
stays on, because a vocabulary of another size than asked would only fail later, in the model.

With case operators (`pgolf.caseops`) the text is not normalized either, and runs of spaces are pieces: what
is behind such a stream is the text itself, byte for byte.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import sentencepiece as spm

from pgolf import byte_tokenizer, caseops, corpus

PAD_ID, BOS_ID, EOS_ID, UNK_ID = 0, 1, 2, 3
SMALLEST_VOCAB = 512  # 4 special ids and 256 byte tokens leave room for characters
LARGEST_VOCAB = 2**16  # shards hold uint16
RECIPE = "2"  # part of the cache key: raise it when an option below or the corpus's order changes


class TokenizerError(ValueError):
    """A tokenizer could not be trained or read; the message says which file or text, and why."""


class Tokenizer(Protocol):
    """What is used of a tokenizer: the methods of `SentencePieceProcessor`, under its names."""

    def vocab_size(self) -> int: ...

    def bos_id(self) -> int: ...

    def encode(self, text: Any, *, num_threads: int = ...) -> Any:
        """The ids of a text, or a list of them for a list of texts."""

    def decode(self, ids: Any) -> str: ...

    def id_to_piece(self, token_id: int) -> str: ...

    def is_control(self, token_id: int) -> bool: ...

    def is_unknown(self, token_id: int) -> bool: ...

    def is_unused(self, token_id: int) -> bool: ...

    def is_byte(self, token_id: int) -> bool: ...


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, path: Path, *, case_operators: bool = False
) -> Path:
    """Train on `texts` and write a SentencePiece model of exactly `vocab_size` pieces to `path`.

    With `case_operators`, the texts have gone through `caseops.encode`: its operators are ids 4 to 7, before
    the bytes, and nothing is normalized.

    Deterministic: one thread, every sentence, in order. The file appears whole or not at all.

    Raises:
        TokenizerError: the vocabulary is out of range, or the text is too small to fill it.
    """
    if not SMALLEST_VOCAB <= vocab_size <= LARGEST_VOCAB:
        raise TokenizerError(
            f"vocab_size {vocab_size} is out of range; expected {SMALLEST_VOCAB} to {LARGEST_VOCAB} "
            "(256 byte tokens and 4 special tokens must fit, and shards store 16-bit ids)"
        )
    model = io.BytesIO()
    options: dict[str, Any] = {"normalization_rule_name": "nmt_nfkc"}
    if case_operators:
        options = {
            "normalization_rule_name": "identity",
            "remove_extra_whitespaces": False,
            "allow_whitespace_only_pieces": True,
            "user_defined_symbols": list(caseops.OPERATORS),
        }
    sentences = (text.replace("\0", " ").strip() for text in texts)
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=(sentence for sentence in sentences if sentence),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            hard_vocab_limit=True,
            character_coverage=0.999,
            byte_fallback=True,
            split_digits=True,
            add_dummy_prefix=False,
            pad_id=PAD_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            unk_id=UNK_ID,
            num_threads=1,
            max_sentence_length=1 << 24,  # the default silently drops documents over 4,192 bytes
            minloglevel=2,
            **options,
        )
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise TokenizerError(
            f"cannot train a vocabulary of {vocab_size}: {reason}; give more text or a smaller vocabulary"
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(model.getvalue())
    os.replace(file.name, path)
    return path


def load_tokenizer(path: Path | str) -> Tokenizer:
    """Read a SentencePiece model, or the description of a byte tokenizer (`.json`).

    Raises:
        TokenizerError: the file is missing, or is neither; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise TokenizerError(
            f"no tokenizer at {path}; expected a SentencePiece .model file or a byte tokenizer's .json; "
            "`pgolf data build` makes one, or set the path"
        )
    if path.suffix == ".json":
        if not byte_tokenizer.is_description(path):
            raise TokenizerError(f"{path} does not describe the contest's byte tokenizer of 260 ids")
        return byte_tokenizer.ByteTokenizer()
    try:
        return spm.SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError):
        raise TokenizerError(f"{path} is not a SentencePiece model ({path.stat().st_size:,} bytes)") from None


def has_case_operators(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer reserves the operators of `pgolf.caseops`: its text was transformed."""
    pieces = {tokenizer.id_to_piece(i) for i in range(tokenizer.vocab_size())}
    return pieces.issuperset(caseops.OPERATORS)


def training_bytes(vocab_size: int) -> int:
    """How much of the embedded corpus a vocabulary is trained on: enough to fill it, in few seconds."""
    return 1_000_000 if vocab_size <= 1024 else 6_000_000


def default_cache_dir() -> Path:
    """Where built tokenizers and datasets are kept: `$XDG_CACHE_HOME/pgolf`, else `~/.cache/pgolf`.

    The only look at the environment in this package; pass `cache_dir` to avoid it.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "pgolf"


def cached_tokenizer(vocab_size: int, *, cache_dir: Path | None = None) -> Path:
    """The path of a tokenizer trained on the embedded corpus, trained now if the cache lacks it.

    260 is the byte tokenizer, which needs no training.

    The name carries a hash of the corpus, the recipe and SentencePiece's version: a stale file is never
    used, and two processes that build at once write the same bytes.
    """
    tokenizers = (cache_dir or default_cache_dir()) / "tokenizers"
    if vocab_size == byte_tokenizer.VOCAB_SIZE:
        return byte_tokenizer.write_description(tokenizers / byte_tokenizer.FILE_NAME)
    key = hashlib.sha256(
        f"{corpus.fingerprint()} {RECIPE} {training_bytes(vocab_size)} {spm.__version__}".encode()
    ).hexdigest()[:12]
    path = tokenizers / f"stdlib_{vocab_size}_bpe-{key}.model"
    if not path.is_file():
        train_tokenizer(corpus.documents("train", training_bytes(vocab_size)), vocab_size, path)
    return path
