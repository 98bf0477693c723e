"""What an evaluation measured: nats per token, and bits per byte of the text behind the tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgolf.bytes import ByteCounter


@dataclass(frozen=True)
class Score:
    """The contest's two numbers and what they are ratios of."""

    val_loss: float
    """Mean loss in nats per token."""
    val_bpb: float
    """Bits per byte: total nats / ln 2 / total bytes."""
    tokens: int
    bytes: int

    def __str__(self) -> str:
        return f"val_loss:{self.val_loss:.4f} val_bpb:{self.val_bpb:.4f}"

    def exact(self) -> str:
        """With the eight decimals of the contest's `_exact` lines."""
        return f"val_loss:{self.val_loss:.8f} val_bpb:{self.val_bpb:.8f}"


@dataclass(frozen=True)
class Evaluation:
    """A score with its evidence."""

    score: Score
    nats_N: NDArray[np.float32]
    """Loss of each predicted token: `nats_N[i]` is that of `tokens[i + 1]`."""
    method: str
    seconds: float


def score_stream(nats_N: NDArray[Any], tokens: NDArray[Any], table: ByteCounter) -> Score:
    """The score of losses over tokens 1..N of a stream of N + 1 tokens. Sums are fp64.

    Raises:
        ValueError: the lengths do not fit, a loss is missing or not finite, or the text has no byte.
    """
    if len(nats_N) != len(tokens) - 1 or len(nats_N) == 0:
        raise ValueError(
            f"{len(nats_N)} losses for {len(tokens)} tokens; expected one less, and at least one"
        )
    if not np.isfinite(nats_N).all():
        bad = int(np.argmax(~np.isfinite(nats_N)))
        raise ValueError(f"the loss at position {bad} is {nats_N[bad]}; every token must have a finite loss")
    byte_count = table.count_stream(tokens)
    if byte_count == 0:
        raise ValueError(
            f"the {len(nats_N)} scored tokens stand for no byte of text; bits per byte is undefined"
        )
    total_nats = float(np.sum(nats_N, dtype=np.float64))
    return Score(
        val_loss=total_nats / len(nats_N),
        val_bpb=total_nats / math.log(2) / byte_count,
        tokens=len(nats_N),
        bytes=byte_count,
    )
