"""Shadow positions: every tensor of per-token values knows which stream positions it belongs to.

A `TorchFunctionMode` sees each torch call of the script. Values get positions where they are born (the
targets of a cross entropy, a gather or an index into log-probabilities, matched by content), keep them
through element-wise and shape operations, and go onto the tape where they are reduced, read out or
learned from. So the number that the script reports can be taken apart into per-token values, whatever
it mixed in on the way.

Cannot see: values that are computed in C, numba or plain Python floats after they were read out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.overrides import TorchFunctionMode

from verifier.probe.child.attached import (
    AT,
    PURE,
    TERMS,
    at_of,
    at_or_unknown,
    carry_pure,
    carry_terms,
    is_mask,
    map_at,
    tensors_in,
)
from verifier.probe.child.learning import Learning
from verifier.probe.child.numpy_shadow import ShadowArray
from verifier.probe.child.places import both_picked, merged, position, same_positions, stamped
from verifier.probe.child.positions import PositionIndex
from verifier.probe.child.tape import MuteTape, Tape, runs
from verifier.probe.child.uses import stand_in


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SHAPE_OPS = _words(
    """
    view reshape flatten unflatten squeeze unsqueeze transpose permute contiguous expand expand_as
    repeat narrow select split chunk unbind index_select masked_select cat concat concatenate stack
    hstack vstack view_as reshape_as movedim swapaxes t flip roll tile repeat_interleave
    broadcast_to pad ravel diagonal unfold take_along_dim tensor_split hsplit vsplit __iter__
    """
)
KEEPS_VALUE = _words(
    """
    to float double clone detach contiguous cpu type mul __mul__ masked_fill alias
    """
)
MIXING = _words(
    """
    softmax log_softmax cumsum cumprod logcumsumexp cummax cummin sort argsort topk matmul mm bmm
    linear layer_norm rms_norm conv1d scaled_dot_product_attention einsum zeros_like ones_like
    full_like empty_like rand_like randn_like new_zeros new_ones new_full new_empty zero_ fill_ eq
    ne lt le gt ge isnan isfinite isinf __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __get__ __set__
    backward size dim numel stride is_floating_point requires_grad_ element_size data_ptr __len__
    storage_offset is_contiguous normal_ uniform_ random_
    """
)
PICKS = _words("minimum fmin")
LOWEST = _words("min amin")
PAIRS_SHOWN = 8
REDUCTIONS = _words(
    """
    sum mean nansum nanmean dot vdot inner index_add index_add_ scatter_add scatter_add_
    scatter_reduce scatter_reduce_ bincount
    """
)

_plain_backward, _plain_grad = torch.autograd.backward, torch.autograd.grad

Redirect = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]


class Shadow(TorchFunctionMode):
    """The mode. `redirect` rewrites device arguments first, so one mode does both jobs."""

    def __init__(self, tape: Tape, index: PositionIndex, redirect: Redirect) -> None:
        super().__init__()
        self._tape = tape
        self._index = index
        self._redirect = redirect
        self.learning = Learning(tape)
        self._special: dict[str, Callable[..., Any]] = {
            "cross_entropy": self._cross_entropy,
            "nll_loss": self._cross_entropy,
            "gather": self._gather,
            "__getitem__": self._getitem,
            "__setitem__": self._setitem,
            "embedding": self._embedding,
            "backward": self._backward,
            "copy_": self._copy,
            "numpy": self._numpy,
            "__array__": self._numpy,
            "item": self._readout,
            "tolist": self._readout,
            "__float__": self._readout,
        }

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        args, kwargs = self._redirect(args, kwargs or {})
        name = getattr(func, "__name__", "")
        special = self._special.get(name)
        if special is not None:
            return special(func, args, kwargs)
        out = func(*args, **kwargs)
        if name not in MIXING:
            self._propagate(name, func, args, kwargs, out)
        return out

    # ---- where values are born ------------------------------------------------------------------

    def find(self, ids: Any) -> Tensor | None:
        """Stream positions of a tensor of token ids, or None."""
        if not isinstance(ids, Tensor) or ids.is_floating_point() or ids.dtype == torch.bool:
            return None
        if ids.numel() < self._index.gram or ids.is_complex():
            return None
        found = self._index.find(ids.detach().reshape(-1).to(torch.int64).cpu().numpy())
        return None if found is None else torch.from_numpy(found).view(ids.shape).to(ids.device)

    def _born(self, ids: Any) -> Tensor | None:
        """Places of values that are computed now from the targets `ids`."""
        found = self.find(ids)
        return None if found is None else stamped(found, self._tape.count)

    def _cross_entropy(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        target = args[1] if len(args) > 1 else kwargs.get("target")
        at = self._born(target)
        out = func(*args, **kwargs)
        if at is None:
            return out
        if out.shape == at.shape:
            setattr(out, AT, at)
            setattr(out, PURE, True)
            return out
        with torch.no_grad():
            each = func(*args, **{**kwargs, "reduction": "none", "reduce": None, "size_average": None})
        event = self._score(at, each, f"{func.__name__}:mean", out.requires_grad, pure=True)
        setattr(out, TERMS, (event,))
        return out

    def _gather(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        index = args[2] if len(args) > 2 else kwargs.get("index")
        source = args[0]
        if at_of(source) is not None:
            setattr(out, AT, func(at_of(source), *args[1:], **kwargs))
        elif isinstance(source, Tensor) and source.ndim >= 2 and source.is_floating_point():
            at = self._born(index)
            if at is not None:
                setattr(out, AT, at)
        return out

    def _getitem(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        source, index = args[0], args[1]
        at = at_of(source)
        if at is not None:
            if isinstance(out, Tensor):
                setattr(out, AT, at[index])
                carry_pure(source, out)
            return out
        if isinstance(source, Tensor) and source.ndim >= 2 and source.is_floating_point():
            if isinstance(index, tuple) and index and isinstance(index[-1], Tensor):
                found = self._born(index[-1])
                if found is not None and out.shape == found.shape:
                    setattr(out, AT, found)
            elif isinstance(index, Tensor) and out.ndim == index.ndim + 1:
                self._forward(index)
        if isinstance(out, Tensor) and out.requires_grad:
            carry_terms((source,), out)
        return out

    def _embedding(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._forward(args[0] if args else kwargs.get("input"))
        return func(*args, **kwargs)

    def _forward(self, ids: Any) -> None:
        at = self.find(ids)
        if at is not None:
            self._tape.write("forward", site=self._tape.site(), at=runs(at.cpu().numpy()))

    # ---- how they travel ------------------------------------------------------------------------

    def _propagate(
        self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        shadowed = [each for each in tensors_in(args, kwargs) if AT in each.__dict__]
        if not shadowed:
            if isinstance(out, Tensor) and out.requires_grad:
                carry_terms(tensors_in(args, kwargs), out)
            return
        if name in LOWEST:
            self._lowest(name, shadowed, args, kwargs, out)
        elif name in SHAPE_OPS:
            self._reshape(func, args, kwargs, out)
        elif isinstance(out, Tensor) and _merge_experts(shadowed[0], out):
            return
        elif name in REDUCTIONS:
            self._reduce(name, shadowed, out)
        elif isinstance(out, Tensor) and not out.is_complex() and out.dtype != torch.bool:
            self._elementwise(name, args, shadowed, out)

    def _reduce(self, name: str, shadowed: list[Tensor], out: Any) -> None:
        learns = isinstance(out, Tensor) and out.requires_grad
        events = tuple(self._score(at_of(each), each, name, learns) for each in shadowed[-1:])
        if learns:
            setattr(out, TERMS, events)

    def _reshape(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        try:
            at = func(*map_at(args), **{key: map_at(value) for key, value in kwargs.items()})
        except (RuntimeError, TypeError, ValueError, IndexError):
            return
        if isinstance(out, Tensor) and isinstance(at, Tensor) and at.shape == out.shape:
            setattr(out, AT, at)
            carry_pure(args[0], out)
        elif isinstance(out, list | tuple):
            for piece, piece_at in zip(out, at, strict=False):
                if isinstance(piece, Tensor):
                    setattr(piece, AT, piece_at)

    def _elementwise(self, name: str, args: tuple[Any, ...], sources: list[Tensor], out: Tensor) -> None:
        spread = [at for at in (_spread(at_of(source), out) for source in sources) if at is not None]
        if not spread:
            return
        at = spread[0]
        for source, other in zip(sources[1:], spread[1:], strict=False):
            at = self._better(name, at, other, sources[0], source) if name in PICKS else merged(at, other)
        if name in ("mul", "__mul__", "__rmul__", "mul_", "__imul__", "multiply"):
            # A mask: values multiplied by zero are left out of what follows.
            for factor in args:
                if isinstance(factor, Tensor) and factor.ndim and AT not in factor.__dict__:
                    at = torch.where((factor == 0).expand(out.shape), -1, at)
        elif name == "where" and len(args) == 3:
            # torch.where(condition, one, other), or one.where(condition, other)
            condition, *choices = args if args[0].dtype == torch.bool else (args[1], args[0], args[2])
            chosen = [at_or_unknown(each) for each in choices]
            at = torch.where(condition, chosen[0], chosen[1])
        elif name in ("masked_fill", "masked_fill_") and len(args) > 1:
            at = torch.where(args[1].expand(out.shape), -1, at)
        kept = name in KEEPS_VALUE and (name not in ("mul", "__mul__") or is_mask(args))
        setattr(out, AT, at if kept else stamped(at, self._tape.count))
        if kept:
            carry_pure(sources[0], out)

    def _better(self, how: str, at: Tensor, other_at: Tensor, one: Tensor, other: Tensor) -> Tensor:
        """Places of the better of two scores; the tape is told where both are of the same tokens."""
        if not same_positions(at, other_at):
            return merged(at, other_at)
        both = (at >= 0) & (other_at >= 0)
        values = (each.detach().expand(at.shape)[both].cpu().numpy() for each in (one, other))
        self.note_pick(how, position(at)[both].cpu().numpy(), *values)
        return both_picked(at, other_at)

    def note_pick(self, how: str, positions: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
        """The better of two scores of the same tokens was taken: say where, and show some pairs that differ."""
        differ = np.flatnonzero(np.isfinite(one) & np.isfinite(other) & (one != other))
        if differ.size:
            pairs = [[int(positions[i]), float(one[i]), float(other[i])] for i in differ[:PAIRS_SHOWN]]
            self._tape.write("pick", site=self._tape.site(), how=how, n=int(differ.size), pairs=pairs)

    def _lowest(
        self, name: str, shadowed: list[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        """The smallest along a dimension of stacked scores of the same tokens."""
        values = out if isinstance(out, Tensor) else getattr(out, "values", None)
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if isinstance(dim, Tensor) and isinstance(values, Tensor) and len(shadowed) > 1:
            self._elementwise("minimum", args, shadowed, values)
            return
        at = at_of(shadowed[0])
        if not isinstance(dim, int) or not isinstance(values, Tensor) or at is None or at.ndim < 2:
            return
        rows, scores = at.unbind(dim), shadowed[0].detach().unbind(dim)
        found, lowest = rows[0], scores[0]
        for row, score in zip(rows[1:], scores[1:], strict=True):
            found = self._better(name, found, row, lowest, score)
            lowest = torch.minimum(lowest, score)
        found = found.unsqueeze(dim) if values.ndim == at.ndim else found
        if found.shape == values.shape:
            setattr(values, AT, stamped(found, self._tape.count))

    def _setitem(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        target, index, value = args
        result = func(*args, **kwargs)
        new, old = at_of(value), at_of(target)
        if new is None and old is None:
            return result
        at = at_or_unknown(target) if old is None else old.clone()
        if new is not None:
            at[index] = new.to(at.device)
        elif isinstance(value, int | float) and value == 0:
            at[index] = -1  # blanked out; any other value is a score computed elsewhere, of the same token
        setattr(target, AT, at)
        carry_pure(value, target)
        return result

    def _copy(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        at = at_of(args[1]) if len(args) > 1 else None
        if at is not None and at.numel() == out.numel():
            setattr(out, AT, at.reshape(out.shape).to(out.device))
        elif AT in out.__dict__:
            delattr(out, AT)
        return out

    def _numpy(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        at = at_of(args[0])
        return (
            out
            if at is None or at.shape != out.shape
            else ShadowArray.wrap(out, at.cpu().numpy(), self, PURE in args[0].__dict__)
        )

    # ---- where they leave -----------------------------------------------------------------------

    def _readout(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        at = at_of(args[0])
        if at is not None:
            self._score(at, args[0], "read", False)
        return func(*args, **kwargs)

    def now(self) -> int:
        """The number that the next event will have."""
        return self._tape.count

    def score_array(
        self, at: np.ndarray, values: np.ndarray, how: str, pure: bool, born: int | None = None
    ) -> None:
        """The numpy side's way onto the tape; `born` is the event number to file the values under."""
        flat = np.asarray(values, dtype=np.float64).reshape(-1)
        self._tape.score(at.reshape(-1), flat, how, pure=pure, **({} if born is None else {"born": born}))

    def _score(self, at: Any, values: Tensor, how: str, learns: bool, pure: bool = False) -> int:
        pure = pure or PURE in values.__dict__
        flat = values.detach().reshape(-1).to(torch.float64).cpu()
        self.learning.before_score()
        return self._tape.score(at.reshape(-1).cpu().numpy(), flat.numpy(), how, learns=learns, pure=pure)

    # ---- learning -------------------------------------------------------------------------------

    def _backward(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.learn(args[0])
        # The mode is off inside its own handler, and custom backward code needs it.
        with self:
            names = ("gradient", "retain_graph", "create_graph", "inputs")
            given = {**dict(zip(names, args[1:], strict=False)), **kwargs}
            given["grad_tensors"] = given.pop("gradient", None)
            return _plain_backward(args[0], **given)

    def learn(self, loss: Tensor) -> None:
        """Note that gradients of `loss` are about to be taken."""
        terms: tuple[int, ...] = loss.__dict__.get(TERMS, ())
        at = at_of(loss)
        if at is not None and bool((at >= 0).any()):
            terms = (*terms, self._score(at, loss, "backward", True))
        if terms:
            self.learning.backward(terms)

    def mute(self) -> None:
        """Write nothing any more: this process is a copy that will be thrown away."""
        self._tape = MuteTape()
        self.learning = Learning(self._tape)


def _spread(at: Tensor | None, out: Tensor) -> Tensor | None:
    """Places in the shape and on the device of `out`; None where they do not fit."""
    if at is None:
        return None
    try:
        return at.expand(out.shape).to(out.device)
    except RuntimeError:
        return None


def _merge_experts(source: Tensor, out: Tensor) -> bool:
    """Whether one dimension went that held several scores of one position: a mixture, or the best of experts."""
    at = at_of(source)
    if at is None or out.ndim == 0 or at.ndim != out.ndim + 1:
        return False
    if out.requires_grad or not out.is_floating_point():
        return False
    for dim in range(at.ndim):
        if at.shape[:dim] + at.shape[dim + 1 :] == out.shape:
            latest = at.amax(dim)
            alike = position(at) == position(latest).unsqueeze(dim)
            if bool((alike | (at < 0)).all()):
                setattr(out, AT, latest)
                return True
    return False


def install(mode: Shadow) -> None:
    """Enter the mode here and in every thread that the script starts, and hook learning."""
    register_optimizer_step_post_hook(mode.learning.stepped)

    # These two would leave the mode, and custom backward code must run inside it: they are wrapped instead.
    stand_in(torch.autograd, has_torch_function=lambda _: False)

    def learn_from(outputs: Any) -> None:
        for each in (outputs,) if isinstance(outputs, Tensor) else outputs:
            mode.learn(each)

    def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        learn_from(tensors)
        return _plain_backward(tensors, *args, **kwargs)

    def grad(outputs: Any, *args: Any, **kwargs: Any) -> Any:
        learn_from(outputs)
        return _plain_grad(outputs, *args, **kwargs)

    stand_in(torch.autograd, backward=backward, grad=grad)
    run = threading.Thread.run

    def run_in_mode(self: threading.Thread) -> None:
        with mode:
            run(self)

    stand_in(threading.Thread, run=run_in_mode)
    mode.__enter__()  # type: ignore[no-untyped-call]
