"""Stands in for the flash_attn package on a machine that has none: torch's own attention, same arguments.

A folder to put on PYTHONPATH for a contest's script, never imported by ours.
"""

import torch.nn.functional as F


def flash_attn_func(q_BTHE, k_BTKE, v_BTKE, causal=False):
    q, k, v = (x.transpose(1, 2) for x in (q_BTHE, k_BTKE, v_BTKE))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=q.size(1) != k.size(1))
    return y.transpose(1, 2)
