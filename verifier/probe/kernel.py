"""The system calls of the launcher, each an OSError with its step's name when the kernel refuses.

Through ctypes, since the standard library has none of them before Python 3.12 and few after. Few imports:
every run pays for them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
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

libc = ctypes.CDLL(None, use_errno=True)


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


def pivot_root(root: str, old: str) -> None:
    number = SYS_PIVOT_ROOT[os.uname().machine]
    call("pivot_root", "syscall", number, os.fsencode(root), os.fsencode(old))


def detach(target: str) -> None:
    call(f"umount {target}", "umount2", os.fsencode(target), MNT_DETACH)


def set_mount_attributes(target: str, attributes: int, flags: int) -> None:
    fields = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(fields))
    pointer = ctypes.byref(fields)
    path = os.fsencode(target)
    call(f"mount_setattr {target}", "syscall", SYS_MOUNT_SETATTR, AT_FDCWD, path, flags, pointer, size)


def restrict_mount(target: str, attributes: int) -> None:
    """Add attributes to a mount and all below it, which a plain remount does not reach (Linux 5.12)."""
    set_mount_attributes(target, attributes, AT_RECURSIVE)


def drop_bounding_set() -> None:
    """Give up what any later program could gain; without the right to do so there is little to give up."""
    for capability in range(LAST_CAPABILITY + 1):
        try:
            prctl("drop bounding set", PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EPERM:
                return
            if error.errno != errno.EINVAL:  # EINVAL: past the last capability of this kernel
                raise


def drop_capabilities() -> None:
    """Empty every set of this process; no_new_privs then keeps any program from getting one back."""
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
