"""The n-gram mixer against the seed system's hashed one, orders 2 to 22: tokens a second and memory.

    OMP_NUM_THREADS=1 python -m benchmarks.ngram_mixer MIRROR [--tokens 500000] [--vocab-size 1024] [--repeats 5]

MIRROR is a clone of the contest with its pull requests; `BackoffNgramMixer` comes out of #1430's script there and is
never kept. Both mixers get the same logits and the same text, in turns within one process. The seed scores a batch
and then counts it; ours leaves two numbers a token behind and counts the stream at the end. The seed is called on
every token once: its own evaluation calls it on overlapping windows, and pays for each of their tokens again.

Printed: medians with the range of the repeats, the ratio of each repeat's two times, what the softmax and
entropy of the model alone cost both, peak memory of each in a process of its own, and that ours sums to one.
"""

from __future__ import annotations

import argparse
import ast
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pgolf.corpus import documents
from pgolf.evaluate.mixer import Facts
from pgolf.evaluate.ngram import NgramConfig, NgramMixer
from pgolf.tokenizer import cached_tokenizer, load_tokenizer
from verifier.intake.checkout import check_out
from verifier.intake.git import open_repository

SEED_PULL = 1430
ORDERS = 22
BUCKETS = 4_194_304
"""Of each order, as the seed's run sets it; 4,000,000 by default there, whose remainders take longer."""
ROWS, LENGTH = 4, 1024
"""Of a batch of logits: what a sliding evaluation hands over in one call."""
PREFIX = 512
"""Tokens whose whole distributions are asked for, to see what they sum to."""


class Timed(NamedTuple):
    wall: float
    cpu: float


def seed_mixer(mirror: Path) -> Any:
    """The seed's class, from its script in the repository."""
    with tempfile.TemporaryDirectory() as scratch:
        root = check_out(open_repository(mirror), Path(scratch), pr=SEED_PULL).root
        tree = ast.parse((root / "train_gpt.py").read_text(encoding="utf-8"))
    [definition] = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "BackoffNgramMixer"
    ]
    names: dict[str, Any] = {"torch": torch, "F": F, "Tensor": Tensor}
    exec(compile(ast.Module([definition], []), f"#{SEED_PULL}", "exec"), names)
    return names["BackoffNgramMixer"]


def stream(tokens: int, vocab_size: int) -> Tensor:
    """The embedded corpus, repeated where it is too short; every length of context recurs in both cases."""
    sp = load_tokenizer(cached_tokenizer(vocab_size))
    ids: list[int] = []
    for document in documents("train"):
        ids += [1, *sp.encode(document)]
        if len(ids) > tokens:
            break
    while len(ids) <= tokens:
        ids += ids
    return torch.tensor(ids[: tokens + 1])


class Bench:
    """One stream with one batch of logits, which stands for every batch."""

    def __init__(self, seed_class: Any, tokens: int, vocab_size: int, device: torch.device) -> None:
        self.seed_class, self.vocab_size, self.device = seed_class, vocab_size, device
        batch = ROWS * LENGTH
        self.tokens_N = stream(tokens - tokens % batch, vocab_size).to(device)
        generator = torch.Generator().manual_seed(0)
        self.logits_PV = (2 * torch.randn(batch, vocab_size, generator=generator)).to(device)

    def batches(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        batch = ROWS * LENGTH
        for start in range(0, len(self.tokens_N) - 1, batch):
            yield (
                start,
                self.tokens_N[start : start + batch].view(ROWS, LENGTH),
                self.tokens_N[start + 1 : start + batch + 1].view(ROWS, LENGTH),
            )

    def seed(self) -> Tensor:
        mixer = self.seed_class(self.vocab_size, self.device, num_buckets=BUCKETS, max_order=ORDERS)
        nats = []
        for _, inputs_BT, targets_BT in self.batches():
            logits_BTV = self.logits_PV.view(ROWS, LENGTH, -1)
            nats.append(mixer.score(logits_BTV, inputs_BT, targets_BT).reshape(-1))
            mixer.update(inputs_BT.reshape(-1))
        return torch.cat(nats)

    def facts(self) -> Facts:
        """What the driver keeps of each position."""
        facts = Facts.empty(len(self.tokens_N) - 1, self.device)
        for start, _, targets_BT in self.batches():
            positions_P = torch.arange(start, start + targets_BT.numel(), device=self.device)
            facts.note(positions_P, self.logits_PV, targets_BT.reshape(-1))
        return facts

    def counts(self, facts: Facts) -> Tensor:
        return NgramMixer(self.vocab_size, self.config()).mixed_nats(self.tokens_N, facts)

    def ours(self) -> Tensor:
        return self.counts(self.facts())

    @staticmethod
    def config() -> NgramConfig:
        return NgramConfig(max_order=ORDERS, buckets=BUCKETS)

    def mass(self) -> float:
        """The largest distance from one over whole distributions, token by token, and that they are the same numbers."""
        mixer = NgramMixer(self.vocab_size, self.config())
        log_probs_PV = self.logits_PV[:PREFIX].double().log_softmax(-1)
        tokens = self.tokens_N[: PREFIX + 1].tolist()
        mixer.update(tokens[0])
        off, nats = 0.0, []
        for log_probs_V, token in zip(log_probs_PV, tokens[1:], strict=True):
            mixed_V = mixer.mix(log_probs_V)
            off = max(off, abs(float(mixed_V.exp().sum()) - 1))
            nats.append(-float(mixed_V[token]))
            mixer.update(token)
        facts = self.facts()
        facts.nats_N[:PREFIX] = -log_probs_PV.gather(1, self.tokens_N[1 : PREFIX + 1, None])[:, 0]
        facts.entropy_N[:PREFIX] = -(log_probs_PV.exp() * log_probs_PV).sum(-1)
        torch.testing.assert_close(
            self.counts(facts)[:PREFIX].cpu(), torch.tensor(nats, dtype=torch.float64), atol=1e-9, rtol=0
        )
        return off


def timed(work: Callable[[], Any], device: torch.device) -> Timed:
    _settle(device)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    _settle(device)
    return Timed(time.perf_counter() - wall, time.process_time() - cpu)


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_bytes(work: Callable[[], Any], device: torch.device) -> int:
    """What the work needs at most beyond what is there: of a forked copy, or of the GPU."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        before = _resident_bytes()
        work()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
        os.write(send, str(grown).encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as answer:
        grown_bytes = int(answer.read())
    os.waitpid(child, 0)
    return grown_bytes


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mirror", type=Path)
    parser.add_argument("--tokens", type=int, default=500_000)
    parser.add_argument("--vocab-size", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu", type=torch.device)
    arguments = parser.parse_args()
    device: torch.device = arguments.device
    bench = Bench(seed_mixer(arguments.mirror), arguments.tokens, arguments.vocab_size, device)
    tokens = len(bench.tokens_N) - 1
    memory = (
        {}
        if device.type == "cuda"
        else {"seed": peak_bytes(bench.seed, device), "ours": peak_bytes(bench.ours, device)}
    )
    facts = bench.facts()
    works: dict[str, Callable[[], Any]] = {
        "seed": bench.seed,
        "ours": bench.ours,
        "ours, counts alone": lambda: bench.counts(facts),
        "softmax and entropy alone": bench.facts,
    }
    times: dict[str, list[Timed]] = {name: [] for name in works}
    for turn in range(arguments.repeats + 1):
        for name, work in works.items():
            took = timed(work, device)
            if turn:  # the first warms up
                times[name].append(took)
    if device.type == "cuda":
        memory = {"seed": peak_bytes(bench.seed, device), "ours": peak_bytes(bench.ours, device)}
    print(
        f"{tokens:,} tokens, vocabulary {arguments.vocab_size}, orders 2 to {ORDERS}, {BUCKETS:,} buckets, {device}, "
        f"{torch.get_num_threads()} threads; medians of {arguments.repeats} (least, most)\n"
    )
    print("| what | tokens a second | s | CPU s | peak memory |\n|---|---|---|---|---|")
    for name, each_turn in times.items():
        walls = sorted(each.wall for each in each_turn)
        wall = statistics.median(walls)
        held = f"{memory[name] / 1e6:,.0f} MB" if name in memory else ""
        print(
            f"| {name} | {tokens / wall:,.0f} | {wall:.3f} ({walls[0]:.3f}, {walls[-1]:.3f}) "
            f"| {statistics.median(each.cpu for each in each_turn):.3f} | {held} |"
        )
    for clock in Timed._fields:
        ratios = sorted(
            getattr(a, clock) / getattr(b, clock) for a, b in zip(times["seed"], times["ours"], strict=True)
        )
        print(
            f"\nours is {statistics.median(ratios):.2f} times as fast by {clock} time "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    print(f"\nours, {PREFIX} whole distributions: they sum to one within {bench.mass():.1e}")


if __name__ == "__main__":
    main()
