"""From a trained model to a counted artifact and back, with the contest's log lines.

The score that counts is that of the model as read back from the artifact (R-012): `read_back` builds it from
the file alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from pgolf.artifact import Scheme, load_artifact, save_artifact
from pgolf.compress import Quantizer
from pgolf.evaluate.score import Evaluation
from pgolf.model import GPT
from pgolf.runtime import place
from pgolf.size import SizeReport
from pgolf.train import Log


def export_model(
    model: GPT,
    path: Path,
    *,
    code_bytes: int,
    train_seq_len: int,
    log: Log,
    scheme: Scheme = Scheme.INT8_ZLIB,
    quantizer: Quantizer | None = None,
    others: Iterable[Path] = (),
) -> SizeReport:
    """Write the artifact and log its sizes, those of `others` included. `.check()` the result for the cap.

    `quantizer` takes the place of the scheme's rounding to nearest.
    """
    model_bytes = save_artifact(path, model, scheme, train_seq_len=train_seq_len, quantizer=quantizer)
    model_bytes += sum(other.stat().st_size for other in others)
    report = SizeReport(code_bytes=code_bytes, model_bytes=model_bytes)
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
