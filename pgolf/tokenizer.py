"""SentencePiece BPE tokenizers with the contest's options, trained here and kept in a cache.

Options follow the contest's data/download_hf_docs_and_tokenize.py: BPE, byte fallback, split digits,
nmt_nfkc normalization, no dummy prefix, ids pad 0, bos 1, eos 2, unk 3. One differs: `hard_vocab_limit`
stays on, because a vocabulary of another size than asked would only fail later, in the model.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import sentencepiece as spm

from pgolf import corpus

PAD_ID, BOS_ID, EOS_ID, UNK_ID = 0, 1, 2, 3
SMALLEST_VOCAB = 512  # 4 special ids and 256 byte tokens leave room for characters
LARGEST_VOCAB = 2**16  # shards hold uint16
RECIPE = "2"  # part of the cache key: raise it when an option below or the corpus's order changes


class TokenizerError(ValueError):
    """A tokenizer could not be trained or read; the message says which file or text, and why."""


def train_tokenizer(texts: Iterable[str], vocab_size: int, path: Path) -> Path:
    """Train on `texts` and write a SentencePiece model of exactly `vocab_size` pieces to `path`.

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
            normalization_rule_name="nmt_nfkc",
            add_dummy_prefix=False,
            pad_id=PAD_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            unk_id=UNK_ID,
            num_threads=1,
            max_sentence_length=1 << 24,  # the default silently drops documents over 4,192 bytes
            minloglevel=2,
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


def load_tokenizer(path: Path | str) -> spm.SentencePieceProcessor:
    """Read a SentencePiece model; a `TokenizerError` names the path when it is missing or not a model."""
    if not Path(path).is_file():
        raise TokenizerError(
            f"no tokenizer at {path}; expected a SentencePiece .model file; "
            "`pgolf data build` makes one, or set the path"
        )
    try:
        return spm.SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError):
        raise TokenizerError(
            f"{path} is not a SentencePiece model ({Path(path).stat().st_size:,} bytes)"
        ) from None


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

    The name carries a hash of the corpus, the recipe and SentencePiece's version: a stale file is never
    used, and two processes that build at once write the same bytes.
    """
    key = hashlib.sha256(
        f"{corpus.fingerprint()} {RECIPE} {training_bytes(vocab_size)} {spm.__version__}".encode()
    ).hexdigest()[:12]
    path = (cache_dir or default_cache_dir()) / "tokenizers" / f"stdlib_{vocab_size}_bpe-{key}.model"
    if not path.is_file():
        train_tokenizer(corpus.documents("train", training_bytes(vocab_size)), vocab_size, path)
    return path
