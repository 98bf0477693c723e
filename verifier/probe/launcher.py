"""The first code of a sandboxed run: it shuts every door, then turns into the submission.

`verifier.probe.supervise` starts it in a fresh interpreter, so that no thread, file or module of the
auditing process comes along, and sends a plan over stdin. Three processes result: this one (outside, waits
and cleans up), process 1 of the new process namespace (reaps), and the submission, which alone loses all
privileges. Only the first two keep the status pipe.

Imports are few because every run pays for them.
"""

from __future__ import annotations

# The C half of `signal`: the public module first builds enums, which takes longer than all imports above.
import _signal as signal  # type: ignore[import-not-found]
import marshal
import os
import resource
import sys

from verifier.probe import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Plan = dict[str, Any]

OLD = "/old"
"""Where the host's file system hangs while the new one is built; detached before the submission starts."""
LAUNCH_FAILED = 125


class Stop(Exception):
    """The auditing process asked for the end, or died."""


def write_file(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def report(status: int, key: str, *values: object) -> None:
    line = " ".join([key, *(str(value).replace("\n", " ") for value in values)]) + "\n"
    os.write(status, line.encode("utf-8", "backslashreplace"))


def map_user(plan: Plan) -> None:
    """Keep the caller's own ids inside the new user namespace; all others become unmapped."""
    write_file("/proc/self/setgroups", "deny")
    write_file("/proc/self/uid_map", f"{plan['uid']} {plan['uid']} 1")
    write_file("/proc/self/gid_map", f"{plan['gid']} {plan['gid']} 1")


def make_target(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        write_file(target, "")


def build_root(plan: Plan) -> None:
    """A new root of named parts of the host, read-only, over one scratch memory file system of fixed size."""
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount(
        "tmpfs", "/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=4m,nr_inodes=16k,mode=755"
    )
    os.mkdir("/tmp" + OLD)
    kernel.pivot_root("/tmp", "/tmp" + OLD)
    os.chdir("/")
    os.mkdir("/scratch")
    options = f"size={plan['scratch_bytes']},nr_inodes={plan['scratch_files']},mode=755"
    kernel.mount("tmpfs", "/scratch", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    for index, target in enumerate(plan["scratch"]):
        part = f"/scratch/{index}"
        os.mkdir(part)
        os.chmod(part, 0o1777)
        os.makedirs(target, exist_ok=True)
        kernel.mount(part, target, None, kernel.MS_BIND)
    kernel.detach("/scratch")
    for source, target, mode in plan["binds"]:
        make_target(OLD + source, target)
        kernel.mount(OLD + source, target, None, kernel.MS_BIND | kernel.MS_REC)
        if mode == "dev":
            continue
        kernel.restrict_mount(
            target, kernel.ATTR_NOSUID | kernel.ATTR_NODEV | (kernel.ATTR_RDONLY if mode == "ro" else 0)
        )
    for target, path in plan["symlinks"]:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)
    for path, text in plan["files"]:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_file(path, text)
    for path in plan["folders"]:
        os.makedirs(path, exist_ok=True)
        os.chown(path, plan["uid"], plan["gid"])
    os.makedirs("/proc", exist_ok=True)


def mount_proc(status: int, writable: bool) -> None:
    try:
        kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
        if not writable:
            kernel.restrict_mount("/proc", kernel.ATTR_RDONLY)
    except PermissionError:
        # Containers cover parts of /proc, and the kernel then refuses an uncovered one to user namespaces.
        kernel.mount(OLD + "/proc", "/proc", None, kernel.MS_BIND | kernel.MS_REC)
        kernel.restrict_mount(
            "/proc", kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV | kernel.ATTR_NOEXEC
        )
        report(status, "shared-proc")


def clear_of(descriptor: int, first: int) -> int:
    """The same file at a number that is not below `first`."""
    while descriptor < first:
        descriptor = os.dup(descriptor)
    return descriptor


def become_submission(plan: Plan, status: int) -> NoReturn:
    """The last steps, in the process that the submission takes over."""
    try:
        os.setsid()
        os.chdir(plan["cwd"])
        for which, value in plan["rlimits"]:
            hard = resource.getrlimit(which)[1]
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (bound, bound))
        kernel.drop_bounding_set()
        if plan["switch_user"]:
            os.setgroups([])
            os.setresgid(plan["gid"], plan["gid"], plan["gid"])
            os.setresuid(plan["uid"], plan["uid"], plan["uid"])
        kernel.drop_capabilities()
        if not plan["namespaces"]:
            kernel.prctl("parent death signal", kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        free = 3 + len(plan["records"])
        status, *records = (clear_of(each, free) for each in (status, *plan["records"]))
        for number, descriptor in enumerate(records, 3):
            os.dup2(descriptor, number)
        os.closerange(free, status)
        os.closerange(status + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        if plan["landlock"]:
            kernel.restrict_paths(plan["landlock"])
        report(status, "ready")
        if plan["seccomp"]:
            kernel.filter_syscalls(plan["seccomp"])
        os.execve(plan["argv"][0], plan["argv"], plan["env"])
    except BaseException as error:
        report(status, "failed", f"{type(error).__name__}: {error}")
    os._exit(LAUNCH_FAILED)


def reap_until(child: int, status: int) -> None:
    """Wait for the submission, collecting the orphans that become ours meanwhile."""
    while True:
        pid, code, _ = os.wait4(-1, 0)
        if pid == child:
            report(status, "exit", os.waitstatus_to_exitcode(code))
            return


def be_process_one(plan: Plan, status: int, lifeline: int) -> NoReturn:
    """Process 1 of the namespace: when it ends, the kernel kills whatever is left inside."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the kernel drops what process 1 does not handle
        kernel.prctl("parent death signal", kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.read(lifeline, 1) != b"1":
            os._exit(LAUNCH_FAILED)  # the launcher died before the line above
        mount_proc(status, plan["proc_writable"])
        kernel.detach(OLD)
        os.rmdir(OLD)
        os.rmdir("/scratch")
        # The root folder alone: the mounts on it keep their own mode.
        kernel.set_mount_attributes("/", kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV, 0)
        kernel.call("sethostname", "sethostname", b"audit", 5)
        child = os.fork()
        if child == 0:
            become_submission(plan, status)
        reap_until(child, status)
        os._exit(0)
    except BaseException as error:
        report(status, "failed", f"{type(error).__name__}: {error}")
    os._exit(LAUNCH_FAILED)


def run_in_namespaces(plan: Plan, status: int) -> None:
    kernel.call("unshare", "unshare", plan["unshare"])
    if plan["unshare"] & kernel.CLONE_NEWUSER:
        map_user(plan)
    build_root(plan)
    lifeline, alive = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(alive)
        be_process_one(plan, status, lifeline)
    try:
        os.write(alive, b"1")
        os.waitpid(child, 0)
    except Stop:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as children:
                found += [int(child) for child in children.read().split()]
    except OSError:
        return found
    return found + [below for child in found for below in descendants(child)]


def kill_descendants() -> None:
    """As the reaper of orphans, every process that is left is below us; kill until none is."""
    while True:
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return


def run_without_namespaces(plan: Plan, status: int) -> None:
    kernel.prctl("subreaper", kernel.PR_SET_CHILD_SUBREAPER, 1)
    kernel.prctl(
        "not dumpable", kernel.PR_SET_DUMPABLE, 0
    )  # the submission has our user id: it must not open our pipe
    child = os.fork()
    if child == 0:
        become_submission(plan, status)
    try:
        reap_until(child, status)
    except Stop:
        pass
    finally:
        kill_descendants()


def stop(signum: int, frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stop


def main() -> None:
    status = int(sys.argv[1])
    os.set_inheritable(status, False)
    try:
        if sys.platform != "linux":
            raise OSError("the sandbox needs Linux; a container or virtual machine will do")
        plan: Plan = marshal.loads(sys.stdin.buffer.read())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, stop)
        kernel.prctl("parent death signal", kernel.PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != plan["parent"]:
            return
        os.umask(0o022)
        write_file("/proc/self/oom_score_adj", "1000")  # if the host runs out of memory, this goes first
        (run_in_namespaces if plan["namespaces"] else run_without_namespaces)(plan, status)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        report(status, "usage", usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
    except Stop:
        pass
    except BaseException as error:
        report(status, "failed", f"{type(error).__name__}: {error}")
    os._exit(0)
