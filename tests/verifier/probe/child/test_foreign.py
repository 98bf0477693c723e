"""Stand-ins answer only for what cannot be imported."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator

import pytest

from verifier.probe.child import foreign
from verifier.probe.child.foreign import STAND_INS, Finder


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Finder]:
    made = Finder()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, made])
    before = set(sys.modules)
    yield made
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in STAND_INS:
            del sys.modules[name]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("flash_attn_interface", "flash_attn_func flash_attn_varlen_func"),
        ("flash_attn.flash_attn_interface", "flash_attn_func"),
        ("flash_attn_3.flash_attn_interface", "flash_attn_func"),
        ("hopper.flash_attn_interface", "flash_attn_func"),
        ("triton", "language jit cdiv autotune Config"),
        ("triton.language", "load store float32 constexpr"),
        ("triton.language.extra.libdevice", "tanh"),
        ("triton.tools.tensor_descriptor", "TensorDescriptor"),
        ("wandb", "init log"),
        ("tqdm", "tqdm"),
    ],
)
def test_missing_modules_are_made(
    finder: Finder, monkeypatch: pytest.MonkeyPatch, module: str, names: str
) -> None:
    if importlib.machinery.PathFinder.find_spec(module.partition(".")[0]) is not None:
        pytest.skip("the real one is here")
    made = importlib.import_module(module)
    assert all(hasattr(made, name) for name in names.split())


def test_nothing_else_is_made(finder: Finder) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_package_of_anyone")
    assert importlib.util.find_spec("json") is not None
    assert finder.find_spec("json") is None


def test_it_stands_behind_every_other_finder(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(sys.meta_path)
    monkeypatch.setattr(sys, "meta_path", list(before))
    monkeypatch.setattr(foreign.triton_stub, "install", lambda: None)
    monkeypatch.setattr(foreign.dynamo, "install", lambda: None)
    monkeypatch.setattr(foreign.programs, "install", lambda: None)
    foreign.install()
    assert sys.meta_path[:-1] == before
    assert isinstance(sys.meta_path[-1], Finder)


def test_a_progress_bar_is_its_iterable() -> None:
    bar = STAND_INS["tqdm"]("tqdm").tqdm(range(3), desc="x")
    bar.set_postfix(loss=1.0)
    assert list(bar) == [0, 1, 2]
