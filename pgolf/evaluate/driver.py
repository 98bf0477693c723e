"""The batched driver: scores a known stream with a method, each position once, commit before learn.

It alone holds the stream. It hands the method the inputs of each window, fixes the losses of a chunk, and
only then hands over that chunk's tokens. Losses stay on the device until the end, so a GPU is never waited
for. Rules C3 and C4.

Shapes: B rows, T positions, P scored positions, N predictions of a stream of N + 1 tokens, V vocabulary.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgolf.bytes import ByteCounter
from pgolf.evaluate.method import Committed, Method, Where
from pgolf.evaluate.mixer import Facts, Mixed, Mixer
from pgolf.evaluate.score import Evaluation, score_stream
from pgolf.evaluate.windows import Chunk, Progress, Window, check_coverage

IDLE = Window(0, 0, 0)
"""What a row reads whose lane is over: nothing."""


@torch.no_grad()
def evaluate(
    method: Method | Mixed,
    tokens: NDArray[Any],
    table: ByteCounter,
    *,
    batch_windows: int = 32,
    progress: Progress | None = None,
) -> Evaluation:
    """Score tokens 1..N of a stream of N + 1 tokens. The clock covers everything, hints included.

    Raises:
        ValueError: a plan that does not score each position once, or a loss that is not finite.
    """
    started = time.perf_counter()
    name = method.name
    method, mixer = (method.method, method.mixer) if isinstance(method, Mixed) else (method, None)
    predictions = len(tokens) - 1
    lanes = method.plan(predictions, document_starts(tokens, method.bos_id))
    check_coverage(lanes, predictions)
    tokens_N = torch.from_numpy(np.asarray(tokens).astype(np.int64)).to(method.device)
    hint_N = mixer.hints(tokens_N) if mixer is not None else None
    facts = Facts.empty(predictions, method.device)
    slots = min(method.slots, len(lanes))
    method.reset(slots)
    waiting = iter(lanes)
    rows: list[deque[Chunk]] = [deque() for _ in range(slots)]
    done = 0
    while True:
        fresh = []
        for row in range(slots):
            if not rows[row] and (lane := next(waiting, None)) is not None:
                rows[row].extend(lane)
                fresh.append(row)
        if fresh:
            method.begin(fresh)
        turn = [chunks.popleft() if chunks else None for chunks in rows]
        if not any(turn):
            break
        for windows, scored in _batches(turn, batch_windows):
            _score(method, mixer, tokens_N, windows, scored, facts, hint_N)
            done += sum(window.end - window.score_from for window in windows[:scored])
            if progress is not None:
                progress(done, predictions)
        committed = [
            Committed(row, chunk, tokens_N[: chunk.end + 1])
            for row, chunk in enumerate(turn)
            if chunk is not None and rows[row]
        ]
        if committed:
            method.learn(committed)
    losses_N = facts.nats_N if mixer is None else mixer.mixed_nats(tokens_N, facts)
    nats_N = losses_N.float().cpu().numpy()
    score = score_stream(nats_N, tokens, table)
    return Evaluation(score, nats_N, name, time.perf_counter() - started)


def document_starts(tokens: NDArray[Any], bos_id: int | None) -> list[int]:
    """Positions of inputs that begin a document; the stream's first always does."""
    if bos_id is None:
        return [0]
    return [0, *(int(at) + 1 for at in np.flatnonzero(np.asarray(tokens)[1:-1] == bos_id))]


def _batches(turn: Sequence[Chunk | None], batch_windows: int) -> Iterator[tuple[list[Window], int]]:
    """Windows to read together, and how many of them count: the rest fills up a compiled shape."""
    if len(turn) > 1:
        yield [IDLE if chunk is None else chunk.windows[0] for chunk in turn], len(turn)
        return
    [chunk] = turn
    windows = [] if chunk is None else list(chunk.windows)
    for first in range(0, len(windows), batch_windows):
        batch = windows[first : first + batch_windows]
        fill = min(batch_windows, len(windows)) - len(batch)
        yield batch + [batch[-1]] * fill, len(batch)


def _score(
    method: Method,
    mixer: Mixer | None,
    tokens_N: Tensor,
    windows: list[Window],
    scored: int,
    facts: Facts,
    hint_N: Tensor | None,
) -> None:
    """Fix the losses that the first `scored` windows own."""
    spans = [np.arange(window.score_from, window.end) for window in windows[:scored]]
    position_P = _index(np.concatenate(spans), tokens_N)
    row_P = _index(np.repeat(np.arange(scored), [len(span) for span in spans]), tokens_N)
    start_B = _index(np.array([window.start for window in windows]), tokens_N)
    where = Where(row_P, position_P - start_B[row_P])
    logits_PV = method.logits(window_inputs(tokens_N, windows), windows, where).float()
    if mixer is not None and hint_N is not None:
        logits_PV = mixer.hinted(logits_PV, hint_N[position_P])
    facts.note(position_P, logits_PV, tokens_N[position_P + 1], entropy=mixer is not None)


def window_inputs(tokens_N: Tensor, windows: Sequence[Window]) -> Tensor:
    """inputs_BT, as long as the longest window; 0 past a window's end."""
    length = max(window.end - window.start for window in windows)
    start_B = _index(np.array([window.start for window in windows]), tokens_N)
    end_B = _index(np.array([window.end for window in windows]), tokens_N)
    index_BT = start_B[:, None] + torch.arange(length, device=tokens_N.device)
    inputs_BT = tokens_N[index_BT.clamp_max(len(tokens_N) - 1)]
    return inputs_BT.where(index_BT < end_B[:, None], 0)


def _index(values: NDArray[Any], like: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(like.device, non_blocking=True)
