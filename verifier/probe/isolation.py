"""The ways to isolate a run, strongest first, and what each of them really shuts off, in words."""

from __future__ import annotations

from enum import StrEnum


class Mechanism(StrEnum):
    """How a run is cut off from the host; `verifier.probe.sandbox.mechanism` picks the first that works."""

    ROOT = "root"
    """Namespaces made by root; the submission runs under a user id that nothing else has."""
    USER = "user"
    """Namespaces made inside a user namespace, as any ordinary user can where the system permits it."""
    PROCESS = "process"
    """No namespaces: process limits, system call filter, Landlock, and a watcher that kills what escapes."""


def describe(
    mechanism: Mechanism, network: bool, filtered: bool, landlock: int, shared_proc: bool
) -> dict[str, str]:
    """One line for each thing that a submission could reach for, saying what stands in its way."""
    if mechanism is Mechanism.PROCESS:
        return _without_namespaces(network, filtered, landlock)
    processes = "own process namespace, killed as a whole"
    if shared_proc:
        processes += "; the host's process list can be read, since the kernel refuses an own /proc here"
    return {
        "network": "none: the job asked for the host's network"
        if network
        else "own namespace, no interface up",
        "filesystem": "own root: system and interpreter read-only, the tree, scratch memory of bounded size",
        "processes": processes,
        "ipc": "own namespace",
        "memory": "sampled sum over all processes, and a hard bound on each one's data",
        "privileges": _privileges(
            "own user id, no capabilities"
            if mechanism is Mechanism.ROOT
            else "the caller's user id mapped into a user namespace, no capabilities",
            filtered,
        ),
    }


def _without_namespaces(network: bool, filtered: bool, landlock: int) -> dict[str, str]:
    if network:
        wire = "none: the job asked for the host's network"
    elif filtered:
        wire = "no sockets but pairs (system call filter)"
    elif landlock >= 4:
        wire = "no TCP (Landlock); other protocols are open"
    else:
        wire = "none: no namespaces are permitted here and no filter is known for this machine"
    files = "none: writes are limited by the caller's own permissions only"
    processes = "none: the host's processes can be seen and signalled; what the run leaves is killed"
    if landlock:
        files = (
            "Landlock: only the tree, /tmp and /dev/shm can be written, the last two shared with the host; "
            "modes, owners and times of the caller's other files are not protected"
        )
        processes = "the host's processes can be listed, not read (Landlock); what the run leaves is killed"
    if landlock >= 6:
        processes = processes.replace("not read", "not read or signalled")
    return {
        "network": wire,
        "filesystem": files,
        "processes": processes,
        "ipc": "System V memory refused (system call filter), /dev/shm shared" if filtered else "none",
        "memory": "sampled sum over all processes, and a hard bound on each one's data",
        "privileges": _privileges("the caller's user id, no capabilities", filtered),
    }


def _privileges(identity: str, filtered: bool) -> str:
    return f"{identity}, no new privileges, " + (
        "system calls filtered" if filtered else "all system calls open"
    )
