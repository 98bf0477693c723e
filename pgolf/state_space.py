"""A state-space mixer: linear attention whose memory forgets at a rate that the input sets (Mamba-2).

Each head keeps a matrix of fixed size. A token multiplies it by one number, adds key x value, and reads it
with its query:  M_t = a_t M_{t-1} + k_t (dt_t v_t)^T,  y_t = q_t M_t,  a_t = exp(-softplus(dt_t) exp(A)).
So a stream of any length costs memory that does not grow, and the carried matrix is the whole past.

`recurrent` is that sentence as code. `chunked` computes the same with matrix products: within a chunk as
attention with decays for weights, between chunks as the same recurrence over whole chunks.

Sources: Dao & Gu 2024, "Transformers are SSMs" (arXiv 2405.21060, listing 1 and section 7); hybrids of the
contest: pull requests #2066 and #1644 (Mamba-2 and 3 with few attention layers), #903, #1245. Ours differs
in that decays are summed in fp64 and that documents can be kept apart.

Shapes: B sequences, T positions, D model width, H heads, E head width (D / H), N memory rows (keys and
queries are this wide, and shared by the heads), C chunks, L positions of a chunk, K taps, W convolved channels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pgolf.layers import Linear, rms_norm

SHORTEST_MEMORY, LONGEST_MEMORY = 1.0, 1000.0
"""Tokens until a head's memory has fallen to 1/e, for the first and the last head of a new mixer."""
LOG_DECAY_FLOOR = -200.0
"""exp of it is zero in fp32 already; anything lower would only cost the running sums their precision."""
LARGEST_A_LOG = 80.0
"""exp of it, times any dt, is finite in fp32; past it a dt of zero would meet an infinity."""


class Mixed(NamedTuple):
    """What came out of a scan, and the memory after its last token."""

    y_BTHE: Tensor
    memory_BHNE: Tensor


class MixerState(NamedTuple):
    """All that a mixer remembers of a stream, in fp32. Zeros are the start of a stream."""

    conv_BKW: Tensor
    """Inputs of the convolution at the last K - 1 positions; those of an earlier document are zero."""
    memory_BHNE: Tensor


def recurrent(
    query_BTN: Tensor,
    key_BTN: Tensor,
    value_BTHE: Tensor,
    log_decay_BTH: Tensor,
    reset_BT: Tensor,
    memory_BHNE: Tensor,
) -> Mixed:
    """The reference: one token after the other. Where `reset_BT` is True the memory is emptied first."""
    outputs: list[Tensor] = []
    for t in range(query_BTN.size(1)):
        decay_BH11 = log_decay_BTH[:, t].exp()[..., None, None]
        memory_BHNE = torch.where(reset_BT[:, t, None, None, None], 0.0, decay_BH11 * memory_BHNE)
        memory_BHNE = (
            memory_BHNE + key_BTN[:, t, None, :, None].to(memory_BHNE.dtype) * value_BTHE[:, t, :, None]
        )
        outputs.append(torch.einsum("bn,bhne->bhe", query_BTN[:, t].to(memory_BHNE.dtype), memory_BHNE))
    y_BTHE = torch.stack(outputs, dim=1) if outputs else torch.zeros_like(value_BTHE)
    return Mixed(y_BTHE.to(value_BTHE.dtype), memory_BHNE)


def chunked(
    query_BTN: Tensor,
    key_BTN: Tensor,
    value_BTHE: Tensor,
    log_decay_BTH: Tensor,
    reset_BT: Tensor,
    memory_BHNE: Tensor,
    *,
    chunk: int,
) -> Mixed:
    """Same function as `recurrent`, in matrix products over chunks of `chunk` positions.

    Products run in the dtype of the values; decays and the memory are fp32. Work grows as T x chunk within
    chunks and as (T / chunk)^2 between them, so T up to some thousand times the chunk is a sensible call;
    cut longer streams and carry the memory.
    """
    batch, length, heads, width = value_BTHE.shape
    rows, dtype = query_BTN.size(-1), value_BTHE.dtype
    chunk = max(1, min(chunk, length))
    document_BT = reset_BT.cumsum(1)  # the memory that came in is of document 0
    # Padding neither decays nor adds, so the memory after it is the memory after the last token.
    padding = -length % chunk
    query_BTN, key_BTN, log_decay_BTH = (
        F.pad(x, (0, 0, 0, padding)) for x in (query_BTN, key_BTN, log_decay_BTH)
    )
    value_BTHE = F.pad(value_BTHE, (0, 0, 0, 0, 0, padding))
    document_BT = torch.cat((document_BT, document_BT[:, -1:].expand(batch, padding)), dim=1)
    chunks = (length + padding) // chunk

    query_BCLN = query_BTN.view(batch, chunks, chunk, rows)
    key_BCLN = key_BTN.view(batch, chunks, chunk, rows)
    value_BHCLE = value_BTHE.view(batch, chunks, chunk, heads, width).permute(0, 3, 1, 2, 4)
    log_decay_BHCL = log_decay_BTH.view(batch, chunks, chunk, heads).permute(0, 3, 1, 2)
    document_BCL = document_BT.view(batch, chunks, chunk)
    # Of the memory before the first chunk, then after each.
    last_document_BC = F.pad(document_BCL[..., -1], (1, 0))

    # Within a chunk: causal attention without a softmax, weighted by what is left of each token.
    inside_BHCLL = pairwise_decay(log_decay_BHCL, document_BCL[:, None])
    scores_BCLL = query_BCLN @ key_BCLN.mT
    y_BHCLE = (scores_BCLL[:, None] * inside_BHCLL).to(dtype) @ value_BHCLE

    # Between chunks: what each adds to the memory, then the recurrence over chunks as one product.
    left_BHCLE = (inside_BHCLL[..., -1, :, None] * value_BHCLE).to(dtype)
    added_BHCNE = (key_BCLN.mT[:, None] @ left_BHCLE).float()
    added_BHCNE = torch.cat((memory_BHNE[:, :, None].float(), added_BHCNE), dim=2)
    since_start_BHCL = log_decay_BHCL.double().cumsum(-1)
    across_BHCC = pairwise_decay(F.pad(since_start_BHCL[..., -1], (1, 0)), last_document_BC[:, None])
    memories_BHCNE = (across_BHCC @ added_BHCNE.flatten(3)).view_as(added_BHCNE)

    same_document_BCL = document_BCL == last_document_BC[:, :-1, None]
    entering_BHCL = since_start_BHCL.exp().float() * same_document_BCL[:, None]
    read_BHCLE = query_BCLN[:, None] @ memories_BHCNE[:, :, :-1].to(dtype)
    y_BHCLE = y_BHCLE + (entering_BHCL[..., None] * read_BHCLE).to(dtype)
    y_BTHE = y_BHCLE.permute(0, 2, 3, 1, 4).reshape(batch, length + padding, heads, width)[:, :length]
    return Mixed(y_BTHE, memories_BHCNE[:, :, -1])


def pairwise_decay(log_decay_L: Tensor, document_L: Tensor) -> Tensor:
    """What is left at position t of what position s added, shape (..., t, s), fp32.

    exp of the sum of log decays s+1..t; 0 for s after t or of another document. The sums are differences
    of one running sum. In fp32 a single large decay would blur all decays after it in the chunk (at a sum
    of 10,000 the spacing of fp32 is 0.001); in fp64 the difference is good to fp32's rounding.
    """
    sum_L = log_decay_L.double().cumsum(-1)
    length = log_decay_L.size(-1)
    past_LL = torch.ones(length, length, dtype=torch.bool, device=log_decay_L.device).tril()
    alive_LL = past_LL & (document_L[..., :, None] == document_L[..., None, :])
    # Masked before exp: a future pair's exp may be infinite, and its gradient would be NaN.
    return (sum_L[..., :, None] - sum_L[..., None, :]).float().masked_fill(~alive_LL, -math.inf).exp()


class StateSpaceMixer(nn.Module):
    """Takes the place of a block's attention. Needs no positions: order is in the decays.

    Queries, keys and values pass a short causal convolution; the output is gated, normalized and projected
    by a map that starts at zero. Parameters are fp32; the work runs in the dtype of the input.

    Args:
        model_dim: D, a multiple of `num_heads`.
        num_heads: H; each has its own decay and its own N x E memory.
        state_dim: N, the width of keys and queries.
        conv_width: K, positions that the convolution sees, the present one among them; 1 is no past.
        chunk: positions per chunk of the fast path; changes speed and rounding only.

    Raises:
        ValueError: a size below 1, or a width that the heads do not divide.
    """

    def __init__(
        self, model_dim: int, num_heads: int, *, state_dim: int = 64, conv_width: int = 4, chunk: int = 64
    ) -> None:
        super().__init__()
        sizes = {
            "model_dim": model_dim,
            "num_heads": num_heads,
            "state_dim": state_dim,
            "conv_width": conv_width,
            "chunk": chunk,
        }
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        if model_dim % num_heads:
            raise ValueError(f"model_dim {model_dim} must be a multiple of num_heads {num_heads}")
        self.num_heads = num_heads
        self.state_dim = state_dim
        self.chunk = chunk
        self.query = Linear(model_dim, state_dim)
        self.key = Linear(model_dim, state_dim)
        self.value = Linear(model_dim, model_dim)
        self.gate = Linear(model_dim, model_dim)
        self.dt = Linear(model_dim, num_heads)
        self.proj = Linear(model_dim, model_dim, zero_init=True)
        channels = 2 * state_dim + model_dim
        self.conv_taps = nn.Parameter(torch.empty(conv_width, channels).uniform_(-1, 1) / conv_width**0.5)
        # Memory lengths evenly spaced in log from shortest to longest: 1 / (softplus(dt) exp(A)), A at 0.
        lengths = torch.logspace(math.log10(SHORTEST_MEMORY), math.log10(LONGEST_MEMORY), num_heads)
        self.dt_bias = nn.Parameter(torch.log(torch.expm1(1 / lengths)))
        self.A_log = nn.Parameter(torch.zeros(num_heads))
        self.direct = nn.Parameter(torch.ones(num_heads))

    def initial_state(self, batch: int, device: torch.device | str | None = None) -> MixerState:
        """The state before the first token of `batch` streams."""
        past, channels = self.conv_taps.size(0) - 1, self.conv_taps.size(1)
        head_dim = self.proj.in_features // self.num_heads
        return MixerState(
            torch.zeros(batch, past, channels, device=device),
            torch.zeros(batch, self.num_heads, self.state_dim, head_dim, device=device),
        )

    def forward(
        self, x_BTD: Tensor, state: MixerState | None = None, reset_BT: Tensor | None = None
    ) -> tuple[Tensor, MixerState]:
        """(y_BTD, state after the last position).

        Without a state the stream starts here. Where `reset_BT` (bool) is True a new document starts:
        nothing from before that position reaches it or what follows.
        """
        batch, length, _ = x_BTD.shape
        dtype = x_BTD.dtype
        if state is None:
            state = self.initial_state(batch, x_BTD.device)
        if reset_BT is None:
            reset_BT = torch.zeros(batch, length, dtype=torch.bool, device=x_BTD.device)
        raw_BTW = torch.cat((self.query(x_BTD), self.key(x_BTD), self.value(x_BTD)), dim=-1)
        mixed_BTW, conv_BKW = self._convolve(raw_BTW, state.conv_BKW, reset_BT)
        query_BTN, key_BTN, value_BTD = torch.split(
            F.silu(mixed_BTW), [self.state_dim, self.state_dim, x_BTD.size(-1)], dim=-1
        )
        value_BTHE = value_BTD.reshape(batch, length, self.num_heads, -1)
        dt_BTH = F.softplus(self.dt(x_BTD).float() + self.dt_bias)
        log_decay_BTH = (-dt_BTH * self.A_log.clamp_max(LARGEST_A_LOG).exp()).clamp_min(LOG_DECAY_FLOOR)
        y_BTHE, memory_BHNE = chunked(
            query_BTN,
            key_BTN,
            (dt_BTH[..., None] * value_BTHE).to(dtype),
            log_decay_BTH,
            reset_BT,
            state.memory_BHNE,
            chunk=self.chunk,
        )
        y_BTHE = y_BTHE + self.direct.to(dtype)[:, None] * value_BTHE
        gated_BTD = rms_norm(y_BTHE.flatten(-2) * F.silu(self.gate(x_BTD)))
        return self.proj(gated_BTD), MixerState(conv_BKW, memory_BHNE)

    def _convolve(self, raw_BTW: Tensor, past_BKW: Tensor, reset_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Depthwise: each channel's weighted sum over its last K positions of the same document."""
        taps_KW = self.conv_taps.to(raw_BTW.dtype)
        length, past = raw_BTW.size(1), past_BKW.size(1)
        padded_BTW = torch.cat((past_BKW.to(raw_BTW.dtype), raw_BTW), dim=1)
        # What is carried is of document 0 or zero.
        document_BT = F.pad(reset_BT.cumsum(1), (past, 0))
        mixed_BTW = taps_KW[0] * raw_BTW
        for back in range(1, past + 1):
            earlier = slice(past - back, past - back + length)
            same_BT = document_BT[:, earlier] == document_BT[:, past:]
            mixed_BTW = mixed_BTW + taps_KW[back] * (padded_BTW[:, earlier] * same_BT[..., None])
        kept_BK = document_BT[:, length:] == document_BT[:, -1:]
        return mixed_BTW, (padded_BTW[:, length:] * kept_BK[..., None]).float()
