"""From a trained model to a counted artifact and back, with the contest's log lines.

The score that counts is that of the model as read back from the artifact (R-012): `read_back` builds it from
the file alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pgolf.artifact import Artifact, Scheme, load_artifact, model_state, pack, scored_config, write_artifact
from pgolf.compress.prune import prune_to_fit
from pgolf.compress.state import Quantizer, StoredTensor
from pgolf.evaluate.score import Evaluation
from pgolf.model import GPT
from pgolf.runtime import place
from pgolf.size import CAP_BYTES, SizeReport, count_code
from pgolf.train import Log


@dataclass(frozen=True)
class PruneConfig:
    """Selective pruning down to the cap, for a model that is a little too large for it."""

    cap_bytes: int = CAP_BYTES
    slack_bytes: int = 8_192
    """Bytes under the cap that are not worth compressing the model once more for."""
    hessians: Mapping[str, Tensor] | None = None
    """Those that GPTQ used: they tell which values matter."""


def export_model(
    model: GPT,
    path: Path,
    *,
    code_bytes: int,
    train_seq_len: int,
    log: Log,
    scheme: Scheme = Scheme.INT8_ZLIB,
    quantizer: Quantizer | None = None,
    prune: PruneConfig | None = None,
    others: Iterable[Path] = (),
) -> SizeReport:
    """Write the artifact and log its sizes. Call `.check()` on the result to enforce the cap.

    `quantizer` replaces the scheme's rounding to nearest; for GPTQ it is `quantize_state` with Hessians.
    `others` are more files that the evaluation opens; they count as part of the model.

    Raises:
        ArtifactTooLarge: `prune` is given, and even with all that it may zero the model does not fit.
    """
    tensors = (scheme.quantize if quantizer is None else quantizer)(model_state(model))

    def packed(tensors: Mapping[str, StoredTensor]) -> bytes:
        return pack(Artifact(scored_config(model), tensors, train_seq_len), scheme.codec)

    if prune is not None:
        pruned = prune_to_fit(
            tensors,
            lambda tried: code_bytes + len(packed(tried)),
            prune.cap_bytes,
            hessians=prune.hessians,
            slack_bytes=prune.slack_bytes,
        )
        log(str(pruned))
        tensors = pruned.tensors
    data = packed(tensors)
    write_artifact(path, data)
    report = SizeReport(code_bytes=code_bytes, model_bytes=len(data) + count_code(others))
    fp32_bytes = 4 * model.num_parameters()
    log(f"Code size: {report.code_bytes} bytes")
    log(
        f"Serialized model {scheme}: {report.model_bytes} bytes "
        f"(fp32:{fp32_bytes} ratio:{fp32_bytes / report.model_bytes:.2f}x)"
    )
    log(f"Total submission size {scheme}: {report.total_bytes} bytes")
    return report


def read_back(path: Path, device: torch.device) -> GPT:
    """The model that the artifact holds, ready to score on `device`."""
    return place(load_artifact(path).build_model(), device).eval()


def log_final(evaluation: Evaluation, log: Log, scheme: Scheme = Scheme.INT8_ZLIB) -> None:
    """The contest's last two lines; the second one is the score."""
    label = f"final_{scheme.label}_roundtrip"
    log(f"{label} {evaluation.score} eval_time:{1000 * evaluation.seconds:.0f}ms")
    log(f"{label}_exact {evaluation.score.exact()}")
