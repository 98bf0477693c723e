"""What a script is made of, in the field's own words, for a reader who compares two.

Names alone: a word counts where live code mentions it, as a name, an attribute or a function. Nothing here
is evidence for or against a rule, and a name is no proof that what it names is on.
"""

from __future__ import annotations

import re

from verifier.static import Source

WORDS: tuple[tuple[str, str], ...] = (
    ("test-time training", r"ttt"),
    ("LoRA at test time", r"lora"),
    ("phased test-time training", r"phased?"),
    (
        "SLOT",
        r"(?:eval|val|use|run|causal|sliding)_slot|slot_(?:lr|steps?|enabled?|delta|wd|iters?|optimi[sz]\w*)",
    ),
    ("logit bias at test time", r"etlb"),
    ("n-gram cache", r"n_?grams?"),
    ("byte PPM", r"ppmd?"),
    ("hedge mixing", r"hedge"),
    ("sliding window", r"sliding"),
    ("GPTQ", r"gptq"),
    ("quantization-aware training", r"qat|ste"),
    ("ternary weights", r"ternary|bitnet|bitlinear"),
    ("weight average", r"ema|swa|lawa"),
    ("Muon", r"n?o?r?muon|newtonschulz\d*"),
    ("shared or looped layers", r"recurrence|recurrent|recur|loops?_layers?|looped|num_loops?"),
    ("parallel residuals", r"parallel_(?:residuals?|start\w*|lanes?)"),
    ("XSA", r"xsa"),
    ("SmearGate", r"smear(?:_?gate)?"),
    ("bigram hash", r"bigram|trigram|engram"),
    ("value embeddings", r"value_embed\w*|ve_layers?|value_residual"),
    ("gated attention", r"attn_gate|gated_attn|gated_attention|attn_out_gate"),
    ("U-net skips", r"skip_weights?|skip_gates?"),
    ("multi-token prediction", r"mtp"),
    ("state space", r"mamba\d?|ssm|selective_scan\w*"),
    ("delta rule", r"gdn|delta_?net|gated_delta\w*|deltanet"),
    ("JEPA", r"jepa"),
    ("diffusion", r"diffusion|denois\w+"),
    ("case operators", r"caseops|case_ops"),
    ("brotli", r"brotli"),
    ("LZMA", r"lzma"),
    ("zstd", r"zstd|zstandard"),
    ("lrzip", r"lrzip"),
)
"""Technique and pattern; a pattern matches between underscores of a name in snake case."""


def techniques(source: Source | None) -> tuple[str, ...]:
    """Those that the live source names, in the order of `WORDS`; none where there is no source."""
    if source is None:
        return ()
    program = source.program
    names = {*program.names, *(function.name for function in program.functions)}
    names |= {function.class_name for function in program.functions if function.class_name}
    text = " ".join(sorted(_snake(name) for name in names))
    return tuple(word for word, pattern in WORDS if re.search(rf"(?:\b|_)(?:{pattern})(?:\b|_)", text))


def _snake(name: str) -> str:
    """`SmearGate` as `smear_gate`, `CausalLMTTT` as `causal_lmttt`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
