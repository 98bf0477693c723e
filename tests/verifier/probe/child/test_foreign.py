"""Packages that need a GPU are stand-ins everywhere; the others only where they cannot be imported."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator

import pytest

from verifier.probe.child import foreign
from verifier.probe.child.foreign import KERNELS, MISSING, Finder

STAND_INS = {**KERNELS, **MISSING}


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Finder]:
    made = Finder(STAND_INS)
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
        ("kernels", "get_kernel"),
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


def test_gpu_packages_come_first_and_missing_ones_last(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(sys.meta_path)
    monkeypatch.setattr(sys, "meta_path", list(before))
    for each in (foreign.triton_stub, foreign.dynamo, foreign.programs):
        monkeypatch.setattr(each, "install", lambda: None)
    foreign.install(types.ModuleType)
    first, *middle, last = sys.meta_path
    assert middle == before
    assert isinstance(first, Finder)
    assert isinstance(last, Finder)
    assert first.find_spec("triton.language") is not None
    assert first.find_spec("huggingface_hub") is not None
    assert first.find_spec("tqdm") is None
    assert last.find_spec("numba") is not None


def test_what_has_no_stand_in_says_so_when_it_is_called(finder: Finder) -> None:
    made = importlib.import_module("mamba_ssm.modules.of_the_future")
    with pytest.raises(NotImplementedError, match="of_the_future has no stand-in"):
        made(d_model=64)


def test_numba_functions_stay_python(finder: Finder) -> None:
    made = STAND_INS["numba"]("numba")

    @made.njit(cache=True, parallel=True)
    def total(n: int) -> int:
        return sum(made.prange(n))

    assert total(4) == 6
    assert made.njit(abs)(-2) == 2


def test_a_progress_bar_is_its_iterable() -> None:
    bar = STAND_INS["tqdm"]("tqdm").tqdm(range(3), desc="x")
    bar.set_postfix(loss=1.0)
    assert list(bar) == [0, 1, 2]


def test_a_hub_of_kernels_gives_flash_attention_and_says_what_else_it_lacks(finder: Finder) -> None:
    get_kernel = importlib.import_module("kernels").get_kernel
    kernel = get_kernel("kernels-community/flash-attn3", version=1)
    assert kernel.flash_attn_func is kernel.flash_attn_interface.flash_attn_func
    with pytest.raises(NotImplementedError, match="kernels-community/rotary has no stand-in"):
        get_kernel("kernels-community/rotary")
