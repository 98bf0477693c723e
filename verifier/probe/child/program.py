"""Run the submission's script as `__main__`, unmodified, with its data files watched.

Sources that need a newer grammar than this interpreter's are rewritten to the same program in the older
one, also where a packed script executes its own payload. No other source is changed.
"""

from __future__ import annotations

import ast
import builtins
import importlib.machinery
import linecache
import os
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verifier.grammar import downgrade
from verifier.probe.child.rewrite import WATCH, Cut, Watcher, rewrite
from verifier.probe.child.tape import Tape
from verifier.probe.child.uses import used

_wrapped = 0
_watching = False
_cut: Cut | None = None
_plain_exec, _plain_compile = builtins.exec, builtins.compile


def _compile_text(source: str, name: str, flags: int = 0) -> types.CodeType:
    lower = downgrade(source)
    if lower != source:
        used("grammar 3.12 on 3.11")
    tree = _plain_compile(lower, name, "exec", flags=flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    code: types.CodeType = _plain_compile(
        rewrite(tree, _watching, _cut), name, "exec", flags=flags, dont_inherit=True
    )
    return code


def _register(source: str) -> str:
    """Give executed text a name of its own, so that stacks and tracebacks can quote its lines."""
    global _wrapped
    name = "<wrapped>" if _wrapped == 0 else f"<wrapped {_wrapped}>"
    _wrapped += 1
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    return name


def install(tape: Tape, data_folder: str, watch: Watcher | None, cut: Cut | None = None) -> None:
    """Hook `exec`, `compile` and module loading for the grammar, and `open` for the order tape."""
    global _watching, _cut
    _watching, _cut = watch is not None, cut
    if watch is not None:
        setattr(builtins, WATCH, watch)
    folder = str(Path(data_folder).parent)

    def text_of(source: Any) -> str | None:
        if isinstance(source, bytes | bytearray | memoryview):
            source = bytes(source).decode("utf-8", "replace")
        return source if isinstance(source, str) and source.count("\n") > 20 else None

    def run_exec(source: Any, globals: Any = None, locals: Any = None, /, **kwargs: Any) -> None:
        frame = sys._getframe(1)
        if globals is None:
            globals = frame.f_globals
            locals = frame.f_locals if locals is None else locals
        text = text_of(source)
        if text is not None:
            source = _compile_text(text, _register(text))
        _plain_exec(source, globals, globals if locals is None else locals, **kwargs)

    def run_compile(source: Any, filename: Any, mode: str, *args: Any, **kwargs: Any) -> Any:
        text = text_of(source) if mode == "exec" else None
        own = sys._getframe(1).f_code.co_filename.startswith((folder, "<wrapped"))
        if text is not None and own:
            return _compile_text(text, _register(text))
        return _plain_compile(source, filename, mode, *args, **kwargs)

    builtins.exec = run_exec
    builtins.compile = run_compile

    loader = importlib.machinery.SourceFileLoader
    plain_code = loader.source_to_code

    def source_to_code(self: Any, data: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(data, bytes) and str(path).startswith(folder):
            return _compile_text(data.decode("utf-8-sig"), str(path))
        return plain_code(self, data, path, *args, **kwargs)

    loader.source_to_code = source_to_code  # type: ignore[method-assign]

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str) and args[0].endswith(".bin"):
            path = os.path.abspath(args[0])
            if path.startswith(data_folder):
                tape.write("open", path=path.removeprefix(data_folder).lstrip("/"), site=tape.site())

    sys.addaudithook(audit)


def run(script: Path, argv: Sequence[str]) -> None:
    """Execute `script` as `__main__`; its exceptions pass through."""
    module = types.ModuleType("__main__")
    module.__file__ = str(script)
    module.__builtins__ = builtins  # type: ignore[attr-defined]
    sys.modules["__main__"] = module
    sys.argv = [str(script), *argv]
    sys.path.insert(0, str(script.parent))
    source = script.read_bytes().decode("utf-8-sig", "replace")
    code = _compile_text(source, str(script))
    _plain_exec(code, module.__dict__)
