"""The contest's naive baseline as a model: a small GPT with U-Net skips and tied embeddings.

Same function as the root train_gpt.py of openai/parameter-golf computes, but for two roundings that we do
in fp32: the rotary tables and the logit softcap. The model knows nothing of tokenizers, data or scoring.

Shapes: B sequences, T positions, D model width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pgolf.layers import Block, Linear, rms_norm, rotary_tables

CONTROL_TENSORS = ("attn_scale", "mlp_scale", "resid_mix", "q_gain", "skip_weights")
"""Small tensors that steer the others: trained by Adam, never quantized."""


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT; the defaults are the contest's naive baseline."""

    vocab_size: int = 1024
    num_layers: int = 9
    model_dim: int = 512
    num_heads: int = 8
    num_kv_heads: int = 4
    mlp_mult: int = 2
    tie_embeddings: bool = True
    tied_embed_init_std: float = 0.005
    logit_softcap: float = 30.0
    rope_base: float = 10_000.0
    qk_gain_init: float = 1.5

    def __post_init__(self) -> None:
        for name in ("vocab_size", "num_layers", "model_dim", "num_heads", "num_kv_heads", "mlp_mult"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("logit_softcap", "rope_base", "tied_embed_init_std"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.model_dim % (2 * self.num_heads):
            raise ValueError(
                f"model_dim {self.model_dim} must be a multiple of 2 x num_heads ({2 * self.num_heads}): "
                "rotary positions turn pairs of a head's channels"
            )
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads {self.num_heads} must be a multiple of num_kv_heads {self.num_kv_heads}"
            )

    @classmethod
    def naive_baseline(cls, **changes: Any) -> Self:
        """17,059,912 parameters: what the contest's leaderboard starts from."""
        return replace(cls(), **changes)

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """About half a million parameters: trains to something in a minute on a laptop's CPU."""
        return replace(cls(num_layers=4, model_dim=128, num_heads=4, num_kv_heads=2), **changes)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Build from parsed JSON; ValueError on an unknown key or a value of another type."""
        known = {field.name: type(field.default) for field in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"unknown model setting {name!r}; known: {', '.join(known)}")
            if type(value) is not known[name] and not (known[name] is float and type(value) is int):
                raise ValueError(f"model setting {name} is {value!r}; expected {known[name].__name__}")
        return cls(**values)


class GPT(nn.Module):
    """The baseline model. All parameters are fp32; activations have `compute_dtype`."""

    def __init__(self, config: GPTConfig, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = compute_dtype
        self.tok_emb = nn.Embedding(config.vocab_size, config.model_dim)
        self.blocks = nn.ModuleList(
            Block(
                config.model_dim, config.num_heads, config.num_kv_heads, config.mlp_mult, config.qk_gain_init
            )
            for _ in range(config.num_layers)
        )
        self.num_encoder_layers = config.num_layers // 2
        self.skip_weights = nn.Parameter(torch.ones(self.num_encoder_layers, config.model_dim))
        self.lm_head: Linear | None = None
        if config.tie_embeddings:
            nn.init.normal_(self.tok_emb.weight, std=config.tied_embed_init_std)
        else:
            self.lm_head = Linear(config.model_dim, config.vocab_size, zero_init=True)

    @property
    def device(self) -> torch.device:
        return self.tok_emb.weight.device

    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def hidden_states(self, input_ids_BT: Tensor) -> Tensor:
        """What the head reads: the normalized last residual stream, of shape (B, T, D)."""
        x = rms_norm(F.embedding(input_ids_BT, self.tok_emb.weight).to(self.compute_dtype))
        x0 = x
        skips: list[Tensor] = []
        head_dim = self.config.model_dim // self.config.num_heads
        tables = rotary_tables(input_ids_BT.size(1), head_dim, self.config.rope_base, like=x)
        # The first half of the blocks leaves its outputs; the second half takes them, last first.
        for layer, block in enumerate(self.blocks):
            if layer >= self.num_encoder_layers and skips:
                x = x + self.skip_weights[layer - self.num_encoder_layers].to(x.dtype) * skips.pop()
            x = block(x, x0, tables)
            if layer < self.num_encoder_layers:
                skips.append(x)
        return rms_norm(x)

    def head(self, hidden_BTD: Tensor) -> Tensor:
        """Softcapped fp32 logits, of shape (B, T, V)."""
        weight = self.tok_emb.weight if self.lm_head is None else self.lm_head.weight
        logits_BTV = F.linear(hidden_BTD, weight.to(hidden_BTD.dtype)).float()
        return self.config.logit_softcap * torch.tanh(logits_BTV / self.config.logit_softcap)

    def forward(self, input_ids_BT: Tensor) -> Tensor:
        """logits_BTV: at position t, the next token's logits given inputs 0..t and nothing later."""
        return self.head(self.hidden_states(input_ids_BT))

    def loss(
        self, input_ids_BT: Tensor, target_ids_BT: Tensor, reduction: Literal["mean", "none"] = "mean"
    ) -> Tensor:
        """Cross-entropy in nats: its mean, or with `reduction="none"` one value per token, shape (B, T)."""
        logits_BTV = self(input_ids_BT)
        nats = F.cross_entropy(logits_BTV.flatten(0, 1), target_ids_BT.flatten(), reduction=reduction)
        return nats.view(target_ids_BT.shape) if reduction == "none" else nats
