"""What a script asks about its audit is noticed; what honest scripts ask is not."""

from __future__ import annotations

from pathlib import Path

from tests.verifier.probe.child.whole import run_child
from verifier.probe.tape import Reach

LOOKS = {
    "sys._getframe()": "the frames of its callers",
    "inspect.stack()": "the frames of its callers",
    "inspect.currentframe()": "the frames of its callers",
    "frame_of_an_error()": "the frames of its callers",
    "gc.get_objects()": "all live objects",
    "sys.settrace(None)": "a trace function",
    "open('/proc/self/cmdline').read()": "a process in /proc",
    "pathlib.Path('/proc/1/environ').exists() and pathlib.Path('/proc/self/maps').read_text()": "a process in /proc",
    "os.listdir('/proc')": "the list of processes",
    "open('../job.json').read()": "a file of the audit",
    "importlib.import_module('verifier.audit')": "the verifier",
    "torch._C._len_torch_function_stack()": "the modes that torch calls go through",
}
HONEST = """
import collections, dataclasses, enum, inspect, logging, pickle, platform, tempfile, typing
logging.getLogger("a").warning("b")
open("/proc/self/status").read()
open("/proc/meminfo").read()
collections.namedtuple("P", "x y")
core = sys.modules[__name__]
def scored(x: int) -> int:
    return x
inspect.signature(scored), inspect.getsource(scored), typing.get_type_hints(scored)
@dataclasses.dataclass
class D:
    x: int = 0
class E(enum.Enum):
    A = 1
nats = torch.nn.functional.cross_entropy(torch.randn(8, 64), torch.arange(8), reduction="none").numpy()
torch.save({"d": nats}, "nats.pt")
print(type(torch.load("nats.pt", weights_only=False)["d"]).__name__)
platform.processor()
with torch.no_grad():
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))]).step()
try:
    raise KeyError
except KeyError:
    traceback.print_exc()
"""
START = """
import gc, importlib, inspect, os, pathlib, sys, traceback
import torch

def frame_of_an_error():
    try:
        raise KeyError
    except KeyError as error:
        return error.__traceback__.tb_frame

"""


def test_every_look_is_on_the_tape_with_its_line(tmp_path: Path) -> None:
    lines = [f"try:\n    {look}\nexcept Exception as error:\n    print(repr(error))" for look in LOOKS]
    done = run_child(tmp_path, START + "\n".join(lines))
    found = {done.tape.stacks[reach.site][0].line: reach.what for reach in done.tape.of(Reach)}
    source = (START + "\n".join(lines)).split("\n")
    by_look = {source[line - 1].strip(): what for line, what in found.items()}
    assert by_look == LOOKS, done.stdout + done.stderr


def test_honest_questions_are_no_looks(tmp_path: Path) -> None:
    done = run_child(tmp_path, START + HONEST)
    assert done.tape.end["status"] == "finished", done.stderr
    assert done.tape.of(Reach) == []
    assert "ndarray" in done.stdout


def test_the_audit_is_out_of_sight(tmp_path: Path) -> None:
    names = "[*sys.modules, *sys.orig_argv, *sys.argv, type(sys.stdout).__module__]"
    done = run_child(
        tmp_path, START + f"print('seen', [name for name in {names} if name.split('.')[0] == 'verifier'])"
    )
    assert "seen []" in done.stdout, done.stderr


def test_a_look_reaches_the_parent_though_the_script_leaves_at_once(tmp_path: Path) -> None:
    done = run_child(tmp_path, START + "gc.get_objects()\nos._exit(0)")
    assert [reach.what for reach in done.tape.of(Reach)] == ["all live objects"]
    assert not done.tape.end


def test_a_fork_of_the_script_writes_no_tape(tmp_path: Path) -> None:
    done = run_child(tmp_path, START + "pid = os.fork()\nprint('line', pid == 0)\npid and os.waitpid(pid, 0)")
    assert [event.number for event in done.tape.events] == sorted({e.number for e in done.tape.events})
    assert [event.text for event in done.tape.events if hasattr(event, "text")] == ["line False"]
