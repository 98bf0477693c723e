"""What a mixer is: it changes a model's distribution by what the tokens so far say.

It has two faces over one definition. `mix` and `update` go token by token over whole distributions.
`hinted` and `mixed_nats` do the same for a known stream at once: the one changes logits before the softmax, the
other mixes from two numbers per position that the model's pass leaves behind (`Facts`), and a mixture of
normalized distributions needs no more. That both
faces agree is tested; that the first cannot see ahead is plain from its signature.

Shapes: N positions, V vocabulary; position i predicts `tokens[i + 1]`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pgolf.evaluate.method import Method

BLOCK_ELEMENTS = 1 << 16
"""Logits that are worked on together on a CPU: 256 kB."""


@dataclass
class Facts:
    """What the model said at each position, in fp64, on its device."""

    nats_N: Tensor
    """Cross-entropy of the token that came."""
    entropy_N: Tensor
    """Entropy of the model's distribution, in nats."""

    @classmethod
    def empty(cls, predictions: int, device: torch.device) -> Facts:
        missing_N = torch.full((predictions,), torch.nan, dtype=torch.float64, device=device)
        return cls(missing_N, missing_N.clone())

    def note(self, position_P: Tensor, logits_PV: Tensor, target_P: Tensor, *, entropy: bool = True) -> None:
        """Keep what fp32 logits say at these positions; the loss is torch's own cross entropy, as an audit knows it."""
        self.nats_N[position_P] = F.cross_entropy(logits_PV, target_P, reduction="none").double()
        if not entropy:
            return
        # On a CPU a block is small enough to stay in its cache from one operation to the next.
        on_cpu = logits_PV.device.type == "cpu"
        rows = max(1, BLOCK_ELEMENTS // logits_PV.shape[-1] if on_cpu else len(logits_PV))
        blocks = zip(torch.split(position_P, rows), torch.split(logits_PV, rows), strict=True)
        for position_B, logits_BV in blocks:
            log_probs_BV = logits_BV.log_softmax(-1)
            self.entropy_N[position_B] = -torch.linalg.vecdot(log_probs_BV.exp(), log_probs_BV).double()


class Mixer(ABC):
    """The next token's distribution from a model's and the past's."""

    name: str

    @abstractmethod
    def reset(self) -> None:
        """Forget the stream."""

    @abstractmethod
    def mix(self, log_probs_V: Tensor) -> Tensor:
        """The new log-probabilities, which sum to one as the given ones do."""

    @abstractmethod
    def update(self, token: int) -> None:
        """The stream goes on with `token`. The first token of a stream is given here too."""

    def hints(self, tokens_N: Tensor) -> Tensor | None:
        """One candidate per position (-1: none) from the tokens up to that position, or None: not needed."""
        return None

    def hinted(self, logits_PV: Tensor, hint_P: Tensor) -> Tensor:
        """The model's logits, changed by the positions' hints."""
        return logits_PV

    def mixed_nats(self, tokens_N: Tensor, facts: Facts) -> Tensor:
        """fp64 -log p(tokens[i + 1]) of every position i, as `mix` would have given it at its turn.

        `facts` are of the hinted logits.
        """
        return facts.nats_N


@dataclass(frozen=True)
class Mixed:
    """A method whose every prediction goes through a mixer."""

    method: Method
    mixer: Mixer

    @property
    def name(self) -> str:
        return f"{self.method.name}+{self.mixer.name}"


def mixed(method: Method, mixer: Mixer) -> Mixed:
    """Predict with `method`, then mix; mixers see the method's distribution, not its weights."""
    return Mixed(method, mixer)
