"""What each parameter is: a matrix, an embedding table, the head, or a small tensor that steers the others.

Optimizers and quantizers treat the four differently and go by the parameter's name, as the contest's do.
"""

from __future__ import annotations

from typing import Literal

CONTROL_TENSORS = (
    "attn_scale",
    "mlp_scale",
    "resid_mix",
    "q_gain",
    "skip_weights",
    "value_gate",
    "head_gate",
    "layer_scales",
    "smear.gate",
    "bigram.scale",
    "conv_taps",
    "dt_bias",
    "A_log",
    "attn.direct",
)
"""Small tensors that steer the others, by a part of their names: trained by Adam, never quantized."""

EMBEDDING_TABLES = (
    "tok_emb.weight",
    "bigram.table.weight",
    "engram.table.weight",
    "value_embed.table.weight",
)
"""Tables looked up by token or by hash, by their whole names: a gradient touches few rows, so Adam."""

HEADS = ("lm_head.", "mtp_heads.")
"""Maps from the hidden state to the vocabulary, by the start of their names: Adam, as the contest's root script."""

Role = Literal["matrix", "embedding", "head", "control"]


def parameter_role(name: str, ndim: int) -> Role:
    """The role of the parameter `name` of a GPT, which has `ndim` dimensions."""
    if name in EMBEDDING_TABLES:
        return "embedding"
    if name.startswith(HEADS):
        return "head"
    if ndim != 2 or any(control in name for control in CONTROL_TENSORS):
        return "control"
    return "matrix"
