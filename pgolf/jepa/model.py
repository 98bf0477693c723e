"""A byte-level JEPA with a decoder: encoder, EMA target encoder, predictor, byte distribution.

A stream of ids (bytes 0-255, and BOS before each document) is cut into patches. The encoder reads whole
patches, causally; from patch m's context the predictor guesses the latent that the target encoder will give
to patch m + 1. The decoder gives the distribution of each next id from that guess and the last few ids, so
inside a patch it knows the bytes already seen there. Only the encoder, predictor and decoder are needed to
score; the target encoder is a training device and stays out of an artifact.

Shapes: B sequences, T positions, M patches, P bytes of a patch, W ids that the decoder sees, D latent width,
V = 257 ids.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pgolf.jepa.objective import latent_loss, spread_penalty

BOS = 256
VOCAB = 257
CONDITIONINGS = ("joint", "stopped", "none")


@dataclass(frozen=True)
class JEPAConfig:
    """The shape of a byte-level JEPA; the defaults train on a CPU in about 70 seconds."""

    patch_bytes: int = 4
    max_patches: int = 64
    """The most patches that one call can read; a sequence has at most `patch_bytes` times as many ids."""
    model_dim: int = 128
    num_layers: int = 2
    num_heads: int = 4
    byte_dim: int = 32
    decoder_ids: int = 8
    """How many ids before the predicted one the decoder sees by itself."""
    conditioning: Literal["joint", "stopped", "none"] = "joint"
    """How the decoder reads the predicted latent: with its gradient (the byte loss also trains the encoder),
    without (the encoder learns by latent prediction alone, as in the first phase of #1443), or not at all."""
    latent_weight: float = 1.0
    """Of the latent loss; 0 leaves a byte model of the same shape, trained by cross-entropy alone."""
    spread_weight: float = 0.1
    """Of the penalty on latents that do not vary; 0 trusts the EMA target to prevent collapse."""
    target_momentum: float = 0.99
    """How much of itself the target encoder keeps at each step."""

    def __post_init__(self) -> None:
        for name in (
            "patch_bytes", "max_patches", "model_dim", "num_layers", "num_heads", "byte_dim", "decoder_ids"
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.model_dim % self.num_heads:
            raise ValueError(f"model_dim {self.model_dim} must be a multiple of num_heads {self.num_heads}")
        if self.conditioning not in CONDITIONINGS:
            raise ValueError(
                f"conditioning {self.conditioning!r} is unknown; expected {', '.join(CONDITIONINGS)}"
            )
        for name in ("latent_weight", "spread_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.target_momentum <= 1:
            raise ValueError(f"target_momentum must be in [0, 1], got {self.target_momentum}")


class Losses(NamedTuple):
    """What a training step minimizes, and its parts; scalars."""

    total: Tensor
    byte_nats: Tensor
    latent: Tensor
    spread: Tensor


class Encoder(nn.Module):
    """Patches of ids to latents: bytes side by side, one linear map, a causal transformer, a norm."""

    def __init__(self, config: JEPAConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCAB, config.byte_dim)
        self.patch = nn.Linear(config.patch_bytes * config.byte_dim, config.model_dim)
        self.position = nn.Parameter(torch.randn(config.max_patches, config.model_dim) * 0.02)
        self.blocks = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                config.model_dim,
                config.num_heads,
                dim_feedforward=4 * config.model_dim,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            ),
            config.num_layers,
            norm=nn.LayerNorm(config.model_dim, elementwise_affine=False),
            enable_nested_tensor=False,
        )

    def forward(self, patches_BMP: Tensor) -> Tensor:
        """latents_BMD, each of mean 0 and variance 1; the m-th knows patches 0..m."""
        patches = patches_BMP.size(1)
        x_BMD = self.patch(self.embed(patches_BMP).flatten(2)) + self.position[:patches]
        mask_MM = nn.Transformer.generate_square_subsequent_mask(patches, device=x_BMD.device)
        latents_BMD: Tensor = self.blocks(x_BMD, mask=mask_MM, is_causal=True)
        return latents_BMD


class Decoder(nn.Module):
    """The distribution of the next id from a predicted latent and the last W ids."""

    def __init__(self, config: JEPAConfig) -> None:
        super().__init__()
        width = config.model_dim
        self.window = config.decoder_ids
        self.embed = nn.Embedding(VOCAB, config.byte_dim)
        self.from_ids = nn.Linear(config.decoder_ids * config.byte_dim, width)
        self.from_latent = nn.Linear(config.model_dim, width, bias=False)
        self.offset = nn.Embedding(config.patch_bytes, width)
        self.hidden = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU())
        self.out = nn.Linear(2 * width, width)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, VOCAB))

    def forward(self, ids_BT: Tensor, latent_BTD: Tensor, offset_T: Tensor) -> Tensor:
        """logits_BTV of the id after each position; `offset_T` is that id's place in its patch."""
        ids_BTW = F.pad(ids_BT, (self.window - 1, 0), value=BOS).unfold(1, self.window, 1)
        x_BTD = self.from_ids(self.embed(ids_BTW).flatten(2)) + self.offset(offset_T)
        x_BTD = F.gelu(x_BTD + self.from_latent(latent_BTD))
        logits_BTV: Tensor = self.head(x_BTD + self.out(self.hidden(x_BTD)))
        return logits_BTV


class JEPA(nn.Module):
    """The whole model. `forward` and `loss` are those of `pgolf.model.GPT`, so the same scorers apply."""

    def __init__(self, config: JEPAConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.predictor = nn.Sequential(
            nn.Linear(config.model_dim, 2 * config.model_dim),
            nn.GELU(),
            nn.Linear(2 * config.model_dim, config.model_dim),
        )
        self.first_latent = nn.Parameter(torch.zeros(config.model_dim))  # what to expect of an unseen stream
        self.decoder = Decoder(config)
        self.target_encoder = copy.deepcopy(self.encoder).requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return self.first_latent.device

    def num_scoring_parameters(self) -> int:
        """Parameters that a distribution depends on: all but the target encoder's."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def predicted_latents(self, context_BMD: Tensor) -> Tensor:
        """Guesses of the latents of patches 0..M from contexts 0..M-1, shape (B, M + 1, D)."""
        first_B1D = self.first_latent.expand(len(context_BMD), 1, -1)
        return torch.cat((first_B1D, self.predictor(context_BMD)), dim=1)

    def patches(self, ids_BT: Tensor) -> Tensor:
        """The whole patches of a sequence, shape (B, M, P). ValueError when the encoder has no room."""
        count = ids_BT.size(1) // self.config.patch_bytes
        if count > self.config.max_patches:
            raise ValueError(
                f"{ids_BT.size(1)} ids are {count} patches of {self.config.patch_bytes}; this model reads at "
                f"most {self.config.max_patches}; score in shorter windows"
            )
        return ids_BT[:, : count * self.config.patch_bytes].reshape(
            len(ids_BT), count, self.config.patch_bytes
        )

    def forward(self, ids_BT: Tensor) -> Tensor:
        """logits_BTV: at position t, those of the id at t + 1 given ids 0..t and nothing later."""
        return self._decode(ids_BT, self.predicted_latents(self.encoder(self.patches(ids_BT))))

    def loss(
        self, input_ids_BT: Tensor, target_ids_BT: Tensor, reduction: Literal["mean", "none"] = "mean"
    ) -> Tensor:
        """Cross-entropy in nats per id: its mean, or with `reduction="none"` of shape (B, T)."""
        nats_BT = F.cross_entropy(self(input_ids_BT).mT, target_ids_BT, reduction="none")
        return nats_BT if reduction == "none" else nats_BT.mean()

    def training_losses(self, ids_BT: Tensor, target_ids_BT: Tensor) -> Losses:
        """The byte loss and the two latent terms, from one pass of each encoder."""
        patches_BMP = self.patches(ids_BT)
        context_BMD = self.encoder(patches_BMP)
        predicted_BMD = self.predicted_latents(context_BMD)
        with torch.no_grad():
            target_BMD = self.target_encoder(patches_BMP)
        byte_nats = F.cross_entropy(self._decode(ids_BT, predicted_BMD).mT, target_ids_BT)
        # The last guess is of a patch that is not in the batch.
        latent = latent_loss(predicted_BMD[:, :-1].flatten(0, 1), target_BMD.flatten(0, 1))
        spread = spread_penalty(context_BMD.flatten(0, 1))
        total = byte_nats + self.config.latent_weight * latent + self.config.spread_weight * spread
        return Losses(total, byte_nats, latent, spread)

    @torch.no_grad()
    def update_target(self) -> None:
        """Move the target encoder towards the encoder: target = m target + (1 - m) encoder."""
        for target, online in zip(self.target_encoder.parameters(), self.encoder.parameters(), strict=True):
            target.lerp_(online, 1 - self.config.target_momentum)

    def _decode(self, ids_BT: Tensor, predicted_BMD: Tensor) -> Tensor:
        if self.config.conditioning == "stopped":
            predicted_BMD = predicted_BMD.detach()
        elif self.config.conditioning == "none":
            predicted_BMD = torch.zeros_like(predicted_BMD)
        next_T = torch.arange(1, ids_BT.size(1) + 1, device=ids_BT.device)
        latent_BTD = predicted_BMD[:, next_T // self.config.patch_bytes]
        logits_BTV: Tensor = self.decoder(ids_BT, latent_BTD, next_T % self.config.patch_bytes)
        return logits_BTV
