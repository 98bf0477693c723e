"""Each guarantee of the sandbox: what an honest script needs, and a child that really tries to break out."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import verifier.probe.sandbox
import verifier.probe.supervise
from verifier.probe.isolation import describe
from verifier.probe.sandbox import (
    HOME,
    WORK,
    Ended,
    Job,
    Limits,
    Mechanism,
    Outcome,
    best_mechanism,
    run_sandboxed,
)
from verifier.probe.syscalls import landlock_version
from verifier.probe.view import package_folders

BRIEF = Limits(wall_seconds=20)


def permitted(mechanism: Mechanism, folder: Path) -> bool:
    if mechanism is Mechanism.PROCESS:
        return True
    if mechanism is Mechanism.ROOT and os.geteuid() != 0:
        return False
    return run_sandboxed(Job((sys.executable, "-I", "-S", "-c", ""), folder), mechanism).ok


def run(mechanism: Mechanism, tree: Path, script: str, *arguments: object, limits=BRIEF, **fields) -> Outcome:
    """The script finds its arguments from `sys.argv[2]` on; the first is a mark for `left_over`."""
    (tree / "script.py").write_text("import os, sys, time\n" + script)
    mark = uuid.uuid4().hex
    command = (sys.executable, "-I", f"{WORK}/script.py", mark, *map(str, arguments))
    outcome = run_sandboxed(Job(command, tree, limits=limits, **fields), mechanism)
    assert left_over(mark) == []
    return outcome


def lines(outcome: Outcome) -> list[str]:
    """What an attack printed, after making sure that it got to its end."""
    assert outcome.ok, (outcome.ended, outcome.message, outcome.exit_code, outcome.stderr.decode())
    return outcome.stdout.decode().splitlines()


def left_over(mark: str) -> list[int]:
    """Live processes of this machine with the mark in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="session", params=list(Mechanism), ids=lambda mechanism: mechanism.value)
def mechanism(request, tmp_path_factory) -> Mechanism:
    if not permitted(request.param, tmp_path_factory.mktemp("probe")):
        pytest.skip(f"this system does not permit namespaces by way of {request.param.value!r}")
    return request.param


@pytest.fixture
def namespaces(mechanism) -> Mechanism:
    if mechanism is Mechanism.PROCESS:
        pytest.skip("needs namespaces; the fallback says that it does not keep this")
    return mechanism


@pytest.fixture
def confined(mechanism) -> Mechanism:
    if mechanism is Mechanism.PROCESS and landlock_version() < 6:
        pytest.skip("needs namespaces or Landlock 6; the fallback says that it does not keep this")
    return mechanism


def test_a_script_runs_where_it_was_told(mechanism, tmp_path):
    outcome = run(
        mechanism,
        tmp_path,
        "print(os.getcwd(), dict(os.environ)); open('out', 'w').write('x'); sys.exit(3)",
        env={"AUDIT": f"{WORK}/data", "OTHER": f"{WORK}-not"},
    )
    assert (outcome.ended, outcome.message, outcome.exit_code) == (Ended.EXIT, "", 3)
    words = outcome.stdout.decode()
    assert words.startswith(f"{outcome.work_path} ")
    assert f"'{outcome.work_path}/data'" in words
    assert f"'{WORK}-not'" in words
    assert "PATH" not in words  # nothing is inherited
    assert (tmp_path / "out").read_text() == "x"
    assert (tmp_path / "out").stat().st_uid == os.geteuid()


def test_isolation_is_told_in_words(mechanism, tmp_path):
    outcome = run(mechanism, tmp_path, "")
    assert set(outcome.isolation) == {"network", "filesystem", "processes", "ipc", "memory", "privileges"}
    assert outcome.mechanism is mechanism
    network = run(mechanism, tmp_path, "", network=True).isolation["network"]
    assert network == "none: the job asked for the host's network"


def test_every_run_finds_its_own_tree_at_the_same_path(namespaces, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_text(name)
        seen = lines(run(namespaces, tmp_path / name, "print(os.path.realpath('data'), open('data').read())"))
        assert seen == [f"{WORK}/data {name}"]


def test_read_only_parts_cannot_change(namespaces, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "shard").write_text("tokens")
    script = """
for attempt in ("open('data/shard', 'w')", "open('data/new', 'w')", "os.rename('data', 'moved')",
                "os.unlink('data/shard')", "os.chmod('data/shard', 0)"):
    try:
        eval(attempt)
        print("done", attempt)
    except OSError:
        pass
print(open("data/shard").read())
"""
    assert lines(run(namespaces, tmp_path, script, read_only=("data",))) == ["tokens"]


def test_the_user_has_a_name_and_a_home(namespaces, tmp_path):
    script = f"""
import pwd
user = pwd.getpwuid(os.getuid())
open("{HOME}/file", "w").write("x")
print(user.pw_name, user.pw_dir, os.uname().nodename)
"""
    assert lines(run(namespaces, tmp_path, script)) == [f"audit {HOME} audit"]


def test_signals_show_as_negative_exit_codes(mechanism, tmp_path):
    outcome = run(mechanism, tmp_path, "os.kill(os.getpid(), 9)")
    assert (outcome.ended, outcome.exit_code) == (Ended.EXIT, -9)


def test_use_is_measured(mechanism, tmp_path):
    script = "x = bytearray(80_000_000)\nwhile time.process_time() < 0.3: pass"
    outcome = run(mechanism, tmp_path, script)
    assert outcome.ok
    assert 0.3 <= outcome.cpu_seconds < 2
    assert 80_000_000 < outcome.peak_memory_bytes < 150_000_000
    assert 0.3 <= outcome.wall_seconds < 10


def test_a_command_that_cannot_start_is_told_from_one_that_fails(mechanism, tmp_path):
    outcome = run_sandboxed(Job(("/usr/no-such-program",), tmp_path), mechanism)
    assert (outcome.ended, outcome.exit_code) == (Ended.START_FAILED, None)
    assert "No such file" in outcome.message


def test_a_job_that_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(ValueError, match="absolute path"):
        run_sandboxed(Job(("python",), tmp_path))
    with pytest.raises(FileNotFoundError):
        run_sandboxed(Job((sys.executable,), tmp_path / "nowhere"))
    (tmp_path / "link").symlink_to("/usr")
    for name in ("missing", "link", "../up"):
        with pytest.raises(ValueError, match="read-only path"):
            run_sandboxed(Job((sys.executable,), tmp_path, read_only=(name,)))


def test_exposed_paths_can_be_read_and_not_written(namespaces, tmp_path):
    tree, extra = tmp_path / "tree", tmp_path / "extra"
    tree.mkdir()
    extra.mkdir()
    (extra / "file").write_text("shown")
    script = """
print(open(sys.argv[2]).read())
try:
    open(sys.argv[2], "a")
except OSError:
    print("refused")
"""
    seen = lines(run(namespaces, tree, script, extra / "file", expose=(extra,)))
    assert seen == ["shown", "refused"]
    assert run(namespaces, tree, script, extra / "file").exit_code == 1


def test_torch_threads_processes_and_a_compiler_work(tmp_path):
    script = """
import multiprocessing, shutil, subprocess, threading
from multiprocessing.shared_memory import SharedMemory

import torch

torch.set_num_threads(1)

def fill(name):
    memory = SharedMemory(name)
    memory.buf[0] = 7
    memory.close()

if __name__ == "__main__":
    print(int(torch.empty(500_000_000).numel()))  # 2 GB of address space
    memory = SharedMemory(create=True, size=100)
    child = multiprocessing.get_context("fork").Process(target=fill, args=(memory.name,))
    child.start()
    child.join()
    print(memory.buf[0])
    memory.close()
    memory.unlink()
    thread = threading.Thread(target=print, args=("thread",))
    thread.start()
    thread.join()
    if shutil.which("gcc"):
        open("/tmp/a.c", "w").write("int main(){return 5;}")
        subprocess.run(["gcc", "-o", "/tmp/a.out", "/tmp/a.c"], check=True)
        print(subprocess.run(["/tmp/a.out"]).returncode)
    else:
        print(5)
"""
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": HOME, "OMP_NUM_THREADS": "1"}
    limits = Limits(wall_seconds=60)
    assert lines(run(best_mechanism(), tmp_path, script, env=env, limits=limits)) == [
        "500000000",
        "7",
        "thread",
        "5",
    ]


def test_only_three_descriptors_are_open(mechanism, tmp_path):
    ours = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(ours, True)
    try:
        script = "print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1], sys.stdin.read() == '')"
        assert lines(run(mechanism, tmp_path, script)) == ["[0, 1, 2] True"]
    finally:
        os.close(ours)


def test_the_strongest_mechanism_is_picked(mechanism):
    assert list(Mechanism).index(best_mechanism()) <= list(Mechanism).index(mechanism)


TRY = """
def attempt(name, action):
    try:
        action()
    except (OSError, AttributeError):
        return
    print("done:", name)
"""


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder of the host that is no part of any tree, with a file that must not change."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder, "file").write_text("untouched")
        os.chmod(folder, 0o777)
        os.chmod(Path(folder, "file"), 0o666)
        yield Path(folder)
        assert Path(folder, "file").read_text() == "untouched"
        assert os.listdir(folder) == ["file"]


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the host with a secret in its environment; it must live on."""
    with subprocess.Popen(
        ["sleep", "60"], env={"PATH": os.environ["PATH"], "KEY": "s3cr3t-of-host"}
    ) as process:
        yield process
        assert process.poll() is None
        process.kill()


def test_no_socket_leads_anywhere(mechanism, tmp_path):
    script = (
        TRY
        + """
import socket

def tcp(host, port, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(1)
        s.connect((host, port))

def udp(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", (host, 53))

def abstract():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[3])

attempt("loopback", lambda: tcp("127.0.0.1", int(sys.argv[2])))
attempt("loopback 6", lambda: tcp("::1", int(sys.argv[2]), socket.AF_INET6))
attempt("outside", lambda: tcp("1.1.1.1", 80))
attempt("name", lambda: socket.getaddrinfo("example.org", 80))
attempt("udp", lambda: udp("1.1.1.1"))
attempt("udp loopback", lambda: udp("127.0.0.1"))
attempt("abstract", abstract)
attempt("raw", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
attempt("kernel crypto", lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))
"""
    )
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as named:
        name = f"\0pgolf-{os.getpid()}"
        named.bind(name)
        named.listen()
        port = server.getsockname()[1]
        script = script.replace("sys.argv[3]", repr(name))
        assert lines(run(mechanism, tmp_path, script, port)) == []


def test_nothing_outside_the_tree_and_scratch_can_be_written(confined, tmp_path, outside):
    script = (
        TRY
        + """
def write(path):
    with open(path, "a") as file:
        file.write("hostile")

for path in sys.argv[2:]:
    attempt(path, lambda: write(path))
    attempt(path + "/new", lambda: write(path + "/new"))
    attempt("folder in " + path, lambda: os.mkdir(path + "/folder"))
    attempt("remove " + path, lambda: os.unlink(path))
    attempt("link into " + path, lambda: os.link(__file__, path + "/link"))
write("mine")
write("/tmp/mine")
os.unlink("/tmp/mine")
"""
    )
    targets = [
        "/",
        "/usr",
        "/etc",
        "/dev",
        sys.prefix,
        sys.base_prefix,
        Path.home(),
        outside,
        outside / "file",
    ]
    targets += ["/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/self/oom_score_adj"]
    targets += [verifier.probe.supervise.__file__, os.path.dirname(verifier.probe.supervise.__file__)]
    if confined is Mechanism.PROCESS:
        targets = [target for target in targets if not str(target).startswith("/tmp")]
    done = lines(run(confined, tmp_path, script, *targets))
    if (
        confined is not Mechanism.PROCESS
    ):  # a private /var/tmp takes the first one; the fixture sees the real one
        done = [line for line in done if str(outside) not in line]
    assert done == []
    assert (tmp_path / "mine").exists()


def test_links_in_the_tree_lead_nowhere(confined, tmp_path, outside):
    (tmp_path / "folder").symlink_to(outside)
    (tmp_path / "file").symlink_to(outside / "file")
    script = (
        TRY
        + """
os.symlink(sys.argv[2], "planted")
for path in ("folder/new", "file", "planted/new", "planted/file", "planted/../x"):
    attempt(path, lambda: open(path, "a").write("hostile"))
"""
    )
    assert lines(run(confined, tmp_path, script, outside)) == []


def test_secrets_of_other_processes_cannot_be_read(confined, tmp_path, bystander):
    script = (
        TRY
        + """
def read(path):
    if not (os.listdir(path) if path.endswith("/") else open(path, "rb").read(1)):
        raise OSError("empty")  # as with the threads of the kernel

for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) != os.getpid():
        for name in ("environ", "mem", "maps", "auxv", "fd/0", "fd/1", "fd/3", "fd/4", "root/", "cwd/"):
            path = f"/proc/{pid}/{name}"
            attempt(path, lambda: read(path))
"""
    )
    assert lines(run(confined, tmp_path, script, bystander.pid)) == []


def test_files_of_the_host_are_not_there(namespaces, tmp_path, outside):
    script = """
print(sorted(os.listdir("/tmp")), os.listdir(sys.argv[2]) if os.path.exists(sys.argv[2]) else None)
private = ("/etc/shadow", "/home", "/srv", "/mnt", "/old", "/scratch", "/sys/kernel")
print([path for path in private if os.path.exists(path)])
"""
    first, second = lines(run(namespaces, tmp_path, script, outside))
    assert second == "[]"
    assert first.endswith(" None")
    assert "'audit', 'home'" in first


def test_other_processes_cannot_be_seen(namespaces, tmp_path, bystander):
    script = "print(sorted(map(int, filter(str.isdigit, os.listdir('/proc')))), os.getpid())"
    assert lines(run(namespaces, tmp_path, script)) == ["[1, 2] 2"]


def test_other_processes_cannot_be_signalled(confined, tmp_path, bystander):
    script = """
for pid in (os.getppid(), int(sys.argv[2]), int(sys.argv[3])):
    for number in (9, 19, 2, 15):
        try:
            os.kill(pid, number)
        except OSError:
            pass
time.sleep(0.1)
print("still here")
"""
    seen = lines(run(confined, tmp_path, script, bystander.pid, os.getpid()))
    assert seen == ["still here"]


def test_killing_everything_kills_nobody_else(namespaces, tmp_path, bystander):
    script = TRY + "attempt('kill', lambda: os.kill(-1, 9))\nprint('still here')"
    assert lines(run(namespaces, tmp_path, script)) == ["still here"]


def test_no_privilege_is_left_or_can_be_had(mechanism, tmp_path):
    script = (
        TRY
        + """
import ctypes

libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)

status = dict(line.split(":", 1) for line in open("/proc/self/status"))
for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
    if int(status[field], 16):
        print(field, status[field])
if status["NoNewPrivs"].strip() != "1":
    print("new privileges")
for flag in (0x00020000, 0x10000000, 0x20000000, 0x40000000):
    attempt(f"unshare {flag:x}", lambda: call("unshare", flag))
attempt("mount", lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
attempt("umount", lambda: call("umount2", b"/proc", 2))
attempt("chroot", lambda: call("chroot", b"/tmp"))
attempt("ptrace", lambda: call("ptrace", 16, os.getppid(), 0, 0))
attempt("memory file", lambda: os.memfd_create("hidden"))
attempt("shared memory", lambda: call("shmget", 0, 4096, 0o1600))
attempt("clock", lambda: time.clock_settime(time.CLOCK_REALTIME, 0))
attempt("host name", lambda: call("sethostname", b"hostile", 7))
"""
    )
    assert lines(run(mechanism, tmp_path, script)) == []


def test_root_is_out_of_reach(mechanism, tmp_path):
    if mechanism is not Mechanism.ROOT:
        pytest.skip("only root gives a run its own user id")
    script = TRY + "print(os.getuid() > 1000, os.getgroups())\nattempt('setuid', lambda: os.setuid(0))"
    assert lines(run(mechanism, tmp_path, script)) == ["True []"]


ESCAPE = """
def escape(then):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            then()
        os._exit(0)
"""

STAY = f"import os, time{ESCAPE}escape(lambda: time.sleep(60))\nopen('up', 'w')\ntime.sleep(60)"


def test_what_a_run_leaves_behind_is_dead(mechanism, tmp_path):
    script = ESCAPE + "for _ in range(5): escape(lambda: time.sleep(60))\nos.wait()\ntime.sleep(0.1)"
    started = time.monotonic()
    assert lines(run(mechanism, tmp_path, script)) == []
    assert time.monotonic() - started < 10


def test_the_wall_limit_kills_what_ignores_signals(mechanism, tmp_path):
    script = ESCAPE + (
        "import signal\n"
        "for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)\n"
        "escape(lambda: time.sleep(60)); os.fork(); time.sleep(60)"
    )
    outcome = run(mechanism, tmp_path, script, limits=Limits(wall_seconds=0.5))
    assert (outcome.ended, outcome.exit_code) == (Ended.WALL_LIMIT, None)
    assert "limit 0.5" in outcome.message
    assert outcome.wall_seconds < 5


def test_the_cpu_limit_counts_all_processes(mechanism, tmp_path):
    script = "for _ in range(2): os.fork()\nwhile True: pass"
    outcome = run(mechanism, tmp_path, script, limits=Limits(wall_seconds=20, cpu_seconds=0.3))
    assert outcome.ended is Ended.CPU_LIMIT


@pytest.mark.parametrize("processes", [1, 4])
def test_filling_memory_ends_the_run(mechanism, tmp_path, processes):
    script = f"""
for _ in range({processes - 1}):
    if os.fork() == 0:
        break
hoard = []
while len(hoard) < 160 // {processes}:
    hoard.append(b"x" * 1_000_000)
time.sleep(20)
"""
    limits = Limits(wall_seconds=20, memory_bytes=80_000_000)
    outcome = run(mechanism, tmp_path, script, limits=limits)
    assert outcome.ended is Ended.MEMORY_LIMIT, outcome.stderr
    assert outcome.peak_memory_bytes > 80_000_000


def test_shared_memory_counts_too(mechanism, tmp_path):
    script = """
import mmap
memory = mmap.mmap(-1, 160_000_000)
for start in range(0, 160_000_000, 1_000_000):
    memory[start : start + 1_000_000] = b"x" * 1_000_000
time.sleep(20)
"""
    outcome = run(mechanism, tmp_path, script, limits=Limits(wall_seconds=20, memory_bytes=80_000_000))
    assert outcome.ended is Ended.MEMORY_LIMIT


def test_scratch_space_runs_out(namespaces, tmp_path):
    script = """
for folder in ("/tmp", "/dev/shm", "/run", "/var/tmp"):
    try:
        with open(folder + "/large", "wb", buffering=0) as file:
            for _ in range(100):
                assert file.write(b"x" * 1_000_000) == 1_000_000
    except (OSError, AssertionError):
        print("full")
"""
    limits = Limits(wall_seconds=20, scratch_bytes=10_000_000)
    assert lines(run(namespaces, tmp_path, script, limits=limits)) == ["full"] * 4


def test_a_tree_that_grows_too_large_ends_the_run(mechanism, tmp_path):
    script = """
number = 0
while True:
    open(f"part{number}", "wb").write(b"x" * 1_000_000)
    number += 1
    time.sleep(0.002)
"""
    outcome = run(mechanism, tmp_path, script, limits=Limits(wall_seconds=20, tree_bytes=20_000_000))
    assert outcome.ended is Ended.DISK_LIMIT


def test_deleted_files_that_are_open_count(mechanism, tmp_path):
    script = """
hidden = []
for number in range(200):
    hidden.append(open("part", "wb", buffering=0))
    os.unlink("part")
    hidden[-1].write(b"x" * 1_000_000)
    time.sleep(0.002)
time.sleep(20)
"""
    outcome = run(mechanism, tmp_path, script, limits=Limits(wall_seconds=20, tree_bytes=20_000_000))
    assert outcome.ended is Ended.DISK_LIMIT
    assert "in the tree" in outcome.message or "written" in outcome.message


def test_a_tree_of_empty_files_ends_the_run(mechanism, tmp_path):
    script = "for number in range(1_000_000): os.close(os.open(str(number), os.O_CREAT))"
    outcome = run(mechanism, tmp_path, script, limits=Limits(wall_seconds=20, tree_files=500))
    assert outcome.ended is Ended.DISK_LIMIT


def test_folders_too_deep_to_walk_do_not_stop_the_audit(tmp_path):
    (tmp_path / "tree").mkdir()
    script = "for _ in range(1200):\n    os.mkdir('long')\n    os.chdir('long')"
    try:
        assert run(best_mechanism(), tmp_path / "tree", script).ok
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "tree"], check=True)


def test_one_file_cannot_grow_without_end(mechanism, tmp_path):
    script = """
import errno
try:
    with open("large", "wb") as file:
        file.seek(10_000_000)
        file.write(b"x")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    outcome = run(mechanism, tmp_path, script, limits=Limits(wall_seconds=20, file_bytes=1_000_000))
    assert lines(outcome) == ["EFBIG"]


def test_long_output_is_counted_and_dropped(mechanism, tmp_path):
    script = "sys.stdout.write('o' * 1_000_000); sys.stderr.write('e' * 3_000)"
    outcome = run(mechanism, tmp_path, script, limits=Limits(wall_seconds=20, stdout_bytes=2_000))
    assert outcome.ok
    assert (outcome.stdout, outcome.stdout_dropped_bytes) == (b"o" * 2_000, 998_000)
    assert (outcome.stderr, outcome.stderr_dropped_bytes) == (b"e" * 2_000, 1_000)


def test_endless_output_ends_the_run(mechanism, tmp_path):
    limits = Limits(wall_seconds=20, stdout_bytes=2_000, output_bytes=5_000_000)
    outcome = run(mechanism, tmp_path, "while True: print('x' * 10_000)", limits=limits)
    assert outcome.ended is Ended.OUTPUT_LIMIT
    assert len(outcome.stdout) == 2_000
    assert outcome.stdout_dropped_bytes < 6_000_000


def test_a_fork_bomb_is_stopped(mechanism, tmp_path):
    script = """
try:
    for number in range(200):
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
except BlockingIOError:
    print("no more")
time.sleep(0.3)
"""
    outcome = run(mechanism, tmp_path, script, limits=Limits(wall_seconds=20, processes=64))
    if outcome.ended is not Ended.PROCESS_LIMIT:
        assert lines(outcome) == ["no more"]


def test_runs_at_the_same_time_do_not_meet(namespaces, tmp_path):
    script = """
os.open("/tmp/ttt_counter", os.O_CREAT | os.O_EXCL)
os.open("/dev/shm/ttt_counter", os.O_CREAT | os.O_EXCL)
open("up", "w")
while not os.path.exists("go"):
    time.sleep(0.01)
print(sorted(name for name in os.listdir("/dev/shm")))
"""
    trees = [tmp_path / "one", tmp_path / "two"]
    seen = {}
    for tree in trees:
        tree.mkdir()

    def start(tree: Path) -> None:
        seen[tree] = lines(run(namespaces, tree, script))

    threads = [threading.Thread(target=start, args=(tree,)) for tree in trees]
    for thread in threads:
        thread.start()
    while not all((tree / "up").exists() for tree in trees) and any(t.is_alive() for t in threads):
        time.sleep(0.01)
    for tree in trees:
        (tree / "go").touch()
    for thread in threads:
        thread.join()
    assert seen == {tree: ["['ttt_counter']"] for tree in trees}


def test_an_exception_in_the_parent_kills_the_child(mechanism, tmp_path, monkeypatch):
    def fail(*_):
        if (tmp_path / "up").exists():
            raise RuntimeError("parent broke")
        return verifier.probe.watch.Usage()

    monkeypatch.setattr(verifier.probe.supervise, "usage_below", fail)
    (tmp_path / "script.py").write_text(STAY)
    mark = f"mark-{os.getpid()}-{mechanism.value}"
    with pytest.raises(RuntimeError, match="parent broke"):
        run_sandboxed(Job((sys.executable, "-I", f"{WORK}/script.py", mark), tmp_path), mechanism)
    assert left_over(mark) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_parent_that_dies_takes_the_child_along(mechanism, tmp_path, number):
    mark = f"mark-{os.getpid()}-{mechanism.value}-{number}"
    (tmp_path / "script.py").write_text(STAY)
    program = f"""
from pathlib import Path
from verifier.probe.sandbox import Job, Mechanism, run_sandboxed
job = Job(({sys.executable!r}, "-I", "{WORK}/script.py", {mark!r}), Path({str(tmp_path)!r}))
run_sandboxed(job, Mechanism({mechanism.value!r}))
"""
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", program], cwd=root, stderr=subprocess.DEVNULL) as parent:
        while not (tmp_path / "up").exists():
            assert parent.poll() is None
            time.sleep(0.01)
        parent.send_signal(number)
    deadline = time.monotonic() + 5
    while left_over(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left_over(mark) == []


def test_a_run_that_kills_its_supervisor_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(verifier.probe.sandbox, "landlock_version", lambda: 0)  # what forbids the signal
    script = (
        ESCAPE + "escape(lambda: time.sleep(60))\ntime.sleep(0.5)\nos.kill(os.getppid(), 9)\ntime.sleep(60)"
    )
    outcome = run(Mechanism.PROCESS, tmp_path, script)
    assert (outcome.ended, outcome.exit_code) == (Ended.SUPERVISOR_LOST, None)
    assert outcome.isolation["filesystem"].startswith("none: ")
    assert outcome.isolation["processes"].startswith("none: ")


def test_the_words_never_promise_more_than_is_there():
    weakest = describe(Mechanism.PROCESS, network=False, filtered=False, landlock=0, shared_proc=False)
    for name in ("network", "filesystem", "processes", "ipc"):
        assert weakest[name].startswith("none")
    for mechanism in Mechanism:
        words = describe(mechanism, network=True, filtered=True, landlock=7, shared_proc=True)
        assert words["network"].startswith("none: the job asked")
        if mechanism is not Mechanism.PROCESS:
            assert "can be read" in words["processes"]


def test_packages_of_the_search_path_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, checkout, plain = tmp_path / "target", tmp_path / "checkout", tmp_path / "plain"
    for folder in (target, checkout, plain):
        folder.mkdir()
    for folder in (target, checkout):
        (folder / "fast_zip-1.0.dist-info").mkdir()
    (checkout / ".git").mkdir()
    (target / "fast_zip.py").write_text("print('seen')")
    monkeypatch.setattr(sys, "path", ["", str(target), str(checkout), str(plain), *sys.path])
    folders = package_folders()
    assert target in folders
    assert checkout not in folders
    assert plain not in folders
    tree = tmp_path / "tree"
    tree.mkdir()
    job = Job((sys.executable, "-c", "import fast_zip"), tree, env={"PYTHONPATH": str(target)}, limits=BRIEF)
    assert run_sandboxed(job).stdout == b"seen\n"


def test_what_was_recorded_cannot_be_taken_back(mechanism, tmp_path):
    tree, records = tmp_path / "tree", (tmp_path / "first", tmp_path / "second")
    tree.mkdir()
    script = """
import os
os.write(3, b"x" * 300_000)
os.write(4, b"other")
for name in ("/proc/self/fd/3", "/proc/self/fd/4"):
    try:
        os.truncate(name, 0)
    except OSError:
        pass
os.write(3, b"y")
os._exit(0)
"""
    (tree / "script.py").write_text(script)
    job = Job((sys.executable, "-I", f"{WORK}/script.py"), tree, records=records)
    assert run_sandboxed(job, mechanism).ok
    assert [each.read_bytes() for each in records] == [b"x" * 300_000 + b"y", b"other"]


def test_an_endless_record_ends_the_run(mechanism, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "script.py").write_text("import os\nwhile True:\n    os.write(3, bytes(65536))")
    limits = Limits(record_bytes=1 << 20)
    argv = (sys.executable, "-I", f"{WORK}/script.py")
    outcome = run_sandboxed(Job(argv, tree, limits=limits, records=(tmp_path / "record",)), mechanism)
    assert outcome.ended is Ended.OUTPUT_LIMIT
    assert (tmp_path / "record").stat().st_size <= 2 << 20
