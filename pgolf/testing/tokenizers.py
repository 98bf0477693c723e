"""Small SentencePiece models of several kinds, trained once a process on the embedded corpus."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

import sentencepiece as spm

from pgolf import corpus

TRAINING_BYTES = 60_000


@dataclass(frozen=True)
class Kind:
    """What a tokenizer is trained with; the rest is the contest's."""

    name: str
    model_type: str = "bpe"
    vocab_size: int = 512
    byte_fallback: bool = True
    user_symbols: tuple[str, ...] = ()
    normalization: str = "nmt_nfkc"
    whitespace_pieces: bool = False
    """Runs of spaces are kept, and are pieces."""
    dummy_prefix: bool = False
    """A space is put before each text, as SentencePiece does by default."""


KINDS = (
    Kind("bpe"),
    Kind("bpe without byte fallback", byte_fallback=False),
    Kind("unigram", model_type="unigram"),
    Kind("unigram without byte fallback", model_type="unigram", byte_fallback=False),
    Kind("characters", model_type="char", vocab_size=400),
    Kind("bpe with user symbols", user_symbols=("<|sep|>", "\u2581def", "\ue000", "  ")),
    Kind("bpe with the marker as a user symbol", user_symbols=("\u2581", "a\u2581b")),
    Kind("bpe with runs of spaces", normalization="identity", whitespace_pieces=True),
    Kind("unigram with runs of spaces", "unigram", normalization="identity", whitespace_pieces=True),
    Kind("bpe with a dummy prefix", dummy_prefix=True),
)
"""Both kinds of model, with and without what changes how many bytes a piece stands for."""


@cache
def trained(kind: Kind) -> spm.SentencePieceProcessor:
    """A model of that kind; a tenth of a second or two, once."""
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(list(corpus.documents("train", TRAINING_BYTES))),
        model_writer=model,
        model_type=kind.model_type,
        vocab_size=kind.vocab_size,
        hard_vocab_limit=False,
        character_coverage=0.999,
        byte_fallback=kind.byte_fallback,
        user_defined_symbols=list(kind.user_symbols),
        normalization_rule_name=kind.normalization,
        remove_extra_whitespaces=not kind.whitespace_pieces,
        allow_whitespace_only_pieces=kind.whitespace_pieces,
        split_digits=True,
        add_dummy_prefix=kind.dummy_prefix,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        num_threads=1,
        max_sentence_length=1 << 24,
        minloglevel=2,
    )
    return spm.SentencePieceProcessor(model_proto=model.getvalue())
