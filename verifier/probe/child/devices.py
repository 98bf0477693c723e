"""Stand a CUDA script on a CPU: every request for a GPU is answered with the CPU's own memory.

Functions of the script are not touched. `redirect` rewrites device arguments of torch calls (it runs in
the mode of `shadow`), `install` replaces what is not a torch function: the `torch.cuda` module, device
objects, generators, streams, events, compilation.
"""

from __future__ import annotations

import contextlib
import types
from typing import Any

import torch
from torch import Tensor, nn

from verifier.probe.child.uses import stand_in, used

_REAL_DEVICE = torch.device
_CPU = torch.device("cpu")
GPU_NAME = "NVIDIA H100 80GB HBM3"
GPU_MEMORY = 80 * 1024**3


def redirect(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same call with `cuda` devices replaced by the CPU and pinned memory by plain memory."""
    for each in args:
        if (each.__class__ is str and each.startswith("cuda")) or _is_cuda(each):
            used("device")
            args = tuple(_CPU if _is_gpu(value) else value for value in args)
            break
    if kwargs:
        if "device" in kwargs and kwargs["device"] is not None:
            used("device")
            kwargs = {**kwargs, "device": _cpu_unless_meta(kwargs["device"])}
        if kwargs.get("pin_memory"):
            kwargs = {**kwargs, "pin_memory": False}
    return args, kwargs


def _is_cuda(value: Any) -> bool:
    return isinstance(value, _REAL_DEVICE) and value.type == "cuda"


def _is_gpu(value: Any) -> bool:
    return (value.__class__ is str and value.startswith("cuda")) or _is_cuda(value)


def _cpu_unless_meta(value: Any) -> Any:
    return value if str(value).startswith(("cpu", "meta")) else _CPU


class _DeviceType(type):
    """`torch.device`: calling it gives the CPU for any GPU, isinstance asks the real type."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        used("device")
        asked = args[0] if args else kwargs.get("type", kwargs.get("device"))
        return _CPU if isinstance(asked, int) or str(asked).startswith("cuda") else _REAL_DEVICE(str(asked))

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _REAL_DEVICE)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _REAL_DEVICE)


class _Device(metaclass=_DeviceType):
    pass


class _Nothing:
    """Stands for a stream, event, graph or context: every method does nothing and times nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def __call__(self, *args: Any, **_: Any) -> Any:
        return args[0] if len(args) == 1 and callable(args[0]) else None

    def elapsed_time(self, *_: Any) -> float:
        used("cuda.Event.elapsed_time")
        return 1.0

    def query(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


def compile_nothing(model: Any = None, *_: Any, **__: Any) -> Any:
    """`torch.compile`: the function itself, in call and in decorator form."""
    used("torch.compile")
    return model if model is not None else lambda function: function


def no_inference_mode(mode: Any = True) -> Any:
    """`torch.inference_mode` without its tensors, which later training could not use on a CPU."""
    if callable(mode):
        return torch.no_grad()(mode)
    return torch.no_grad() if mode else torch.enable_grad()


def _install_cuda() -> None:
    cuda = torch.cuda
    properties = types.SimpleNamespace(
        name=GPU_NAME,
        major=9,
        minor=0,
        total_memory=GPU_MEMORY,
        multi_processor_count=132,
        max_threads_per_multi_processor=2048,
        warp_size=32,
        gcnArchName="",
        shared_memory_per_block_optin=232448,
        L2_cache_size=50 * 1024**2,
    )
    nothing = ("synchronize", "set_device", "empty_cache", "manual_seed", "manual_seed_all", "init", "ipc_collect",
               "reset_peak_memory_stats", "reset_max_memory_allocated", "set_per_process_memory_fraction",
               "reset_accumulated_memory_stats", "seed", "seed_all", "set_stream", "set_rng_state",
               "set_rng_state_all", "_lazy_init", "set_sync_debug_mode")  # fmt: skip
    stand_in(cuda, **dict.fromkeys(nothing, lambda *_, **__: None))
    zero = ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved", "current_device",
            "utilization", "temperature", "power_draw", "clock_rate")  # fmt: skip
    stand_in(cuda, **dict.fromkeys(zero, lambda *_, **__: 0))
    answers: dict[str, Any] = {
        "is_available": True,
        "is_initialized": True,
        "is_bf16_supported": True,
        "device_count": 1,
        "get_device_name": GPU_NAME,
        "get_device_capability": (9, 0),
        "get_device_properties": properties,
        "mem_get_info": (GPU_MEMORY, GPU_MEMORY),
        "memory_stats": {},
        "memory_summary": "",
        "get_rng_state": torch.get_rng_state(),
        "get_rng_state_all": [torch.get_rng_state()],
        "is_current_stream_capturing": False,
        "get_arch_list": ["sm_90"],
    }
    stand_in(cuda, **{name: _answer(f"cuda.{name}", answer) for name, answer in answers.items()})
    classes = ("Stream", "Event", "CUDAGraph", "device", "device_of", "ExternalStream")
    stand_in(cuda, **dict.fromkeys(classes, _Nothing))
    makers = (
        "stream",
        "graph",
        "current_stream",
        "default_stream",
        "graph_pool_handle",
        "make_graphed_callables",
    )
    stand_in(cuda, **dict.fromkeys(makers, lambda *_, **__: _Nothing()))
    stand_in(cuda.amp, GradScaler=lambda *_, **__: torch.amp.GradScaler("cpu", enabled=False))


def _answer(name: str, value: Any) -> Any:
    def answer(*_: Any, **__: Any) -> Any:
        used(name)
        return value

    return answer


def _install_tensor() -> None:
    stand_in(
        Tensor,
        cuda=lambda self, *_, **__: self,
        pin_memory=lambda self, *_, **__: self,
        is_pinned=lambda self, *_, **__: True,
        is_cuda=property(lambda self: True),
        record_stream=lambda self, *_: None,
        get_device=lambda self: 0,
    )
    stand_in(nn.Module, cuda=lambda self, *_, **__: self)


def _install_loading() -> None:
    load = torch.load

    def load_on_cpu(*args: Any, **kwargs: Any) -> Any:
        kwargs["map_location"] = "cpu"
        return load(*args[:1], **kwargs)

    stand_in(torch, load=load_on_cpu)


def _install_optimizers() -> None:
    for optimizer in (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD):
        plain = optimizer.__init__

        def init(self: Any, *args: Any, _plain: Any = plain, **kwargs: Any) -> None:
            for name in ("fused", "capturable"):
                if kwargs.pop(name, None):
                    used(f"optimizer {name}=True")
            _plain(self, *args, **kwargs)

        stand_in(optimizer, __init__=init)


def skip_compilation() -> None:
    """Run what the script compiles as it is, and without the tensors of inference mode."""
    stand_in(torch, compile=compile_nothing, inference_mode=no_inference_mode)
    stand_in(
        torch.compiler,
        disable=lambda fn=None, *_, **__: fn if fn is not None else (lambda f: f),
        cudagraph_mark_step_begin=lambda: None,
    )


def keep_all_attention() -> None:
    """Scripts that choose one kind of attention keep all kinds."""
    import torch.nn.attention as attention

    toggles = ("enable_flash_sdp", "enable_mem_efficient_sdp", "enable_math_sdp", "enable_cudnn_sdp")
    stand_in(torch.backends.cuda, **dict.fromkeys(toggles, lambda *_, **__: None))
    stand_in(torch.backends.cuda, sdp_kernel=lambda *_, **__: contextlib.nullcontext())
    stand_in(attention, sdpa_kernel=lambda *_, **__: contextlib.nullcontext())


def install() -> None:
    """Replace the CUDA side of torch. Call after importing torch and before the script runs."""
    _install_cuda()
    _install_tensor()
    _install_loading()
    _install_optimizers()
    keep_all_attention()
    skip_compilation()
    stand_in(torch, device=_Device, Generator=_make_generator())


def _make_generator() -> type:
    """`torch.Generator` must stay a class: scripts use it in annotations."""
    real = torch.Generator

    class _Meta(type):
        def __call__(cls, device: Any = None) -> torch.Generator:
            return real()

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, real)

    class Generator(metaclass=_Meta):
        pass

    return Generator
