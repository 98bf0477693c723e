"""The latent loss of a JEPA, what keeps it from collapsing, and how a collapse is measured.

Predicting one's own representation has a trivial answer: a constant. The target is therefore an EMA copy that
gets no gradient (BYOL, Grill et al. 2020; I-JEPA), and each latent channel is pushed to vary over the batch and
not to repeat another channel (VICReg, Bardes et al. 2022, arXiv 2105.04906).

Shapes: N latents, D channels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

STD_FLOOR = 1e-4  # inside the root: the gradient of a root at zero is infinite


class Spread(NamedTuple):
    """How far a set of latents is from collapse."""

    std: float
    """Mean over channels of the standard deviation over latents; 0 is a collapse to one point."""
    effective_rank: float
    """exp of the entropy of the normalized singular values: 1 is a line, D is every direction alike."""


def latent_loss(predicted_ND: Tensor, target_ND: Tensor) -> Tensor:
    """Smooth L1 between prediction and target (I-JEPA's choice); no gradient reaches the target."""
    return F.smooth_l1_loss(predicted_ND, target_ND.detach())


def spread_penalty(latents_ND: Tensor) -> Tensor:
    """VICReg's variance hinge at 1 plus its covariance term: 0 when channels vary by 1 and do not correlate."""
    centred_ND = latents_ND - latents_ND.mean(0)
    std_D = (centred_ND.square().sum(0) / (len(latents_ND) - 1) + STD_FLOOR).sqrt()
    covariance_DD = centred_ND.T @ centred_ND / (len(latents_ND) - 1)
    off_diagonal = covariance_DD.square().sum() - covariance_DD.diagonal().square().sum()
    return F.relu(1 - std_D).mean() + off_diagonal / latents_ND.size(1)


@torch.no_grad()
def spread(latents_ND: Tensor) -> Spread:
    """Standard deviation and effective rank (Roy & Vetterli 2007) of centred latents."""
    centred_ND = (latents_ND - latents_ND.mean(0)).double()
    values = torch.linalg.svdvals(centred_ND)
    total = float(values.sum())
    if total == 0:
        return Spread(0.0, 1.0)
    share = values / total
    return Spread(
        float(centred_ND.square().mean(0).sqrt().mean()), float(torch.special.entr(share).sum().exp())
    )
