"""Optimizers: Muon and its variants for matrices, AdamW for the rest, and their schedule."""

from pgolf.optim.config import OptimizerConfig
from pgolf.optim.groups import ParameterSplit, split_parameters
from pgolf.optim.muon import Muon
from pgolf.optim.optimizers import OptimizerSet
from pgolf.optim.orthogonal import orthogonalize
from pgolf.optim.schedule import lr_scale, muon_momentum

__all__ = [
    "Muon",
    "OptimizerConfig",
    "OptimizerSet",
    "ParameterSplit",
    "lr_scale",
    "muon_momentum",
    "orthogonalize",
    "split_parameters",
]
