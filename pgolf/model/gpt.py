"""A GPT that with default settings is the contest's naive baseline: U-Net skips and tied embeddings.

Then the same function as the root train_gpt.py of openai/parameter-golf computes, but for two roundings that
we do in fp32: the rotary tables and the logit softcap. The model knows nothing of tokenizers, data or scoring.

Shapes: B sequences, T positions, D model width, V vocabulary; C carried positions, S = C + T.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pgolf.model.attention import CausalAttention, KeyValues, Positions, Turn
from pgolf.model.bigram import BigramHash
from pgolf.model.block import Block
from pgolf.model.config import GPTConfig
from pgolf.model.depth import layer_order, num_skips
from pgolf.model.engram import Engram
from pgolf.model.history import suffix, with_history
from pgolf.model.linear import Linear, rms_norm
from pgolf.model.mtp import PREFIX, mtp_loss
from pgolf.model.rotary import RotaryTables, rotary_tables
from pgolf.model.smear import SmearGate
from pgolf.model.state import ModelState
from pgolf.model.state_space import MixerState
from pgolf.model.value_embedding import ValueEmbedding
from pgolf.model.visibility import visible

KEPT_POSITIONS = 4096
"""Rows of rotary tables that `fuse` keeps: two of the longest windows that anything here reads."""


class Embedded(NamedTuple):
    """What the layers read: all that depends on token ids alone."""

    x_BTD: Tensor
    last_BD: Tensor
    """The last position's embedding before the smear gate."""
    values: dict[int, Tensor]
    memory_BTM: Tensor | None


class GPT(nn.Module):
    """The model. All parameters are fp32; activations have `compute_dtype`."""

    def __init__(self, config: GPTConfig, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = compute_dtype
        self.tok_emb = nn.Embedding(config.vocab_size, config.model_dim)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.order = layer_order(config)
        self.skip_weights: nn.Parameter | None = None
        if config.unet_skips:
            self.skip_weights = nn.Parameter(torch.ones(num_skips(config), config.model_dim))
        self.lm_head: Linear | None = None
        if config.tie_embeddings:
            nn.init.normal_(self.tok_emb.weight, std=config.tied_embed_init_std)
        else:
            self.lm_head = Linear(config.model_dim, config.vocab_size, zero_init=True)
        self.smear = SmearGate(config.model_dim) if config.smear_gate else None
        self.bigram = BigramHash(config) if config.bigram_vocab_size else None
        self.engram = Engram(config) if config.engram_layers else None
        self.value_embed = ValueEmbedding(config) if config.value_embed_layers else None
        self.mtp_heads = nn.ModuleList(
            Linear(config.model_dim, config.vocab_size, zero_init=True) for _ in range(config.mtp_heads)
        )
        self._kept_tables: RotaryTables | None = None

    def fuse(self) -> None:
        """From now on compute with fewer passes over memory: what `loss` is stays, but for rounding.

        Tables of positions are made once, here, for the present device and dtype: a compiled graph would
        otherwise work out sines and cosines again for every channel of every head that it turns. In training
        mode, blocks join their maps and fold their scales into weights (`pgolf.model.linear`), and on CUDA a
        kernel makes queries and keys ready in one pass (`pgolf.model.turn_cuda`).
        """
        like = torch.empty(0, dtype=self.compute_dtype, device=self.device)
        self._kept_tables = self._rotary_tables(KEPT_POSITIONS, like)
        turn: Turn | None = None
        if self.device.type == "cuda" and self.config.head_dim.bit_count() == 1:  # a tile's width in Triton
            from pgolf.model.turn_cuda import turn
        for module in self.modules():
            if isinstance(module, Block):
                module.fused = True
            elif isinstance(module, CausalAttention):
                module.turn = turn

    @property
    def device(self) -> torch.device:
        return self.tok_emb.weight.device

    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def artifact_state(self) -> dict[str, Tensor]:
        """The state that is scored: all but the heads that only training uses."""
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith(PREFIX)}

    def load_artifact_state(self, state: Mapping[str, Tensor]) -> None:
        """Load what `artifact_state` gave, and leave the training heads as they are.

        Raises:
            RuntimeError: any other tensor is missing, unknown or of another shape.
        """
        heads = {name: tensor for name, tensor in self.state_dict().items() if name.startswith(PREFIX)}
        self.load_state_dict({**heads, **state}, strict=True)

    def hidden_states(self, input_ids_BT: Tensor) -> Tensor:
        """What the head reads: the normalized last residual stream, of shape (B, T, D)."""
        return self._run(input_ids_BT, self.initial_state(input_ids_BT.size(0)), window=None)[0]

    def initial_state(self, batch: int) -> ModelState:
        """The state before a stream's first token, for `batch` streams side by side."""
        ids_BC = torch.empty((batch, 0), dtype=torch.int64, device=self.device)
        zeros_BD = torch.zeros((batch, self.config.model_dim), dtype=self.compute_dtype, device=self.device)
        return ModelState(ids_BC, zeros_BD, (None,) * len(self.order))

    def hidden_states_from(
        self, input_ids_BT: Tensor, state: ModelState, window: int
    ) -> tuple[Tensor, ModelState]:
        """`hidden_states` of the next T tokens of a stream, and the state after them.

        Each position attends to at most `window` positions, itself included. A stream gives the same hidden
        states however it is cut into blocks, to rounding. `state` stays as it was.

        Raises:
            ValueError: a window under 1, or a state of another number of streams.
        """
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        if state.ids_BC.size(0) != input_ids_BT.size(0):
            raise ValueError(
                f"the state is of {state.ids_BC.size(0)} streams, the ids of {input_ids_BT.size(0)}; "
                "make one with initial_state(batch) for each batch"
            )
        return self._run(input_ids_BT, state, window)

    def _run(self, ids_BT: Tensor, state: ModelState, window: int | None) -> tuple[Tensor, ModelState]:
        embedded = self._embed(ids_BT, state)
        x = x0 = embedded.x_BTD
        positions = self._positions(ids_BT, state, window, like=x)
        first_value: Tensor | None = None
        skips: list[Tensor] = []
        kept: list[KeyValues | MixerState] = []
        num_skips = 0 if self.skip_weights is None else self.skip_weights.size(0)
        # The first half of the runs leaves its outputs; the second half takes them, last first.
        for run, layer in enumerate(self.order):
            if self.skip_weights is not None and run >= num_skips and skips:
                x = x + self.skip_weights[run - num_skips].to(x.dtype) * skips.pop()
            if (
                self.engram is not None
                and embedded.memory_BTM is not None
                and str(layer) in self.engram.readers
            ):
                x = x + self.engram.read(layer, x, embedded.memory_BTM)
            out = self.blocks[layer](
                x,
                x0,
                positions,
                past=state.runs[run],
                value_embedding_BTC=embedded.values.get(layer),
                first_value_BKTE=first_value,
            )
            x = out.x_BTD
            if first_value is None:
                first_value = out.value_BKTE
            if run < num_skips:
                skips.append(x)
            kept.append(out.kept)
        # A window may be shorter than the longest n-gram: ids and keys are carried as far as either goes.
        carried = max(window or 0, self.config.mixed_ids_before, 1)
        ids_BC = torch.cat((state.ids_BC, ids_BT), dim=1)[:, -carried:]
        runs = tuple(each.last(carried) if isinstance(each, KeyValues) else each for each in kept)
        return rms_norm(x), ModelState(ids_BC, embedded.last_BD, runs)

    def _embed(self, ids_BT: Tensor, state: ModelState) -> Embedded:
        dtype, length = self.compute_dtype, ids_BT.size(1)
        x = F.embedding(ids_BT, self.tok_emb.weight).to(dtype)
        ids_BS = with_history(ids_BT, state.ids_BC, self.config.mixed_ids_before)
        if self.bigram is not None:
            x = x + self.bigram(ids_BS, length, dtype)
        x = rms_norm(x)
        last_BD = x[:, -1]
        if self.smear is not None:
            _, has_previous_BT = suffix(ids_BS, 2, length, self.config.bos_id)
            x = self.smear(x, state.embedding_BD, has_previous_BT)
        values = {} if self.value_embed is None else self.value_embed(ids_BT, dtype)
        memory = None if self.engram is None else self.engram.lookup(ids_BS, length, dtype)
        return Embedded(x, last_BD, values, memory)

    def _positions(self, ids_BT: Tensor, state: ModelState, window: int | None, like: Tensor) -> Positions:
        ids_BS = torch.cat((state.ids_BC, ids_BT), dim=1)
        config = self.config
        bos_id = config.bos_id if config.document_mask else None
        tables = self._rotary_tables(ids_BS.size(1), like)
        mask = visible(ids_BS, ids_BT.size(1), window=window, bos_id=bos_id)
        return Positions(tables, mask, None if bos_id is None else ids_BT == bos_id)

    def _rotary_tables(self, length: int, like: Tensor) -> RotaryTables:
        kept = self._kept_tables
        if kept is not None and length <= len(kept.cos_TR) and _alike(kept.cos_TR, like):
            return kept.first(length)
        return rotary_tables(
            length, self.config.rope_dims or self.config.head_dim, self.config.rope_base, like
        )

    def head(self, hidden_BTD: Tensor) -> Tensor:
        """Softcapped fp32 logits, of shape (B, T, V)."""
        return self._logits(hidden_BTD, self.tok_emb.weight if self.lm_head is None else self.lm_head.weight)

    def _logits(self, hidden_BTD: Tensor, weight_VD: Tensor) -> Tensor:
        logits_BTV = F.linear(hidden_BTD, weight_VD.to(hidden_BTD.dtype)).float()
        return self.config.logit_softcap * torch.tanh(logits_BTV / self.config.logit_softcap)

    def forward(self, input_ids_BT: Tensor) -> Tensor:
        """logits_BTV: at position t, the next token's logits given inputs 0..t and nothing later."""
        return self.head(self.hidden_states(input_ids_BT))

    def loss(
        self, input_ids_BT: Tensor, target_ids_BT: Tensor, reduction: Literal["mean", "none"] = "mean"
    ) -> Tensor:
        """Cross-entropy in nats: its mean, or with `reduction="none"` one value per token, shape (B, T).

        The mean has the weighted loss of the `mtp_heads` added while the model is in training mode.
        """
        hidden_BTD = self.hidden_states(input_ids_BT)
        logits_BTV = self.head(hidden_BTD)
        nats = F.cross_entropy(logits_BTV.flatten(0, 1), target_ids_BT.flatten(), reduction=reduction)
        if reduction == "none":
            return nats.view(target_ids_BT.shape)
        if self.training and self.config.mtp_heads:
            heads = [partial(self._logits, weight_VD=weight) for weight in self.mtp_heads.parameters()]
            ahead = mtp_loss(hidden_BTD, target_ids_BT, heads)
            if ahead is not None:
                nats = nats + self.config.mtp_loss_weight * ahead
        return nats


def _alike(x: Tensor, like: Tensor) -> bool:
    return x.device == like.device and x.dtype == like.dtype
