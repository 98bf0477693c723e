"""A small random model, a byte table, and streams of documents."""

import numpy as np
import torch

from pgolf.bytes import ByteTable
from pgolf.model import GPT, GPTConfig

VOCAB = 48
BOS = 1
TABLE = ByteTable(
    base_bytes_V=np.arange(VOCAB, dtype=np.int64) % 4 + 1,
    has_leading_space_V=np.arange(VOCAB) % 3 == 0,
    is_boundary_V=np.arange(VOCAB) < 4,
)


def random_model(seed=0, **changes):
    torch.manual_seed(seed)
    shape = {"vocab_size": VOCAB, "num_layers": 2, "model_dim": 16, "num_heads": 2, "num_kv_heads": 1}
    model = GPT(GPTConfig(**{**shape, **changes}))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def documents(length, seed=0, mean=25):
    """Random tokens with repeats worth learning, cut by BOS about every `mean` tokens."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(2, VOCAB, length)
    phrase = rng.integers(2, VOCAB, 12)
    for at in range(0, length - 12, 20):
        tokens[at : at + 12] = phrase
    tokens[rng.random(length) < 1 / mean] = BOS
    return tokens.astype(np.uint16)
