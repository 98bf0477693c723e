"""One submission's run: open data, train, write the artifact, read it back, score, with the contest's lines.

The steps are separate so that a `train_gpt.py` shows what it does between them and in which order. The
script reads its own environment and passes the values on; nothing here looks at the environment.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pgolf.artifact import Scheme
from pgolf.bytes import ByteCounter
from pgolf.compress import Quantizer
from pgolf.dataset import Dataset, byte_counter, require_dataset
from pgolf.evaluate import Evaluation, Score, evaluate_plain
from pgolf.export import export_model, log_final, read_back
from pgolf.loader import TokenLoader
from pgolf.model import GPT, GPTConfig
from pgolf.optim import OptimizerConfig
from pgolf.runlog import RunLog
from pgolf.runtime import pick_device, place
from pgolf.shards import read_stream
from pgolf.tokenizer import Tokenizer, load_tokenizer
from pgolf.train import TrainConfig, TrainResult, train

LOGS = Path("logs")
ARTIFACT = Path("final_model.pgolf")


@dataclass(frozen=True)
class RunSettings:
    """Everything that a run is told. `from_mapping` makes it from flat names."""

    data_path: Path
    """Folder of `fineweb_train_*.bin` and `fineweb_val_*.bin`."""
    tokenizer_path: Path
    run_id: str
    """Names the log file."""
    seed: int
    val_batch_size: int
    """Tokens that are scored together."""
    eval_seq_len: int
    eval_stride: int
    """New tokens of each window of the final evaluation."""
    model: GPTConfig
    train: TrainConfig
    scheme: Scheme = Scheme.INT8_ZLIB
    """Bits and compressor of the artifact."""

    def __post_init__(self) -> None:
        for name in ("val_batch_size", "eval_seq_len", "eval_stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def eval_batch_windows(self) -> int:
        return max(1, self.val_batch_size // self.eval_seq_len)

    @property
    def windows(self) -> dict[str, int]:
        """How the final evaluation cuts the stream: keyword arguments of `evaluate_sliding` and its like."""
        return {
            "seq_len": self.eval_seq_len,
            "stride": self.eval_stride,
            "batch_windows": self.eval_batch_windows,
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> RunSettings:
        """Sort flat settings, such as `vars(Hyperparameters)`, into the configs whose fields they name.

        Names that start with an underscore are skipped. What is not named keeps its config's default.

        Raises:
            ValueError: a name that no config has, a missing one, or a value that its config refuses.
        """
        unused = {name: value for name, value in values.items() if not name.startswith("_")}

        def take(config: type[Any]) -> dict[str, Any]:
            names = [field.name for field in dataclasses.fields(config) if field.name in unused]
            return {name: unused.pop(name) for name in names}

        model = GPTConfig(**take(GPTConfig))
        optimizer = OptimizerConfig(**take(OptimizerConfig))
        training = TrainConfig(**take(TrainConfig), optimizer=optimizer)
        own = take(cls)
        if unused:
            raise ValueError(f"unknown settings: {', '.join(unused)}; no config has a field of that name")
        missing = {field.name for field in dataclasses.fields(cls)} - {*own, "model", "train", "scheme"}
        if missing:
            raise ValueError(f"missing settings: {', '.join(sorted(missing))}")
        own["data_path"], own["tokenizer_path"] = Path(own["data_path"]), Path(own["tokenizer_path"])
        return cls(**own, model=model, train=training)


@dataclass(frozen=True)
class Run:
    """An open run. `open_run` makes it."""

    settings: RunSettings
    code: str
    """The script's source: counted against the cap, and named by its hash in the log."""
    device: torch.device
    dataset: Dataset
    sp: Tokenizer
    table: ByteCounter
    val_tokens: NDArray[np.uint16]
    loader: TokenLoader
    model: GPT
    """The model in training. What counts is its copy from `read_back`."""
    log: RunLog
    artifact: Path

    def train(self) -> TrainResult:
        """Train the model until `iterations` or the wallclock cap, with validation as the settings say."""
        return train(self.model, self.loader, self.settings.train, log=self.log, validate=self.validate)

    def validate(self) -> Score:
        """The model's plain score, as logged between steps."""
        seq_len = self.settings.train.train_seq_len
        windows = max(1, self.settings.val_batch_size // seq_len)
        return evaluate_plain(
            self.model, self.val_tokens, self.table, seq_len=seq_len, batch_windows=windows
        ).score

    def export(self, *, quantizer: Quantizer | None = None, others: Iterable[Path] = ()) -> None:
        """Write the model's artifact and log its size; `ArtifactTooLarge` when it is over the cap.

        `quantizer` takes the place of rounding to nearest. `others` are more files that the evaluation
        opens; they count as part of the model.
        """
        report = export_model(
            self.model,
            self.artifact,
            code_bytes=len(self.code.encode()),
            train_seq_len=self.settings.train.train_seq_len,
            log=self.log,
            scheme=self.settings.scheme,
            quantizer=quantizer,
            others=others,
        )
        report.check()

    def read_back(self) -> GPT:
        """The model that the artifact holds; the only one that may be scored (R-012)."""
        return read_back(self.artifact, self.device)

    def report(self, evaluation: Evaluation) -> None:
        """Log the score, in the contest's last two lines."""
        log_final(evaluation, self.log, self.settings.scheme)


@contextmanager
def open_run(settings: RunSettings, script: Path) -> Iterator[Run]:
    """Open data, model and log for the script at `script`; the log is closed at the end.

    Raises:
        ValueError, OSError: data, tokenizer or settings that do not fit each other.
    """
    code = script.read_text(encoding="utf-8")
    device = pick_device()
    dataset = require_dataset(settings.data_path, settings.tokenizer_path)
    sp = load_tokenizer(dataset.tokenizer_path)
    vocab_size = settings.model.vocab_size
    if sp.vocab_size() != vocab_size:
        raise ValueError(f"VOCAB_SIZE={vocab_size}, but {dataset.tokenizer_path} has {sp.vocab_size()} ids")
    val_tokens = read_stream(dataset.val_pattern, vocab_size=vocab_size)
    loader = TokenLoader(dataset.train_pattern, device=device, vocab_size=vocab_size)
    torch.manual_seed(settings.seed)
    model = place(GPT(settings.model), device)
    with RunLog(LOGS / f"{settings.run_id}.txt") as log:
        log.source(code)
        log(f"seed:{settings.seed} model_params:{model.num_parameters()} device:{device.type}")
        log(f"train_shards:{len(loader.paths)} val_tokens:{len(val_tokens) - 1}")
        yield Run(
            settings,
            code,
            device,
            dataset,
            sp,
            byte_counter(dataset, sp, val_tokens, vocab_size),
            val_tokens,
            loader,
            model,
            log,
            ARTIFACT,
        )


def main(script: Callable[[], None]) -> None:
    """Run a script's main function; bad input ends it with one line instead of a traceback."""
    try:
        script()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
