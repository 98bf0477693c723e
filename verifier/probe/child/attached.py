"""What the shadow attaches to tensors: stream positions, purity, and the events that a loss is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

AT = "_pgolf_at"
"""Attribute: LongTensor of stream positions, same shape as the tensor, -1 where unknown."""
PURE = "_pgolf_pure"
"""Attribute: True while values are what a cross entropy gave, only moved, cast or masked."""
TERMS = "_pgolf_terms"
"""Attribute: numbers of the score events that a loss is made of."""


def at_of(value: Any) -> Tensor | None:
    """The positions of a tensor's values, if it has any."""
    return value.__dict__.get(AT) if isinstance(value, Tensor) else None


def carry_pure(source: Any, out: Tensor) -> None:
    """`out` is as pure as `source`."""
    if isinstance(source, Tensor) and PURE in source.__dict__:
        setattr(out, PURE, True)
    elif PURE in out.__dict__:
        delattr(out, PURE)


def is_mask(args: tuple[Any, ...]) -> bool:
    """Whether a product only keeps or drops values."""
    factors = [each for each in args if isinstance(each, Tensor) and AT not in each.__dict__]
    return all(bool(((f == 0) | (f == 1)).all()) for f in factors) and all(
        isinstance(e, Tensor) for e in args
    )


def at_or_unknown(value: Any) -> Tensor:
    """Positions in the shape of `value`, -1 throughout where it has none."""
    at = at_of(value)
    if at is not None:
        return at
    return torch.full(
        getattr(value, "shape", ()), -1, dtype=torch.int64, device=getattr(value, "device", None)
    )


def tensors_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    """The tensors of a call, those in lists included."""
    for each in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from (inner for inner in each if isinstance(inner, Tensor))


def map_at(value: Any) -> Any:
    """The same arguments with every float tensor replaced by its positions."""
    if isinstance(value, Tensor):
        at = at_of(value)
        if at is not None:
            return at
        return at_or_unknown(value) if value.is_floating_point() else value
    if isinstance(value, list | tuple):
        return type(value)(map_at(each) for each in value)
    return value


def carry_terms(sources: Any, out: Tensor) -> None:
    """`out` is made of all score events that its sources are made of."""
    terms: tuple[int, ...] = ()
    for each in sources:
        terms += each.__dict__.get(TERMS, ()) if isinstance(each, Tensor) else ()
    if terms:
        setattr(out, TERMS, terms[-256:])
