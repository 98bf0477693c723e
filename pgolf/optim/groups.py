"""Which optimizer trains which parameter.

Matrices inside the blocks: Muon. Token embedding and other tables, heads, vectors and control tensors: AdamW,
each with its own rate and decay (as the contest's root script; tables at the embedding's rate as in #1430).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn

from pgolf.model import CONTROL_TENSORS, GPT
from pgolf.optim.config import OptimizerConfig

HEADS = ("lm_head.", "mtp_heads.")


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
    tables = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module is not model.tok_emb
    }
    split = ParameterSplit([], [], [], [], [])
    for name, parameter in model.named_parameters():
        if parameter.numel() == 0:
            continue
        if parameter is model.tok_emb.weight:
            split.embeddings.append(parameter)
        elif id(parameter) in tables:
            split.tables.append(parameter)
        elif name.startswith(HEADS):
            split.heads.append(parameter)
        elif parameter.ndim != 2 or any(control in name for control in CONTROL_TENSORS):
            split.scalars.append(parameter)
        else:
            split.matrices.append(parameter)
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
