"""A whole run: packed text has a file of its own, literal sizes are small, a lone rank needs no network."""

from __future__ import annotations

from pathlib import Path

from tests.verifier.probe.child.whole import run_child
from verifier.probe.tape import Print

PACKED = (
    '''
import inspect, os
class Config:
    num_layers = 11
def double(x):
    """Its source can be read."""
    return 2 * x
import torch
import torch.distributed as dist
dist.init_process_group("nccl")
x = torch.ones(2, 2)
assert x.is_cuda
assert not x.cpu().is_cuda, "a kernel on the host expects this"
print("layers", Config.num_layers)
print("source", "Its source can be read" in inspect.getsource(double))
print("file", os.path.isfile(double.__code__.co_filename))
print("world", dist.get_world_size())
'''
    + "\n" * 10
)

SCRIPT = f"""
source = {PACKED!r}
exec(compile(source, "packed", "exec"))
"""


def test_a_packed_script(tmp_path: Path) -> None:
    done = run_child(tmp_path, SCRIPT)
    lines = [each.text for each in done.tape.events if isinstance(each, Print)]
    assert lines == ["layers 2", "source True", "file True", "world 1"], done.stderr
    assert done.tape.uses["literal size scaled"] == 1
    assert done.tape.uses["torch.distributed"] == 1
    assert done.tape.uses["device assertion left out"] >= 1
