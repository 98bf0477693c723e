"""Which system calls a submission may not make, as programs for the kernel (seccomp and Landlock).

A namespace hides things; these filters also close what namespaces leave open: memory outside the
accounts (memfd, System V), sockets that no network namespace covers (vsock, kernel crypto), ways around
the filter (io_uring), and new user namespaces with their larger attack surface.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path
from typing import Any

_DENIED = {
    # name: (x86_64, aarch64), numbers of the kernel's two call tables
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "request_key": (249, 218),
    "setns": (308, 268),
    "settimeofday": (170, 170),
    "shmget": (29, 194),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "userfaultfd": (323, 282),
}
_CLONE3 = 435
_WITH_FLAGS = {"clone": (56, 220), "unshare": (272, 97)}
_SOCKET = (41, 198)
_NEW_NAMESPACE = 0x7E020080  # every CLONE_NEW* flag; the time namespace's bit is clone's exit signal
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
NAMESPACED_FAMILIES = (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)
"""Socket families that a network namespace covers."""

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16

_LANDLOCK_CREATE_RULESET = 444
_READ = 0b1101  # execute, read file, read folder
_FILE_ONLY = 0b1100_0000_0000_0111  # the rights that apply to a file rather than a folder


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def syscall_filter(families: tuple[int, ...] | None) -> bytes | None:
    """The seccomp program; None on a machine whose call numbers are unknown here.

    `families` are the socket families left open; None leaves them all.
    """
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return None
    column, arch = machine
    refuse = _step(_RETURN, _ERRNO | errno.EPERM)
    program = [_step(_LOAD, _ARCH), _step(_JUMP_EQUAL, arch, 1), _step(_RETURN, _KILL), _step(_LOAD, _NUMBER)]
    if column == 0:
        program += [_step(_JUMP_GREATER_EQUAL, _X32, 0, 1), _step(_RETURN, _KILL)]
    for numbers in _DENIED.values():
        program += [_step(_JUMP_EQUAL, numbers[column], 0, 1), refuse]
    # clone3's flags lie in memory where no filter can look; told that it is missing, libc calls clone.
    program += [_step(_JUMP_EQUAL, _CLONE3, 0, 1), _step(_RETURN, _ERRNO | errno.ENOSYS)]
    for numbers in _WITH_FLAGS.values():
        program += [
            _step(_JUMP_EQUAL, numbers[column], 0, 4),
            _step(_LOAD, _FIRST_ARGUMENT),
            _step(_JUMP_SET, _NEW_NAMESPACE, 0, 1),
            refuse,
            _step(_RETURN, _ALLOW),
        ]
    if families is not None:
        program += [_step(_JUMP_EQUAL, _SOCKET[column], 1, 0), _step(_RETURN, _ALLOW)]
        program += [_step(_LOAD, _FIRST_ARGUMENT)]
        for family in families:
            program += [_step(_JUMP_EQUAL, family, 0, 1), _step(_RETURN, _ALLOW)]
        program += [refuse]
    program += [_step(_RETURN, _ALLOW)]
    return b"".join(program)


def landlock_version() -> int:
    """The kernel's Landlock interface version; 0 where it has none or has it switched off."""
    libc = ctypes.CDLL(None, use_errno=True)
    version: int = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    return max(version, 0)


def landlock_rules(
    version: int, readable: tuple[str, ...], writable: tuple[str, ...], network: bool
) -> dict[str, Any] | None:
    """Which trees may be read and written where there are no namespaces; all other files are refused."""
    if version < 1:
        return None
    rights = 0x1FFF | (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0)
    attribute = struct.pack("=Q", rights)
    if version >= 4:
        attribute += struct.pack("=Q", 0 if network else 0b11)  # binding and connecting TCP ports
    if version >= 6:
        attribute += struct.pack("=Q", 0b11)  # abstract sockets and signals to processes outside
    paths = []
    for names, access in ((readable, _READ), (writable, rights)):
        for name in names:
            path = Path(name)
            if path.exists():
                paths.append((str(path.resolve()), access if path.is_dir() else access & _FILE_ONLY & rights))
    return {"attribute": attribute, "paths": paths}
