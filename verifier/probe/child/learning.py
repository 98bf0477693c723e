"""Backward passes and optimizer steps over validation tokens, and what became of the stepped weights."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor

from verifier.probe.child.tape import Tape

WEIGHT_CHECKS = 400
TERMS_KEPT = 64


class Learning:
    """Puts learning on the tape; the shadow tells it of losses, torch of steps."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._pending: list[int] = []
        self._stepped: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self._fresh = False
        self._checks = 0

    def backward(self, terms: tuple[int, ...]) -> None:
        """Gradients of a loss over the score events `terms` are about to be taken."""
        event = self._tape.write("backward", site=self._tape.site(), terms=list(terms)[-TERMS_KEPT:])
        self._pending.append(event)

    def stepped(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Optimizer post-step hook: an event when the step follows a backward over validation tokens."""
        if not self._pending:
            return
        backward, self._pending = self._pending, []
        params = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        for p in params:
            self._stepped[id(p)] = (weakref.ref(p), p._version)
        self._fresh = True
        self._tape.write(
            "step",
            site=self._tape.site(),
            optimizer=type(optimizer).__name__,
            tensors=len(params),
            values=sum(p.numel() for p in params),
            shifts=sum(p.ndim == 3 and p.size(1) == 1 for p in params),
            backward=backward[-TERMS_KEPT:],
        )

    def before_score(self) -> None:
        """Before the first score after a step: say what became of the parameters that were stepped."""
        if not self._fresh or self._checks >= WEIGHT_CHECKS:
            return
        self._fresh = False
        self._checks += 1
        same = changed = 0
        for key, (ref, version) in list(self._stepped.items()):
            param = ref()
            if param is None:
                del self._stepped[key]
            elif param._version == version:
                same += 1
            else:
                changed += 1
        self._tape.write("weights", site=self._tape.site(), same=same, changed=changed)
