"""What a decode proof recorded: the bits that the encoder wrote, and the tokens that the decoder made of them.

A submission exposes a predictor when the top level of its script, or of a file `predictor.py` beside it, has

    ARTIFACT = "final_model.pgolf"      # a literal: the file that a run writes into its working directory

    def predictor(artifact: Path, tokenizer: Path, predictions: int) -> Predictor: ...

where importing the file trains nothing, and what `predictor` returns follows the step protocol
(`pgolf.evaluate.Predictor`) over a stream of `predictions + 1` tokens, with the numbers that the script's own
evaluation gives. It may read the artifact, the tokenizer and the files of the folder.

What the children wrote is parsed as untrusted data. A submission shares its process with the coder, so
two facts alone do not rest on its word: how many bytes left the encoder, and which tokens the decoder,
which never had the stream, printed.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from verifier.intake.syntax import Broken, syntax_of
from verifier.submission import Script

BESIDE = "predictor.py"
PRECISION_BITS, MASS_ERROR, FLUSH_BITS = 24, 1e-3, 64
"""As in `pgolf.coder`, which is not imported here: an audit of documents must not wait for torch."""


@dataclass(frozen=True)
class Exposed:
    """What a submission says about its predictor."""

    file: str
    """Path in the folder."""
    artifact: str | None
    """Path in the working directory; None where `ARTIFACT` is no literal, or leads out of the directory."""
    line: int
    """Of the function."""


@dataclass(frozen=True)
class Encoding:
    """One run of the encoder."""

    bitstream: bytes = field(default=b"", repr=False)
    nats: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), repr=False)
    """-ln p of each token; entry 0 belongs to stream position 1."""
    error: str = ""
    """One line on why it did not finish; empty when it did."""
    total: float | None = None
    """What a refused distribution sums to, and `position` where."""
    position: int | None = None
    seconds: float = 0.0

    @property
    def bits(self) -> int:
        return 8 * len(self.bitstream)

    @property
    def model_bits(self) -> float:
        """The sum of -log2 p."""
        return float(self.nats.sum()) / math.log(2)


@dataclass(frozen=True)
class Decoded:
    """One run of the decoder."""

    ids: NDArray[np.int64] = field(repr=False)
    """As far as it came; entry 0 is the first token, which it was told."""
    error: str = ""
    seconds: float = 0.0

    def first_difference(self, ids: NDArray[np.int64]) -> int | None:
        """The stream position of the first token that is not the stream's; None where all that came are."""
        differs = np.flatnonzero(self.ids != ids[: self.ids.size])
        return int(differs[0]) if differs.size else None


@dataclass(frozen=True)
class Decoding:
    """A decode proof, as far as it came. A second run of each kind is there where the first ones disagree."""

    tokens: int
    """How many tokens were to be coded."""
    why: str = ""
    """Why nothing was coded; empty when something was."""
    exposed: Exposed | None = None
    artifact_bytes: int = 0
    encodings: tuple[Encoding, ...] = ()
    decodings: tuple[Decoded, ...] = ()
    apart: bool = True
    """Whether nothing but the bits could pass from the encoder to the decoder."""


def exposed_predictor(folder: Path, script: Script) -> Exposed | None:
    """The predictor of a submission, read without executing anything; the file beside the script comes first."""
    beside = (PurePosixPath(script.path).parent / BESIDE).as_posix()
    path = folder / beside
    source = path.read_text(errors="replace") if path.is_file() else ""
    return read_exposed(beside, source) or read_exposed(script.path, script.source)


def read_exposed(file: str, source: str) -> Exposed | None:
    """What the top level of one file says; None where it defines no predictor or does not parse."""
    syntax = syntax_of(source)
    if isinstance(syntax, Broken):
        return None
    artifact: str | None = None
    line: int | None = None
    for node in syntax.tree.body:
        match node:
            case ast.FunctionDef(name="predictor"):
                line = node.lineno
            case ast.Assign(targets=[ast.Name(id="ARTIFACT")], value=ast.Constant(value=str(text))):
                artifact = text if _stays_inside(text) else None
    return None if line is None else Exposed(file, artifact, line)


def _stays_inside(path: str) -> bool:
    return path != "" and not path.startswith("/") and ".." not in path.split("/")
