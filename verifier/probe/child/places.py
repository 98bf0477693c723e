"""What a score carries: its stream position, the moment it was computed, and whether it was picked.

All three travel in one int64, so that whatever moves positions moves the rest: bits 0 to 30 hold the
position, bit 31 says that the value is the better of several for the same token, bits 32 to 62 hold the
number that the next event of the tape would have had when the value was computed. -1 is an unknown place.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

Places = TypeVar("Places", Tensor, np.ndarray)

_POSITION = (1 << 31) - 1
_PICKED = 1 << 31
_LOW = _POSITION | _PICKED
_MOMENT = 32


def stamped(places: Places, moment: int) -> Places:
    """The same places, computed at `moment`."""
    return _where_known(places, (places & _LOW) | (moment << _MOMENT))


def position(places: Places) -> Places:
    """Stream positions alone, -1 where unknown."""
    return _where_known(places, places & _POSITION)


def moment(places: Places) -> Places:
    """When the values were computed, as an event number; only for known places."""
    return places >> _MOMENT


def is_picked(places: Places) -> Any:
    """Mask of the values that are the better of several for the same token."""
    return (places >= 0) & ((places & _PICKED) != 0)


def merged(first: Places, second: Places) -> Places:
    """Places of the first, and of the second where the first has none."""
    return _where(first < 0, second, first)


def same_positions(first: Places, second: Places) -> bool:
    """Whether both hold values of the same tokens, as far as both are known, and at least one is."""
    if first.shape != second.shape:
        return False
    known = (first >= 0) & (second >= 0)
    alike = (first & _POSITION) == (second & _POSITION)
    return bool(known.any()) and bool((alike | ~known).all())


def both_picked(first: Places, second: Places) -> Places:
    """`merged`, with a note where both are known: the value there is the better of the two."""
    both = (first >= 0) & (second >= 0)
    places = merged(first, second)
    return _where(both, places | _PICKED, places)


def _where_known(places: Places, changed: Places) -> Places:
    return _where(places < 0, places, changed)


def _where(condition: Any, one: Places, other: Places) -> Places:
    chosen: Any = torch.where if isinstance(one, Tensor) else np.where
    result: Places = chosen(condition, one, other)
    return result
