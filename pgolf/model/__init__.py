"""The GPT of the contest: the naive baseline, and each technique of its best entries as one setting."""

from pgolf.model.config import GPTConfig
from pgolf.model.gpt import GPT
from pgolf.model.parameters import CONTROL_TENSORS, EMBEDDING_TABLES, parameter_role
from pgolf.model.state import ModelState

__all__ = ["CONTROL_TENSORS", "EMBEDDING_TABLES", "GPT", "GPTConfig", "ModelState", "parameter_role"]
