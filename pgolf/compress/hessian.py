"""The second moment of every linear map's inputs over calibration tokens: what GPTQ calls the Hessian.

H = sum of x x^T / tokens, accumulated in fp32 on the model's device by forward hooks. A layer that a looped
model runs twice adds both; all Hessians have the same denominator, so errors of different layers compare.
The head reads the last hidden state without being a module of its own: its weight, tied or not, gets that
state's Hessian (GPTQ of the embedding: #1394).

Nothing here may be given validation tokens: what is fitted to them before they are scored is leaked to the
model (R-017), and reading training tokens after the training budget is training past it (R-015). See
`pgolf.compress.calibrate` for the two legal sources.

Shapes: B sequences, T positions, C inputs of a layer.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pgolf.model import GPT
from pgolf.runtime import synchronize


@dataclass(frozen=True)
class Calibration:
    """Hessians and what they were made of."""

    hessians: dict[str, Tensor]
    """By the weight's name in the state dict: fp32, (C, C)."""
    batches: int
    tokens: int
    seconds: float
    """All of it: making the batches, running them, and waiting for the device."""


def collect_hessians(
    model: GPT, batches: Iterable[Tensor], *, limit_seconds: float = float("inf")
) -> Calibration:
    """Run `model` on each batch of ids_BT and sum up what its linear maps read.

    No batch is begun that would end after `limit_seconds` if it took as long as the longest so far; the first
    one always runs.

    Raises:
        ValueError: there is no batch.
    """
    start = time.perf_counter()
    sums: dict[str, Tensor] = {}
    count, tokens, elapsed, longest = 0, 0, 0.0, 0.0
    source = iter(batches)
    training = model.training
    model.eval()
    try:
        while count == 0 or elapsed + longest <= limit_seconds:
            ids_BT = next(source, None)
            if ids_BT is None:
                break
            with torch.no_grad(), _recording(model, sums):
                hidden_BTD = model.hidden_states(ids_BT)
            _add(sums, _head_weight(model), hidden_BTD)
            synchronize(model.device)
            now = time.perf_counter() - start
            count, tokens = count + 1, tokens + ids_BT.numel()
            longest, elapsed = max(longest, now - elapsed), now
    finally:
        model.train(training)
    if not count:
        raise ValueError("no calibration batch; give at least one")
    hessians = {name: total / tokens for name, total in sums.items()}
    return Calibration(hessians, count, tokens, time.perf_counter() - start)


@contextmanager
def _recording(model: nn.Module, sums: dict[str, Tensor]) -> Iterator[None]:
    # Hooks live for one forward only: a source of batches may run the same model in between.
    handles = [
        module.register_forward_hook(partial(_record, sums, f"{name}.weight"))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _record(sums: dict[str, Tensor], name: str, module: nn.Module, inputs: tuple[Any, ...], _: Any) -> None:
    _add(sums, name, inputs[0])


def _add(sums: dict[str, Tensor], name: str, x: Tensor) -> None:
    x_NC = x.detach().float().flatten(0, -2)
    if name not in sums:
        sums[name] = torch.zeros(x_NC.shape[1], x_NC.shape[1], device=x_NC.device)
    sums[name].addmm_(x_NC.T, x_NC)


def _head_weight(model: GPT) -> str:
    return "tok_emb.weight" if model.lm_head is None else "lm_head.weight"
