"""The first code of a sandboxed run: it shuts every door, then turns into the submission.

`verifier.probe.sandbox` starts this file as a script (`python -I -S launcher.py STATUS_FD`), so that no
thread, file or module of the auditing process comes along, and sends a plan over stdin. Three processes
result: this one (outside, waits and cleans up), process 1 of the new process namespace (reaps), and the
submission, which alone loses all privileges. Only the first two hold the status pipe.

Imports are few because every run pays for them; this file uses nothing else of the package.
"""

from __future__ import annotations

# The C half of `signal`: the public module first builds enums, which takes longer than all imports above.
import _signal as signal  # type: ignore[import-not-found]
import ctypes
import errno
import marshal
import os
import resource
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Plan = dict[str, Any]

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 1, 2, 4, 8
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 36, 38, 47, 4
SECCOMP_MODE_FILTER = 2
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
SYS_MOUNT_SETATTR = 442
SYS_LANDLOCK_CREATE_RULESET, SYS_LANDLOCK_ADD_RULE, SYS_LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_RULE_PATH_BENEATH = 1

OLD = "/old"
"""Where the host's file system hangs while the new one is built; detached before the submission starts."""
LAUNCH_FAILED = 125

libc = ctypes.CDLL(None, use_errno=True)


class Stop(Exception):
    """The auditing process asked for the end, or died."""


def call(step: str, name: str, *args: Any) -> int:
    """A libc function that returns -1 and sets errno; the step names it in the message."""
    result: int = getattr(libc, name)(*args)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{step}: {os.strerror(code)}")
    return result


def prctl(step: str, option: int, value: int = 0, third: Any = 0) -> None:
    zero = ctypes.c_ulong(0)
    call(step, "prctl", option, ctypes.c_ulong(value), third or zero, zero, zero)


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, options: str = "") -> None:
    call(
        f"mount {target}",
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode(),
    )


def set_mount_attributes(target: str, attributes: int, flags: int) -> None:
    fields = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(fields))
    pointer = ctypes.byref(fields)
    path = os.fsencode(target)
    call(f"mount_setattr {target}", "syscall", SYS_MOUNT_SETATTR, AT_FDCWD, path, flags, pointer, size)


def restrict_mount(target: str, attributes: int) -> None:
    """Add attributes to a mount and all below it, which a plain remount does not reach (Linux 5.12)."""
    set_mount_attributes(target, attributes, AT_RECURSIVE)


def report(status: int, key: str, *values: object) -> None:
    line = " ".join([key, *(str(value).replace("\n", " ") for value in values)]) + "\n"
    os.write(status, line.encode("utf-8", "backslashreplace"))


def write_file(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.write(descriptor, text.encode())
    os.close(descriptor)


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
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,nr_inodes=16k,mode=755")
    os.mkdir("/tmp" + OLD)
    machine = os.uname().machine
    call("pivot_root", "syscall", SYS_PIVOT_ROOT[machine], b"/tmp", os.fsencode("/tmp" + OLD))
    os.chdir("/")
    os.mkdir("/scratch")
    options = f"size={plan['scratch_bytes']},nr_inodes={plan['scratch_files']},mode=755"
    mount("tmpfs", "/scratch", "tmpfs", MS_NOSUID | MS_NODEV, options)
    for index, target in enumerate(plan["scratch"]):
        part = f"/scratch/{index}"
        os.mkdir(part)
        os.chmod(part, 0o1777)
        os.makedirs(target, exist_ok=True)
        mount(part, target, None, MS_BIND)
    call("umount /scratch", "umount2", b"/scratch", MNT_DETACH)
    for source, target, mode in plan["binds"]:
        make_target(OLD + source, target)
        mount(OLD + source, target, None, MS_BIND | MS_REC)
        if mode == "dev":
            continue
        restrict_mount(target, ATTR_NOSUID | ATTR_NODEV | (ATTR_RDONLY if mode == "ro" else 0))
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


def mount_proc(status: int) -> None:
    try:
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        restrict_mount("/proc", ATTR_RDONLY)
    except PermissionError:
        # Containers cover parts of /proc, and the kernel then refuses an uncovered one to user namespaces.
        mount(OLD + "/proc", "/proc", None, MS_BIND | MS_REC)
        restrict_mount("/proc", ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC)
        report(status, "shared-proc")


def drop_capabilities(plan: Plan) -> None:
    """Ids first where the caller is root, then every capability set; no_new_privs keeps them gone."""
    if plan["privileged"]:
        for capability in range(LAST_CAPABILITY + 1):
            try:
                prctl("drop bounding set", PR_CAPBSET_DROP, capability)
            except OSError as error:
                if error.errno != errno.EINVAL:  # EINVAL: past the last capability of this kernel
                    raise
    if plan["switch_user"]:
        os.setgroups([])
        os.setresgid(plan["gid"], plan["gid"], plan["gid"])
        os.setresuid(plan["uid"], plan["uid"], plan["uid"])
    prctl("clear ambient set", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    empty = (ctypes.c_uint32 * 6)()
    number = SYS_CAPSET[os.uname().machine]
    call("capset", "syscall", number, ctypes.byref(header), ctypes.byref(empty))
    prctl("no_new_privs", PR_SET_NO_NEW_PRIVS, 1)


def filter_syscalls(program: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]

    block = Program(len(program) // 8, program)
    prctl("seccomp", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(block))


def restrict_paths(landlock: dict[str, Any]) -> None:
    """Landlock, the kernel's unprivileged access control: named trees, no other file, port or signal."""
    attribute = ctypes.create_string_buffer(landlock["attribute"], len(landlock["attribute"]))
    size = ctypes.c_size_t(len(landlock["attribute"]))
    ruleset = call(
        "landlock ruleset", "syscall", SYS_LANDLOCK_CREATE_RULESET, ctypes.byref(attribute), size, 0
    )
    for path, access in landlock["paths"]:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = access.to_bytes(8, sys.byteorder) + descriptor.to_bytes(4, sys.byteorder)
        kind = LANDLOCK_RULE_PATH_BENEATH
        call(f"landlock {path}", "syscall", SYS_LANDLOCK_ADD_RULE, ruleset, kind, rule, 0)
        os.close(descriptor)
    call("landlock", "syscall", SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def become_submission(plan: Plan, status: int) -> NoReturn:
    """The last steps, in the process that the submission takes over."""
    try:
        os.setsid()
        os.chdir(plan["cwd"])
        for which, value in plan["rlimits"]:
            hard = resource.getrlimit(which)[1]
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (bound, bound))
        drop_capabilities(plan)
        if not plan["namespaces"]:
            prctl("parent death signal", PR_SET_PDEATHSIG, signal.SIGKILL)
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.closerange(3, status)
        os.closerange(status + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        if plan["landlock"]:
            restrict_paths(plan["landlock"])
        report(status, "ready")
        if plan["seccomp"]:
            filter_syscalls(plan["seccomp"])
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
        prctl("parent death signal", PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.read(lifeline, 1) != b"1":
            os._exit(LAUNCH_FAILED)  # the launcher died before the line above
        mount_proc(status)
        call("detach the host", "umount2", os.fsencode(OLD), MNT_DETACH)
        os.rmdir(OLD)
        os.rmdir("/scratch")
        # The root folder alone: the mounts on it keep their own mode.
        set_mount_attributes("/", ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, 0)
        call("sethostname", "sethostname", b"audit", 5)
        child = os.fork()
        if child == 0:
            become_submission(plan, status)
        reap_until(child, status)
        os._exit(0)
    except BaseException as error:
        report(status, "failed", f"{type(error).__name__}: {error}")
    os._exit(LAUNCH_FAILED)


def run_in_namespaces(plan: Plan, status: int) -> None:
    call("unshare", "unshare", plan["unshare"])
    if plan["unshare"] & CLONE_NEWUSER:
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
    prctl("subreaper", PR_SET_CHILD_SUBREAPER, 1)
    prctl("not dumpable", PR_SET_DUMPABLE, 0)  # the submission has our user id: it must not open our pipe
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
        plan: Plan = marshal.loads(sys.stdin.buffer.read())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, stop)
        prctl("parent death signal", PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != plan["parent"]:
            return
        os.umask(0o022)
        (run_in_namespaces if plan["namespaces"] else run_without_namespaces)(plan, status)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        report(status, "usage", usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
    except Stop:
        pass
    except BaseException as error:
        report(status, "failed", f"{type(error).__name__}: {error}")
    os._exit(0)


if __name__ == "__main__":
    main()
