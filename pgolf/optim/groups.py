"""Which optimizer trains which parameter.

Matrices inside the blocks: Muon. Token embedding and other tables, heads, vectors and control tensors: AdamW,
each with its own rate and decay (as the contest's root script; tables at the embedding's rate as in #1430).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from pgolf.model import GPT, parameter_role
from pgolf.optim.config import OptimizerConfig


class ParameterSplit(NamedTuple):
    """Every parameter of a model, once."""

    embeddings: list[Tensor]
    """The token embedding, which may also be the head."""
    tables: list[Tensor]
    """Other embedding tables."""
    heads: list[Tensor]
    scalars: list[Tensor]
    """Vectors and control tensors."""
    matrices: list[Tensor]
    """For Muon."""


def split_parameters(model: GPT) -> ParameterSplit:
    """Sort a model's parameters by what trains them; empty ones are left out."""
    split = ParameterSplit([], [], [], [], [])
    of_role = {"head": split.heads, "control": split.scalars, "matrix": split.matrices}
    for name, parameter in model.named_parameters():
        role = parameter_role(name, parameter.ndim)
        if parameter.numel() == 0:
            continue
        if role == "embedding":
            (split.embeddings if parameter is model.tok_emb.weight else split.tables).append(parameter)
        else:
            of_role[role].append(parameter)
    return split


def adam_groups(split: ParameterSplit, config: OptimizerConfig, *, tied: bool) -> list[dict[str, Any]]:
    """AdamW's groups: parameters, rate and decay of each; groups without parameters are left out."""
    embed_lr = config.tied_embed_lr if tied else config.embed_lr
    table_lr = embed_lr if config.table_lr is None else config.table_lr
    groups: list[dict[str, Any]] = [
        {"params": split.embeddings, "lr": embed_lr, "weight_decay": config.embed_weight_decay},
        {"params": split.tables, "lr": table_lr, "weight_decay": config.embed_weight_decay},
        {"params": split.scalars, "lr": config.scalar_lr, "weight_decay": config.scalar_weight_decay},
        {"params": split.heads, "lr": config.head_lr, "weight_decay": config.head_weight_decay},
    ]
    return [group for group in groups if group["params"]]
