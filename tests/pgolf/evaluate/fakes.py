"""A small random model, a byte table, and streams of documents."""

from typing import NamedTuple

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


class CarryingState(NamedTuple):
    memory_BD: torch.Tensor
    keys_BCD: torch.Tensor

    def without_keys(self):
        return self._replace(keys_BCD=self.keys_BCD[:, :0])


class CarryingGPT(GPT):
    """A memory that decays and "attention" that averages what it sees: state that is easy to follow."""

    def initial_state(self, batch):
        width = self.config.model_dim
        return CarryingState(torch.zeros(batch, width), torch.zeros(batch, 0, width))

    def hidden_states(self, input_ids_BT):
        return self.hidden_states_from(
            input_ids_BT, self.initial_state(len(input_ids_BT)), input_ids_BT.size(1)
        )[0]

    def hidden_states_from(self, input_ids_BT, state, window):
        x_BTD = self.tok_emb(input_ids_BT)
        memory_BD, hidden = state.memory_BD, []
        keys_BSD = torch.cat((state.keys_BCD, x_BTD), dim=1)
        for t in range(x_BTD.size(1)):
            memory_BD = 0.8 * memory_BD + x_BTD[:, t]
            end = state.keys_BCD.size(1) + t + 1
            hidden.append(memory_BD + keys_BSD[:, max(0, end - window) : end].mean(1))
        return torch.stack(hidden, dim=1), CarryingState(memory_BD, keys_BSD[:, -window:])


def random_model(seed=0, kind=GPT, **changes):
    torch.manual_seed(seed)
    shape = {"vocab_size": VOCAB, "num_layers": 2, "model_dim": 16, "num_heads": 2, "num_kv_heads": 1}
    model = kind(GPTConfig(**{**shape, **changes}))
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
