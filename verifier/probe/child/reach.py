"""Notice a script that looks for what audits it, and give it little to find.

An evaluation has no use for the frames of its callers, for all live objects, for another process in /proc or for
the audit's own files; not one of the contest's scripts asks for them. Asking is put on the tape at once, so
that what is found cannot be used to take it back. The audit's modules and arguments are put out of
sight: a script that goes by those sees none, and does what it does unwatched.

Cannot see: what the script infers from speed, from the device, from the size of the run or from closures of what
stands in for the library; and memory that is read in C.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import torch

from verifier.probe.child.tape import LineTee, Tape
from verifier.probe.child.uses import stand_in

MOST_NOTES = 200
_OWN, _INSTALLED = "verifier", "__editable___pgolf_verify"
_FRAMES = "the frames of its callers"
_OBJECTS = "all live objects"
_EVENTS = {
    "sys._getframe": _FRAMES,
    "sys._current_frames": _FRAMES,
    "sys.settrace": "a trace function",
    "sys.setprofile": "a profile function",
    "sys.addaudithook": "an audit hook",
    "gc.get_objects": _OBJECTS,
    "gc.get_referrers": _OBJECTS,
    "gc.get_referents": _OBJECTS,
}
_ATTRIBUTES = {"tb_frame": _FRAMES, "gi_frame": _FRAMES, "cr_frame": _FRAMES, "ag_frame": _FRAMES}
_MODES = ("_len_torch_function_stack", "_get_function_stack_at", "_pop_torch_function_stack")
_TELLING = frozenset(
    ("cmdline", "environ", "maps", "smaps", "mem", "stack", "exe", "comm", "task", "map_files")
)
"""Of a process; how much memory it takes is asked by honest scripts too."""
_STDLIB = sysconfig.get_path("stdlib")
_THROUGH = (
    "<frozen ",
    *(f"{_STDLIB}/{name}" for name in ("inspect.py", "traceback.py", "pathlib.py", "importlib/")),
)
"""Code that asks on behalf of its caller. The rest of the library has reasons of its own: `logging` looks for
the line that logs, `traceback` for the lines of an error."""


def install(tape: Tape, root: Path, wrapped: Path, private: tuple[Path, ...]) -> None:
    """Watch for the rest of the process. `private` are files of the audit that no script needs."""
    own = (f"{root}/", f"{wrapped}/")
    secret = tuple(map(str, private))
    busy: set[int] = set()
    noted: set[tuple[str, int]] = set()

    def note(what: str) -> None:
        site = tape.site()
        if (what, site) not in noted and len(noted) < MOST_NOTES:
            noted.add((what, site))
            tape.write("reach", site=site, what=what)
            tape.flush()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        look = readers.get(event)
        if look is None:
            return
        thread = threading.get_ident()
        if thread in busy:  # what is done in here raises events too
            return
        busy.add(thread)
        try:
            what, asking = look(args), sys._getframe(1)
            direct = event != "object.__getattr__" or asking.f_code.co_filename.startswith(own)
            if what and direct and _asked_by(own, asking):
                note(what)
        finally:
            busy.discard(thread)

    def opened(args: tuple[Any, ...]) -> str | None:
        if not isinstance(args[0], str | bytes | os.PathLike):
            return None
        path = os.path.realpath(os.fsdecode(args[0]))
        parts = path.split("/")
        if path.startswith("/proc/") and len(parts) > 3 and parts[2].isdigit() and parts[3] in _TELLING:
            return "a process in /proc"
        return "a file of the audit" if path.startswith(secret) else None

    readers: dict[str, Callable[[tuple[Any, ...]], str | None]] = {
        **{event: _always(what) for event, what in _EVENTS.items()},
        "object.__getattr__": lambda args: _ATTRIBUTES.get(args[1]),
        "open": opened,
        "os.listdir": lambda args: "the list of processes" if args[0] == "/proc" else None,
        "os.scandir": lambda args: "the list of processes" if args[0] == "/proc" else None,
    }
    _hide(own, note)
    for name in filter(torch._C.__dict__.__contains__, _MODES):
        stand_in(torch._C, **{name: _noticed(getattr(torch._C, name), own, note)})
    sys.addaudithook(hook)


def _is_own(name: str) -> bool:
    return name.partition(".")[0] == _OWN or name.startswith(_INSTALLED)


def _always(what: str) -> Callable[[tuple[Any, ...]], str | None]:
    return lambda args: what


def _asked_by(own: tuple[str, ...], frame: FrameType | None) -> bool:
    """Whether the submission asked, itself or through what asks for it."""
    while frame is not None and frame.f_code.co_filename.startswith(_THROUGH):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(own)


def _noticed(function: Any, own: tuple[str, ...], note: Callable[[str], None]) -> Any:
    def noticed(*args: Any) -> Any:
        if _asked_by(own, sys._getframe(1)):
            note("the modes that torch calls go through")
        return function(*args)

    return noticed


class _Hidden:
    """A finder that has the audit's modules for libraries, which name classes by their module, and not for a script."""

    def __init__(
        self, own: tuple[str, ...], note: Callable[[str], None], modules: dict[str, ModuleType]
    ) -> None:
        self._own = own
        self._note = note
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not _is_own(name):
            return None
        asked = _asked_by(self._own, sys._getframe(1))
        if asked:
            self._note("the verifier")
        if asked or name not in self._modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """It ran long ago."""


def _hide(own: tuple[str, ...], note: Callable[[str], None]) -> None:
    modules = {name: each for name, each in sys.modules.items() if _is_own(name)}
    for name in modules:
        del sys.modules[name]
    sys.meta_path.insert(0, _Hidden(own, note, modules))
    sys.orig_argv[:] = [sys.executable, *sys.argv]
    LineTee.__module__ = "io"
