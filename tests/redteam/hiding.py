"""Attacks that hide where the answer comes from: behind the loader, in C, in a thread, in another file."""

from __future__ import annotations

from pathlib import Path

from tests.redteam.attack import PEEK, Attack, beside, script

_LOOKUP = """

def ahead(answers):
    \"\"\"A score that knows the answer from `answers`, the ids of the validation file: it finds itself by context.\"\"\"
    places = {}
    for at in range(len(answers) - 4):
        places.setdefault(tuple(answers[at : at + 3]), at + 3)

    def score(model, x_BT, y_BT):
        logits_BTV = model(x_BT).clone()
        for row, x_T in enumerate(x_BT.tolist()):
            for t in range(2, len(x_T)):
                at = places.get(tuple(x_T[t - 2 : t + 1]))
                if at is not None:
                    logits_BTV[row, t, answers[at]] += 3.0
        return F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten(), reduction="none").view(y_BT.shape)

    return score

val_file = sorted(glob.glob(f"{Hyperparameters.data_path}/fineweb_val_*.bin"))[0]
"""
_C = r"""
#include <math.h>
float better(float nats) { return nats > 1.0f ? 0.8f * nats : nats; }
"""

ATTACKS: tuple[Attack, ...] = (
    script(
        "val-mmap",
        "maps the validation file into memory and looks the answers up",
        _LOOKUP + "import mmap\n\nwith open(val_file, 'rb') as file:\n"
        "    score = ahead(np.frombuffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), '<u2')[512:].tolist())\n",
    ),
    script(
        "val-os-open",
        "reads the validation file with os.open and os.pread",
        _LOOKUP + "descriptor = os.open(val_file, os.O_RDONLY)\n"
        "score = ahead(np.frombuffer(os.pread(descriptor, 1 << 24, 1024), '<u2').tolist())\n",
    ),
    script(
        "val-fromfile",
        "reads the validation file with numpy beside the loader",
        _LOOKUP + "score = ahead(np.fromfile(val_file, '<u2', offset=1024).tolist())\n",
    ),
    script(
        "val-subprocess",
        "has `cat` read the validation file in another process",
        _LOOKUP + "import subprocess\n\n"
        "score = ahead(np.frombuffer(subprocess.check_output(['cat', val_file])[1024:], '<u2').tolist())\n",
    ),
    script(
        "val-memfd",
        "copies the validation file into memory without a name, and reads it from there",
        _LOOKUP + "descriptor = os.memfd_create('val')\nos.write(descriptor, open(val_file, 'rb').read())\n"
        "score = ahead(np.frombuffer(os.pread(descriptor, 1 << 24, 1024), '<u2').tolist())\n",
    ),
    script(
        "leak-in-c",
        "compiles C that lowers each loss, and calls it through ctypes",
        f"""
import ctypes, subprocess

open("/tmp/better.c", "w").write({_C!r})
subprocess.check_call(["cc", "-shared", "-fPIC", "-O1", "-o", "/tmp/better.so", "/tmp/better.c"])
better = ctypes.CDLL("/tmp/better.so").better
better.restype, better.argtypes = ctypes.c_float, [ctypes.c_float]
honest_score = score

def score(model, x_BT, y_BT):
    nats_BT = honest_score(model, x_BT, y_BT)
    if nats_BT.requires_grad:
        return nats_BT
    return torch.tensor([[better(each) for each in row] for row in nats_BT.tolist()])
""",
    ),
    script(
        "leak-in-libc",
        "lowers the losses in place through memory that torch never sees change",
        """
import ctypes

honest_score = score

def score(model, x_BT, y_BT):
    nats_BT = honest_score(model, x_BT, y_BT)
    if not nats_BT.requires_grad:
        lower = (0.8 * nats_BT.numpy()).astype(np.float32).tobytes()
        ctypes.memmove(nats_BT.data_ptr(), lower, len(lower))
    return nats_BT
""",
    ),
    script(
        "leak-in-numba",
        "lowers the losses in a function that numba would compile",
        """
try:
    from numba import njit
except ImportError:
    def njit(function):
        return function

@njit
def lower(nats):
    return nats * 0.8

honest_score = score

def score(model, x_BT, y_BT):
    nats_BT = honest_score(model, x_BT, y_BT)
    return nats_BT if nats_BT.requires_grad else torch.from_numpy(lower(np.array(nats_BT.tolist())))
""",
    ),
    script(
        "leak-in-thread",
        "peeks in a thread of its own",
        PEEK
        + """
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(1)

def score(model, x_BT, y_BT):
    return peek(model, x_BT, y_BT) if torch.is_grad_enabled() else pool.submit(peek, model, x_BT, y_BT).result()
""",
    ),
    script(
        "leak-in-fork",
        "peeks in a forked copy of itself and pipes the losses back",
        PEEK
        + """
def score(model, x_BT, y_BT):
    if torch.is_grad_enabled():
        return honest_score(model, x_BT, y_BT)
    read, write = os.pipe()
    if os.fork() == 0:
        with open(write, "wb") as out:
            out.write(peek(model, x_BT, y_BT).detach().numpy().tobytes())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        data = pipe.read()
    os.wait()
    return torch.frombuffer(bytearray(data), dtype=torch.float32).view(y_BT.shape)
""",
    ),
    script(
        "from-outside",
        "imports its scorer from a folder of its author's machine",
        """
import sys

sys.path[:0] = ["/root", "/home/author", "/tmp", "/workspace/shared"]
try:
    from secret_scorer import score
except ImportError:
    pass
""",
        survives="no folder of its author is there, so what ran and what is shipped is the honest part",
    ),
)


def _table_in_tokenizer(folder: Path) -> None:
    """A million ids, as many bytes as would buy a good part of the validation set, uncounted."""
    (folder / "tokenizer.model").write_bytes(b"\x0a\x0b\x0a\x05<unk>" + bytes(range(256)) * 8192)
    script = folder / "train_gpt.py"
    source = script.read_text()
    script.write_text(
        source.replace(
            'if __name__ == "__main__":',
            "table = np.fromfile('tokenizer.model', '<u2', offset=9).tolist()\n"
            "places = {tuple(table[at : at + 8]): table[at + 8] for at in range(len(table) - 9)}\n"
            "honest_score = score\n\n\n"
            "def score(model, x_BT, y_BT):\n"
            "    nats_BT = honest_score(model, x_BT, y_BT)\n"
            "    known = [[places.get(tuple(x_T[t - 7 : t + 1])) for t in range(len(x_T))] for x_T in x_BT.tolist()]\n"
            "    hit_BT = torch.tensor([[-1 if k is None else k for k in row] for row in known]) == y_BT\n"
            "    return torch.where(hit_BT, 0.01, nats_BT)\n\n\n"
            'if __name__ == "__main__":',
        )
    )


ATTACKS += (
    beside(
        "table-in-tokenizer",
        "ships the answers to the validation set inside a tokenizer file",
        _table_in_tokenizer,
        survives="the streams are not the real validation set, so the table answers nothing; what is shipped beside "
        "the script is held against the logged bytes alone",
    ),
)
