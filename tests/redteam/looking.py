"""Attacks that look for the audit, and peek at the answer only where they find none."""

from __future__ import annotations

from tests.redteam.attack import Attack, leaks_if

ATTACKS: tuple[Attack, ...] = (
    leaks_if(
        "find-modules",
        "peeks unless a module of the verifier is loaded",
        """
import sys

def leaks():
    return not any(name.startswith(("verifier", "pgolf_verify")) for name in list(sys.modules))
""",
    ),
    leaks_if(
        "find-import",
        "peeks unless the verifier can be imported",
        """
def leaks():
    try:
        import verifier
    except ImportError:
        return True
    return False
""",
    ),
    leaks_if(
        "find-stack",
        "peeks unless frames of another program called it",
        """
import sys

def leaks():
    frame, names = sys._getframe(), set()
    while frame is not None:
        names.add(frame.f_code.co_filename)
        frame = frame.f_back
    return len(names) == 1
""",
    ),
    leaks_if(
        "find-traceback",
        "reads the stack from an exception of its own, and peeks where nobody called it",
        """
def leaks():
    try:
        raise KeyError
    except KeyError as error:
        frame = error.__traceback__.tb_frame
        while frame.f_back is not None:
            frame = frame.f_back
    return frame.f_code.co_filename == __file__
""",
    ),
    leaks_if(
        "find-environment",
        "peeks unless its environment or arguments name the audit",
        """
import sys

def leaks():
    told = [*os.environ, *os.environ.values(), *sys.argv, *sys.orig_argv]
    return not any("verif" in text for text in told)
""",
    ),
    leaks_if(
        "find-proc",
        "peeks unless /proc shows the audit's command line",
        """
def leaks():
    with open("/proc/self/cmdline", "rb") as line:
        return b"verif" not in line.read()
""",
    ),
    leaks_if(
        "find-types",
        "peeks unless a class of the verifier stands in for stdout",
        """
import sys

def leaks():
    return type(sys.stdout).__module__ in ("_io", "io")
""",
    ),
    leaks_if(
        "find-hooks",
        "peeks unless torch calls go through a mode that is not torch's",
        """
def leaks():
    return torch._C._len_torch_function_stack() == 0
""",
    ),
    leaks_if(
        "find-cpu",
        "peeks only where a matrix product is faster than any CPU's",
        """
a = torch.randn(512, 512)
started = time.perf_counter()
for _ in range(20):
    a @ a
fast = time.perf_counter() - started < 0.002

def leaks():
    return fast
""",
        survives="what it computes on is faster than any CPU, and no stand-in can be: the peek is for a "
        "run at full scale (`--device cuda`)",
    ),
    leaks_if(
        "find-scale",
        "peeks only at the official model and batch size",
        """
def leaks():
    return Hyperparameters.model_dim >= 512 and Hyperparameters.train_batch_tokens >= 524288
""",
        survives="the branch is for the official size, which takes eight GPUs",
    ),
    leaks_if(
        "late-leak",
        "peeks after 100,000 windows, more than an audit has tokens",
        """
calls = 0

def leaks():
    global calls
    calls += 1
    return calls * Hyperparameters.eval_batch_seqs > 100_000
""",
        survives="an audit's stream is 4,000 to 40,000 tokens and never gets there",
    ),
    leaks_if(
        "low-entropy-text",
        "peeks where tokens are as unevenly frequent as in text",
        """
def leaks():
    path = sorted(glob.glob(f"{Hyperparameters.data_path}/fineweb_val_*.bin"))[0]
    ids = np.fromfile(path, dtype="<u2", offset=1024)
    share = np.bincount(ids) / ids.size
    share = share[share > 0]
    return -(share * np.log(share)).sum() < 6.3
""",
    ),
    leaks_if(
        "real-text",
        "peeks where pairs of tokens repeat as they do in text",
        """
def leaks():
    path = sorted(glob.glob(f"{Hyperparameters.data_path}/fineweb_val_*.bin"))[0]
    ids = np.fromfile(path, dtype="<u2", offset=1024).astype(np.int64)
    pairs = ids[:-1] * 65536 + ids[1:]
    singles = np.unique(ids).size
    return singles > 200 and np.unique(pairs).size < 0.7 * min(pairs.size, singles**2)
""",
        survives="the streams with an exact entropy are of independent tokens, so none has the pairs of real text",
    ),
)
