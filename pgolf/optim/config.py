"""The settings of all optimizers of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pgolf.optim.muon import Variant
from pgolf.optim.orthogonal import Coefficients

WarmdownShape = Literal["linear", "cosine"]


@dataclass(frozen=True)
class OptimizerConfig:
    """Rates, moments and schedule; the defaults are the contest's naive baseline."""

    embed_lr: float = 0.6
    """Token embedding, when the head has its own weights."""
    tied_embed_lr: float = 0.05
    """Token embedding, when it is also the head."""
    table_lr: float | None = None
    """Other embedding tables (hashed n-grams, value embeddings); None: as the token embedding."""
    head_lr: float = 0.008
    """Untied head and multi-token prediction heads."""
    matrix_lr: float = 0.04
    scalar_lr: float = 0.04
    embed_weight_decay: float = 0.0
    """Token embedding and other tables. All decays are decoupled: a step shrinks weights by rate x decay."""
    head_weight_decay: float = 0.0
    matrix_weight_decay: float = 0.0
    scalar_weight_decay: float = 0.0
    muon_variant: Variant = "muon"
    muon_coefficients: Coefficients = "quintic"
    muon_momentum: float = 0.95
    muon_momentum_warmup_start: float = 0.85
    muon_momentum_warmup_steps: int = 500
    muon_backend_steps: int = 5
    muon_beta2: float = 0.95
    """Second moments of NorMuon, Kronecker factors of Mousse."""
    mousse_alpha: float = 0.125
    mousse_every: int = 10
    """Steps between eigendecompositions."""
    parallel_muon: bool = True
    """Ranks share the orthogonalization; False: every rank does all of it, with the same result."""
    compile_muon: bool = False
    """Compile the orthogonalization, once for each shape of matrix; worth it on a GPU."""
    beta1: float = 0.9
    beta2: float = 0.95
    adam_eps: float = 1e-8
    grad_clip_norm: float = 0.0
    """Largest norm of all gradients together; 0 is no clipping."""
    warmdown_iters: int = 1200
    warmdown_frac: float = 0.0
    """Share of the run over which rates fall; 0: `warmdown_iters` says."""
    warmdown_shape: WarmdownShape = "linear"
    min_lr_scale: float = 0.0
    """Where the warmdown ends, as a share of the full rate."""

    def __post_init__(self) -> None:
        for name in (
            *("embed_lr", "tied_embed_lr", "head_lr", "matrix_lr", "scalar_lr", "grad_clip_norm"),
            *("embed_weight_decay", "head_weight_decay", "matrix_weight_decay", "scalar_weight_decay"),
            *("muon_momentum_warmup_steps", "warmdown_iters"),
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.table_lr is not None and self.table_lr < 0:
            raise ValueError(f"table_lr must not be negative, got {self.table_lr}")
        for name in ("muon_momentum", "muon_momentum_warmup_start", "beta1", "beta2", "muon_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        for name in ("warmdown_frac", "min_lr_scale", "mousse_alpha"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        choices = {
            "muon_variant": Variant,
            "muon_coefficients": Coefficients,
            "warmdown_shape": WarmdownShape,
        }
        for name, known in choices.items():
            if getattr(self, name) not in get_args(known):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; expected one of {', '.join(get_args(known))}"
                )
        if self.muon_backend_steps < 1 or self.mousse_every < 1 or self.adam_eps <= 0:
            raise ValueError(
                f"muon_backend_steps {self.muon_backend_steps} and mousse_every {self.mousse_every} must be "
                f">= 1, adam_eps {self.adam_eps} > 0"
            )
