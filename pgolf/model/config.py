"""The shape of a GPT as one flat frozen dataclass: which techniques it has, and how large each is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

Activation = Literal["relu2", "leaky_relu2"]


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT; the defaults are the contest's naive baseline, every later technique off."""

    vocab_size: int = 1024
    num_layers: int = 9
    model_dim: int = 512
    num_heads: int = 8
    num_kv_heads: int = 4
    """Heads of keys and values; each serves num_heads / num_kv_heads heads of queries."""
    mlp_mult: int = 2
    tie_embeddings: bool = True
    tied_embed_init_std: float = 0.005
    logit_softcap: float = 30.0
    rope_base: float = 10_000.0
    qk_gain_init: float = 1.5
    rope_dims: int = 0
    """Channels of each head that positions turn, the first ones; 0 turns all (partial RoPE, #315)."""
    mlp_activation: Activation = "relu2"
    """Squared ReLU, or the square of a leaky ReLU of slope 0.5 (#493)."""
    unet_skips: bool = True
    """Add the outputs of the first half of the layers to the inputs of the second half, last first."""
    value_residual: bool = False
    """Add the first attention's values to every later one's through a learned gate (#413, #569)."""
    value_embed_dim: int = 0
    """Width of a table of embeddings that is added to the values of `value_embed_layers`; 0 is none (#374)."""
    value_embed_layers: tuple[int, ...] = ()
    xsa_last_n: int = 0
    """The last layers whose heads drop what points along the position's own value (XSA, #265)."""
    gated_attention: bool = False
    """A sigmoid gate per head, computed from the layer's input (#413)."""
    smear_gate: bool = False
    """Mix the previous token's embedding into each (#65)."""
    bigram_vocab_size: int = 0
    """Rows of the hashed bigram table; 0 is none (#162)."""
    bigram_dim: int = 128
    engram_layers: tuple[int, ...] = ()
    """Layers that read the hashed n-gram memory; none is no memory (Engram, #1089)."""
    engram_orders: tuple[int, ...] = (2, 3)
    """Lengths of the n-grams, the current token included."""
    engram_heads: int = 2
    """Hash functions per order: two n-grams seldom collide in all."""
    engram_buckets: int = 3072
    """Rows per order and head."""
    engram_dim: int = 32
    """Width of a row."""
    ln_scale: bool = False
    """Divide the inputs of a layer's attention and MLP by sqrt(layer + 1) (#315)."""
    loop_start: int = 0
    loop_end: int = 0
    loop_count: int = 1
    """Run layers loop_start..loop_end (inclusive) this many times, with shared weights (#1204, #1394)."""
    parallel_from: int | None = None
    """From this layer on, attention and MLP read the same input (GPT-J's parallel residuals, #1412)."""
    mtp_heads: int = 0
    """Heads that predict the tokens after the next one, in training only (#1430)."""
    mtp_loss_weight: float = 0.1
    document_mask: bool = False
    """Attend within the document only, and empty the memory of `ssm_layers` where one begins (#1530)."""
    bos_id: int = 1
    """The token that begins a document: nothing mixes tokens or attends across it where documents count."""
    ssm_layers: tuple[int, ...] = ()
    """Layers that have a state-space mixer in the place of attention (Mamba-2; #2066, #1644)."""

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_layers()
        if self.mlp_activation not in ("relu2", "leaky_relu2"):
            raise ValueError(f"mlp_activation must be relu2 or leaky_relu2, got {self.mlp_activation!r}")
        if self.model_dim % (2 * self.num_heads):
            raise ValueError(
                f"model_dim {self.model_dim} must be a multiple of 2 x num_heads ({2 * self.num_heads}): "
                "rotary positions turn pairs of a head's channels"
            )
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads {self.num_heads} must be a multiple of num_kv_heads {self.num_kv_heads}"
            )
        if self.rope_dims % 2 or self.rope_dims > self.head_dim:
            raise ValueError(f"rope_dims must be even and at most {self.head_dim}, got {self.rope_dims}")
        if bool(self.value_embed_dim) != bool(self.value_embed_layers):
            raise ValueError(
                f"value_embed_dim {self.value_embed_dim} and value_embed_layers {self.value_embed_layers} "
                "go together: set both or neither"
            )
        if not self.engram_orders or min(self.engram_orders) < 2:
            raise ValueError(f"engram_orders must be lengths of at least 2, got {self.engram_orders}")
        if self.bigram_vocab_size == 1:
            raise ValueError(
                "bigram_vocab_size must be 0 or at least 2, got 1: its last row is for no bigram"
            )
        if (self.document_mask or self.mixed_ids_before) and not 0 <= self.bos_id < self.vocab_size:
            raise ValueError(f"bos_id must be a token, 0..{self.vocab_size - 1}, got {self.bos_id}")

    def _check_sizes(self) -> None:
        for name in ("vocab_size", "num_layers", "model_dim", "num_heads", "num_kv_heads", "mlp_mult"):
            self._check_least(name, 1)
        for name in ("bigram_dim", "engram_heads", "engram_buckets", "engram_dim", "loop_count"):
            self._check_least(name, 1)
        for name in ("rope_dims", "value_embed_dim", "xsa_last_n", "bigram_vocab_size", "mtp_heads"):
            self._check_least(name, 0)
        for name in ("logit_softcap", "rope_base", "tied_embed_init_std"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.mtp_loss_weight < 0:
            raise ValueError(f"mtp_loss_weight must not be negative, got {self.mtp_loss_weight}")

    def _check_least(self, name: str, least: int) -> None:
        if getattr(self, name) < least:
            raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")

    def _check_layers(self) -> None:
        layers = range(self.num_layers)
        for name in ("value_embed_layers", "engram_layers", "ssm_layers"):
            chosen: tuple[int, ...] = getattr(self, name)
            if len(set(chosen)) != len(chosen) or any(layer not in layers for layer in chosen):
                raise ValueError(f"{name} must be distinct layers of 0..{layers[-1]}, got {chosen}")
        if not 0 <= self.loop_start <= self.loop_end < self.num_layers:
            raise ValueError(
                f"loop_start {self.loop_start} and loop_end {self.loop_end} must be ordered layers of 0..{layers[-1]}"
            )
        if self.xsa_last_n > self.num_layers:
            raise ValueError(f"xsa_last_n {self.xsa_last_n} is more than num_layers {self.num_layers}")
        if self.parallel_from is not None and self.parallel_from not in layers:
            raise ValueError(f"parallel_from must be a layer of 0..{layers[-1]}, got {self.parallel_from}")
        both = set(self.value_embed_layers) & set(self.ssm_layers)
        if both:
            raise ValueError(f"value_embed_layers {sorted(both)} are ssm_layers, which have no values")

    @property
    def head_dim(self) -> int:
        return self.model_dim // self.num_heads

    @property
    def mixed_ids_before(self) -> int:
        """How many earlier tokens the embeddings of a position look at."""
        pair = 1 if self.bigram_vocab_size or self.smear_gate else 0
        return max(pair, max(self.engram_orders) - 1 if self.engram_layers else 0)

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
        kinds = {field.name: str(field.type) for field in fields(cls)}
        for name, value in values.items():
            if name not in kinds:
                raise ValueError(f"unknown model setting {name!r}; known: {', '.join(kinds)}")
            if not _is_of_kind(value, kinds[name]):
                raise ValueError(f"model setting {name} is {value!r}; expected {kinds[name]}")
        settings: dict[str, Any] = {n: tuple(v) if type(v) is list else v for n, v in values.items()}
        return cls(**settings)


def _is_of_kind(value: object, kind: str) -> bool:
    """Whether a JSON value suits a field's annotation; exactly, as JSON's true is Python's 1."""
    if kind == "tuple[int, ...]":
        return isinstance(value, list | tuple) and all(type(item) is int for item in value)
    if kind == "int | None":
        return value is None or type(value) is int
    if kind == "float":
        return type(value) in (float, int)
    return type(value) is {"int": int, "bool": bool}.get(kind, str)
