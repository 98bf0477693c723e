"""What a sandboxed run sees of the host: named system folders, read-only, and the interpreter.

The list is of what is shown, never of what is hidden: home folders, other data and secrets that nobody
thought of stay out because nobody put them in.
"""

from __future__ import annotations

import site
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WORK = "/tmp/audit"
"""Where every run finds its tree: scripts derive seeds and names from resolved paths."""
HOME = "/tmp/home"
SCRATCH = ("/tmp", "/var/tmp", "/run", "/dev/shm", "/workspace", "/data", "/content")
"""Private folders of each run, all on one memory file system of bounded size; the last ones are those of
rented machines, which scripts name."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_ETC = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone")
_ETC_NETWORK = ("resolv.conf", "nsswitch.conf", "ssl", "pki", "ca-certificates")
_HARDWARE = ("/sys/devices/system/cpu", "/sys/devices/system/node")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_DEVICE_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
)
_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = ("*.dist-info", "*.egg-info")
_PACKAGE_FOLDERS = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True)
class View:
    """Bind mounts in order as (source, target, mode), symbolic links, and small files made up here."""

    binds: tuple[tuple[str, str, str], ...]
    symlinks: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]

    @property
    def readable(self) -> tuple[str, ...]:
        return tuple(source for source, _, mode in self.binds if mode == "ro")


def view(network: bool, expose: tuple[Path, ...], uid: int, gid: int) -> View:
    """The part of the view that does not depend on the tree of one job."""
    binds: dict[str, tuple[str, str]] = {}
    symlinks = list(_DEVICE_LINKS)
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            symlinks.append((str(path.readlink()), name))
        elif path.exists():
            binds[name] = (name, "ro")
    etc = _ETC + (_ETC_NETWORK if network else ())
    for path in (*_interpreter(), *(Path("/etc") / name for name in etc), *map(Path, _HARDWARE), *expose):
        for target in dict.fromkeys((path.absolute(), path.resolve())):
            if target.exists() and not any(_covers(bound, target) for bound in binds):
                mode = "dev" if target.is_char_device() else "ro"
                binds[str(target)] = (str(target.resolve()), mode)
    for name in DEVICES:
        binds[name] = (name, "dev")
    files = (
        ("/etc/passwd", f"audit:x:{uid}:{gid}:audit:{HOME}:/bin/sh\n"),
        ("/etc/group", f"audit:x:{gid}:\n"),
        ("/etc/hosts", "127.0.0.1 localhost audit\n"),
    )
    return View(
        tuple((source, target, mode) for target, (source, mode) in binds.items()), tuple(symlinks), files
    )


def _interpreter() -> Iterator[Path]:
    """Where this Python and the two packages live; a virtual environment and its base are two places."""
    yield from (
        Path(prefix) for prefix in (sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix)
    )
    executable = Path(sys.executable)
    while executable.is_symlink():  # each stop on the way to the program must exist for the next one
        executable = executable.parent / executable.readlink()
        yield executable.parent
    yield from (Path(folder) for folder in site.getsitepackages())
    yield from package_folders()
    yield _PACKAGE
    yield _PACKAGE.with_name("pgolf")


def package_folders() -> tuple[Path, ...]:
    """Folders of this interpreter's search path that packages were installed in, in its order.

    A user's own packages, a `--target` folder and PYTHONPATH are there. A source checkout is not: what lies
    beside the code is nobody's business, and the two packages of the audit are shown by themselves.
    """
    folders: dict[Path, None] = {}
    for entry in sys.path:
        folder = Path(entry).absolute() if entry else None
        if folder is None or not folder.is_dir() or folder == _PACKAGE.parent:
            continue
        installed = folder.name in _PACKAGE_FOLDERS or any(any(folder.glob(each)) for each in _INSTALLED)
        if installed and not _is_source(folder):
            folders[folder] = None
    return tuple(folders)


def _is_source(folder: Path) -> bool:
    """A checkout that was installed in place holds its own metadata, and much else."""
    return any((folder / name).exists() for name in (".git", "pyproject.toml", "setup.py"))


def _covers(bound: str, path: Path) -> bool:
    """True when a folder is visible already because a folder above it is bound at its own place."""
    return path.is_relative_to(bound) and path.resolve().is_relative_to(Path(bound).resolve())
