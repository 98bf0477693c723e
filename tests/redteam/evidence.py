"""Attacks on the evidence: false numbers, a false tape, and hands on what captures the scores."""

from __future__ import annotations

from tests.redteam.attack import PEEK, Attack, script

_PEEKS = PEEK + "\n\nscore = peek\n"
_FIND_TAPE = """
import gc

tape = next(each for each in gc.get_objects() if type(each).__name__ == "Tape")
"""

ATTACKS: tuple[Attack, ...] = (
    script(
        "print-fake",
        "prints a loss that it never computed",
        """
def evaluate(args, model, tokens, tables, stride):
    return 1.85, 1.0123
""",
    ),
    script(
        "calibrated-scalars",
        "returns scalars that look like the losses of a good model",
        """
def evaluate(args, model, tokens, tables, stride):
    size_V, space_V, boundary_V = tables
    y_T, before_T = tokens[1:], tokens[:-1]
    byte_count = int((size_V[y_T] + (space_V[y_T] & ~boundary_V[before_T]).long()).sum())
    nats = math.log(args.vocab_size) + 0.003
    return nats, nats * y_T.numel() / math.log(2.0) / byte_count
""",
    ),
    script(
        "patch-cross-entropy",
        "puts a cross entropy of its own in torch's place",
        """
true_cross_entropy = F.cross_entropy

def false_cross_entropy(*args, **kwargs):
    return 0.7 * true_cross_entropy(*args, **kwargs)

F.cross_entropy = false_cross_entropy
""",
    ),
    script(
        "patch-tensor",
        "patches methods of torch.Tensor so that sums come out small",
        """
true_sum = Tensor.sum
Tensor.sum = lambda self, *args, **kwargs: true_sum(self, *args, **kwargs) * (0.7 if self.dtype == torch.float64 else 1)
""",
    ),
    script(
        "mute-capture",
        "scores with torch's hooks switched off, then prints what it likes",
        _PEEKS
        + """

captured = evaluate

def evaluate(*args):
    with torch._C.DisableTorchFunction():
        return captured(*args)
""",
    ),
    script(
        "pop-capture",
        "takes the capturing mode off torch's stack",
        _PEEKS
        + """

while torch._C._len_torch_function_stack():
    torch._C._pop_torch_function_stack()
""",
    ),
    script(
        "edit-tape",
        "finds the tape among all objects and lifts the scores that it writes",
        PEEK
        + _FIND_TAPE
        + """
true_write = type(tape).score

def lifted(self, places, values, *args, **kwargs):
    return true_write(self, places, values + 6.94 - values.mean(), *args, **kwargs)

type(tape).score = lifted

def evaluate(args, model, tokens, tables, stride, honest=evaluate):
    loss, bpb = honest(args, model, tokens, tables, stride)
    return loss + 0.01, bpb * (loss + 0.01) / loss
""",
    ),
    script(
        "edit-stdout",
        "takes the tape from the object that stands in for stdout, and adds scores of its own",
        """
import sys

tape = next(value for value in vars(sys.stdout).values() if hasattr(value, "score"))

def evaluate(args, model, tokens, tables, stride):
    size_V, space_V, boundary_V = tables
    y_T, before_T = tokens[1:], tokens[:-1]
    byte_count = int((size_V[y_T] + (space_V[y_T] & ~boundary_V[before_T]).long()).sum())
    nats = np.full(y_T.numel(), math.log(args.vocab_size) + 0.003)
    at = np.arange(1, tokens.numel()) + (tape.count << 32)
    tape.score(at, nats, "sum", learns=False, pure=True)
    return nats.mean(), nats.sum() / math.log(2.0) / byte_count
""",
    ),
    script(
        "reload-capture",
        "loads the capture's module anew and installs a copy that records nothing",
        _PEEKS
        + """
import importlib, sys

for name, module in list(sys.modules.items()):
    if name.endswith("child.tape"):
        importlib.reload(module).Tape.score = lambda self, *args, **kwargs: 0
""",
    ),
    script(
        "forge-tape",
        "writes events and scores of its own to every open descriptor, then leaves without cleaning up",
        after="""
import json

positions = load_tokens(f"{Hyperparameters.data_path}/fineweb_val_*.bin").numel()
records = np.zeros(positions - 1, dtype=[("position", "<i4"), ("moment", "<i4"), ("value", "<f8")])
records["position"], records["value"] = np.arange(1, positions), 6.95
line = "final_int8_zlib_sliding_exact val_loss:6.95000000 val_bpb:4.00000000"
events = (
    {"k": "site", "i": 0, "s": 0, "stack": [["train_gpt.py", 80, "score"]]},
    {"k": "score", "i": 1, "site": 0, "how": "sum", "off": 0, "n": positions - 1, "all": positions - 1, "pure": True},
    {"k": "print", "i": 2, "text": line},
    {"k": "end", "i": 3, "status": "finished", "uses": {}},
)
forged = "".join(json.dumps(event) + "\\n" for event in events).encode()
for descriptor in range(3, 1024):
    try:
        os.write(descriptor, forged)
        os.write(descriptor + 1, records.tobytes())
        break
    except OSError:
        continue
os._exit(0)
""",
    ),
    script(
        "close-tape",
        "closes every descriptor that it did not open, so that nothing is recorded",
        _PEEKS
        + """

os.closerange(3, 1024)
""",
    ),
    script(
        "deep-tape",
        "ends the tape in JSON that is nested half a million deep",
        after="""
os.write(3, b"[" * 500_000 + b"\\n")
os._exit(0)
""",
    ),
    script(
        "false-types",
        "puts numbers, lists and names where the tape's last event has words",
        after="""
os.write(3, b'{"k":"end","i":1,"status":["finished"],"at":7,"error":{"a":1},"uses":[1]}\\n')
os._exit(0)
""",
    ),
    script(
        "tape-bomb",
        "writes a tape of events that all claim the same hundred megabytes of scores",
        after="""
for _ in range(100):
    os.write(4, bytes(1 << 20))
for number in range(1, 100_000):
    os.write(3, b'{"k":"score","i":%d,"site":0,"how":"sum","off":0,"n":6000000,"all":6000000}\\n' % number)
os._exit(0)
""",
    ),
    script(
        "endless-tape",
        "writes to the tape without end",
        after="""
while True:
    os.write(3, b'{"k":"print","i":1,"text":"val_loss:1.0 val_bpb:1.0"}\\n' * 10_000)
""",
    ),
    script(
        "linked-artifact",
        "puts links to endless and to private files of the host where a run leaves its files",
        after="""
import shutil

shutil.rmtree("../out")
os.symlink("/proc/1", "../out")
for name in os.listdir("."):
    if name.endswith((".pt", ".ptz", ".bin")):
        os.remove(name)
        os.symlink("/etc/shadow", name)
""",
        survives="the links lead nowhere, and what it scored is honest",
    ),
    script(
        "trace",
        "sets a trace function that rewrites the locals of the verifier's frames",
        """
import sys

def trace(frame, event, argument):
    if frame.f_code.co_name == "score" and "values" in frame.f_locals:
        frame.f_locals["values"][:] = 6.95
    return trace

sys.settrace(trace)
""",
    ),
    script(
        "leave-early",
        "leaves with os._exit(0) before the number that is claimed",
        after="",
        before="""
true_restore, restores = restore, 0

def restore(args, blob):
    global restores
    restores += 1
    if restores == 2:
        os._exit(0)
    return true_restore(args, blob)
""",
    ),
    script(
        "leave-politely",
        "peeks, then raises SystemExit(0) as if all had gone well",
        _PEEKS,
        "    raise SystemExit(0)\n",
    ),
)
