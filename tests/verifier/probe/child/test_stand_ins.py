"""A script in the contest's manner runs whole on a CPU: GPU calls, a virtual clock, scaled thresholds."""

from __future__ import annotations

import pytest

from tests.verifier.probe.child.whole import Done, run_child
from verifier.probe.tape import Backward, Forward, Open, Print, Score, Step, Weights

SCRIPT = """\
import functools
import os
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

torch.backends.cuda.matmul.allow_tf32 = True
assert torch.cuda.is_available() and torch.cuda.device_count() == 1
assert "H100" in torch.cuda.get_device_name(0)
device = torch.device("cuda", 0)
torch.cuda.set_device(device)
generator: torch.Generator = torch.Generator(device="cuda")
generator.manual_seed(1)
began, late = time.perf_counter(), time.time()
time.sleep(3600)
print("slept", round(time.perf_counter() - began), "later", round(time.time() - late))
KEEP_FLOAT_MAX_NUMEL = 65_536
def kept(weight):
    return weight.numel() <= 65536
print("kept", kept(torch.zeros(32, 32)), kept(torch.zeros(33, 33)), KEEP_FLOAT_MAX_NUMEL)


def twice(function):
    @functools.wraps(function)
    def both(*args):
        return function(*args) + function(*args)
    return both


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(64, 16)
        self.head = nn.Linear(16, 64, bias=False)
        nn.init.zeros_(self.head.weight)

    @property
    def width(self):
        return 16

    @staticmethod
    @twice
    def add(one, other):
        return one + other

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(self.head(self.embed(x)).float().flatten(0, 1), y.flatten())


print("decorated", Model.add(1, 2), "lively", bool(Model().head.weight.abs().sum() > 0))
model = torch.compile(Model().to(device).bfloat16(), dynamic=False, fullgraph=True)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
tokens = np.fromfile("data/fineweb_val_000000.bin", dtype="<u2", offset=1024).astype(np.int64)
tokens = torch.from_numpy(tokens).pin_memory().to(device, non_blocking=True)
start = torch.cuda.Event(enable_timing=True)
start.record()
total = torch.zeros((), device=device, dtype=torch.float64)
count = 0
for at in range(0, 1024, 256):
    x, y = tokens[at : at + 256].view(4, 64), tokens[at + 1 : at + 257].view(4, 64)
    with torch.inference_mode(), torch.autocast(device_type="cuda", dtype=torch.bfloat16):
        loss = model(x, y).detach()
    total += loss.to(torch.float64) * y.numel()
    count += y.numel()
    model(x, y).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
torch.cuda.synchronize()
print(f"legal_ttt_exact val_loss:{(total / count).item():.8f} val_bpb:1.00000000")
print("memory", torch.cuda.max_memory_allocated() // 1024, torch.ones(1, device="cuda").device.type)
raise SystemExit(0)
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return run_child(tmp_path_factory.mktemp("whole"), SCRIPT, {})


def test_it_runs_to_its_end(done: Done) -> None:
    assert done.tape.end["status"] == "finished", done.stderr[-2000:]
    assert done.tape.damage is None


def test_the_clock_jumps_and_costs_nothing(done: Done) -> None:
    assert "slept 3600 later 3600" in done.stdout


def test_literal_thresholds_on_sizes_are_scaled(done: Done) -> None:
    assert "kept True False 1024" in done.stdout


def test_decorated_functions_behave_as_before(done: Done) -> None:
    assert "decorated 6 lively True" in done.stdout


def test_the_report_can_list_what_stood_in(done: Done) -> None:
    uses = done.tape.uses
    assert uses["device"] > 3
    assert uses["torch.compile"] == 1
    assert uses["optimizer fused=True"] == 1
    assert uses["size threshold scaled"] == 2
    assert uses["nn.init.zeros_"] >= 1
    assert uses["clock"] >= 4


def test_means_are_taken_apart_and_learning_is_on_the_tape(done: Done) -> None:
    scores = done.tape.of(Score)
    assert [score.size for score in scores] == [256] * 8
    assert [score.learns for score in scores] == [False, True] * 4
    assert scores[0].positions.tolist() == list(range(1, 257))
    assert all(score.pure for score in scores)
    backward, steps = done.tape.of(Backward), done.tape.of(Step)
    assert [each.scores for each in backward] == [(score.number,) for score in scores if score.learns]
    assert [each.backward for each in steps] == [(each.number,) for each in backward]
    assert {step.optimizer for step in steps} == {"AdamW"}
    assert all(weights.same == 2 and weights.changed == 0 for weights in done.tape.of(Weights))


def test_reads_of_the_stream_and_prints_are_on_the_tape(done: Done) -> None:
    assert [each.path for each in done.tape.of(Open)] == ["fineweb_val_000000.bin"]
    assert done.tape.of(Forward)[0].ranges == ((0, 256),)
    assert any("legal_ttt_exact" in each.text for each in done.tape.of(Print))


def test_places_are_lines_of_the_script(done: Done) -> None:
    line = done.tape.where(done.tape.of(Backward)[0].site, None)
    assert line.file == "train_gpt.py"
    assert SCRIPT.splitlines()[(line.line or 0) - 1].strip() == "model(x, y).backward()"
