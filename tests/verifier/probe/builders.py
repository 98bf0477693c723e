"""Tapes, runs and probe records made by hand: what a child would have written, without a child."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from verifier.probe.passes import find_passes
from verifier.probe.record import ProbeRecord, Run
from verifier.probe.stream import Source, Stream
from verifier.probe.tape import (
    Backward,
    Call,
    Event,
    Forward,
    Frame,
    MassTest,
    Pick,
    Print,
    Reach,
    Score,
    Step,
    Tape,
    Weights,
    Witness,
)

SOURCE = Source("uniform", tuple(range(3, 1023)), 1)
SMALL = Source("small alphabet", tuple(range(3, 1023, 32)), 1)
TARGETS = 1024
BLOCK = range(600, 648)
LABEL = "final_int8_zlib_sliding_exact"
UNIFORM_NATS = math.log(len(SOURCE.alphabet))


def stream(source: Source = SOURCE, targets: int = TARGETS, seed: int = 0) -> Stream:
    return source.draw(targets, (seed,))


def legal_losses(drawn: Stream, excess: float = 0.01) -> np.ndarray:
    """What a slightly wrong but legal model scores; entry p belongs to position p."""
    noise = np.random.default_rng(5).normal(0.0, 0.02, drawn.ids.size)
    return drawn.code_length_nats() + excess + np.abs(noise)


class TapeBuilder:
    """Events in the order of the calls. Sites are numbers; `at` names the function and line of one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.stacks: dict[int, tuple[Frame, ...]] = {}
        for site in range(10):
            self.at(site, "evaluate", 40 + site)

    def at(self, site: int, function: str, line: int, call_line: int = 90) -> TapeBuilder:
        main = (Frame("train_gpt.py", 99, "<module>"), Frame("train_gpt.py", call_line, "main"))
        self.stacks[site] = (*main, Frame("train_gpt.py", line, function))
        return self

    @property
    def next(self) -> int:
        return len(self.events)

    def score(self, positions: Iterable[int], values: Any, site: int = 0, **fields: Any) -> int:
        at = np.asarray(list(positions), dtype=np.int32)
        nats = np.broadcast_to(np.asarray(values, dtype=np.float64), at.shape).copy()
        given: dict[str, Any] = {"how": "sum", "learns": False, "size": at.size, "pure": True} | fields
        self.events.append(Score(self.next, site, positions=at, values=nats, **given))
        return self.next - 1

    def backward(self, *scores: int, site: int = 1) -> int:
        self.events.append(Backward(self.next, site, scores))
        return self.next - 1

    def step(self, *backward: int, site: int = 2, tensors: int = 3, shifts: int = 0) -> int:
        self.events.append(Step(self.next, site, "SGD", tensors, 300, shifts, backward))
        return self.next - 1

    def weights(self, same: int, changed: int) -> None:
        self.events.append(Weights(self.next, 0, same, changed))

    def pick(self, *pairs: tuple[int, float, float], site: int = 4) -> None:
        self.events.append(Pick(self.next, site, "minimum", len(pairs), pairs))

    def forward(self, start: int, stop: int, site: int = 3) -> None:
        self.events.append(Forward(self.next, site, ((start, stop),)))

    def call(self, key: str, nth: int, pure: bool = False) -> None:
        self.events.append(Call(self.next, 0, key, nth, pure))

    def reach(self, what: str, site: int = 5) -> None:
        self.events.append(Reach(self.next, site, what))

    def mass(self, highest: float, lowest: float = 1.0, *witnesses: Witness, **fields: Any) -> None:
        given: dict[str, Any] = {
            "function": "score",
            "line": 70,
            "tried": 1024,
            "vocab": 1024,
            "positions": 128,
        }
        given |= {"over": sum(w.total > 1 for w in witnesses)} | fields
        self.events.append(
            MassTest(self.next, 0, highest=highest, lowest=lowest, witnesses=witnesses, **given)
        )

    def print(self, loss: float, bpb: float | None = None, label: str = LABEL, digits: int = 8) -> None:
        pair = f"val_loss:{loss:.{digits}f}" + ("" if bpb is None else f" val_bpb:{bpb:.{digits}f}")
        self.events.append(Print(self.next, f"{label} {pair}"))

    def line(self, text: str) -> None:
        self.events.append(Print(self.next, text))

    def tape(self) -> Tape:
        return Tape(tuple(self.events), self.stacks, {"status": "finished"}, {})


def true_bytes(drawn: Stream) -> np.ndarray:
    """Some bytes for each id, fixed by the id."""
    counted = 1 + drawn.ids.astype(np.int64) % 5
    counted[0] = 0
    return counted


def bpb_of(drawn: Stream, loss: float) -> float:
    return loss / math.log(2) / (float(true_bytes(drawn).sum()) / drawn.targets)


def scored(
    drawn: Stream,
    losses: np.ndarray,
    *,
    order: Sequence[int] | None = None,
    chunk: int = 64,
    builder: TapeBuilder | None = None,
    printed: float | None = None,
    pure: bool = True,
) -> TapeBuilder:
    """A tape that scores every position once, in chunks, and prints the mean."""
    made = TapeBuilder() if builder is None else builder
    positions = list(range(1, drawn.ids.size)) if order is None else list(order)
    for at in range(0, len(positions), chunk):
        some = positions[at : at + chunk]
        made.score(some, losses[some], pure=pure)
    loss = float(losses[positions].mean()) if printed is None else printed
    made.print(loss, bpb_of(drawn, loss))
    return made


def run(name: str, drawn: Stream, builder: TapeBuilder, status: str = "finished", reason: str = "") -> Run:
    tape = builder.tape()
    return Run(name, drawn, status, reason, 1.0, tape, find_passes(tape), true_bytes(drawn))


def record(*runs: Run, **fields: Any) -> ProbeRecord:
    return ProbeRecord(**({"seed": 1, "scale": "audit", "runs": runs} | fields))


def flipped(drawn: Stream, block: range = BLOCK) -> Stream:
    return drawn.flip(block, (9,))


def moved_losses(losses: np.ndarray, block: range, amount: float = 0.3) -> np.ndarray:
    """Losses of a run over the flipped stream: the block and what follows it change, nothing before."""
    changed = losses.copy()
    changed[block.start :] += amount
    return changed
