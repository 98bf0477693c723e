"""What a model carries from one block of a stream to the next.

Shapes: B sequences, C carried positions, D model width.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from pgolf.model.attention import KeyValues
from pgolf.model.state_space import MixerState


class ModelState(NamedTuple):
    """All that the next block needs of the past; never changed in place.

    Keys are carried before their positions turn them, so that positions are counted from the oldest carried
    token in every block and never outgrow the window that the model was trained on.
    """

    ids_BC: Tensor
    """The last tokens: for document starts and hashed n-grams."""
    embedding_BD: Tensor
    """The last token's embedding, for the smear gate."""
    runs: tuple[KeyValues | MixerState | None, ...]
    """Per run of a layer (a looped layer has several); None before the first token."""

    def without_keys(self) -> ModelState:
        """The recurrent states alone, as if attention and hashed n-grams began with the next token (#2066)."""
        runs = tuple(None if isinstance(run, KeyValues) else run for run in self.runs)
        return ModelState(self.ids_BC[:, :0], self.embedding_BD, runs)
