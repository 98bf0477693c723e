"""Triton kernels run in Python against the formulas that they were written for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from verifier.probe.child import triton_stub
from verifier.probe.child.triton_block import Descriptor, Memories
from verifier.probe.child.triton_language import OPERATIONS, language
from verifier.probe.child.uses import USES

triton: Any = triton_stub.module("triton")
tl: Any = language("triton.language")


@triton.jit
def scale_kernel(x_ptr, out_ptr, n, factor, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    tl.store(out_ptr + offsets, tl.load(x_ptr + offsets, mask=mask) * factor, mask=mask)


@triton.jit
def row_loss_kernel(x_ptr, loss_ptr, target_ptr, stride, cols, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Cross entropy of one row, with a running maximum over tiles of columns."""
    row = tl.program_id(0).to(tl.int64)
    highest = -float("inf")
    total = 0.0
    for start in range(0, cols, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * stride + at, mask=at < cols, other=-float("inf")).to(tl.float32)
        new = tl.maximum(highest, tl.max(x, axis=0))
        total = total * tl.exp(highest - new) + tl.sum(tl.exp(x - new), axis=0)
        highest = new
    target = tl.load(target_ptr + row).to(tl.int32)
    tl.store(loss_ptr + row, highest + tl.log(total) - tl.load(x_ptr + row * stride + target))


@triton.jit
def product_kernel(a, b, c, K, ROWS: tl.constexpr, COLS: tl.constexpr, DEPTH: tl.constexpr):  # type: ignore[no-untyped-def]
    """relu(a @ b.T)**2 in tiles that descriptors read; the two halves are stored apart."""
    i, j = tl.program_id(0) * ROWS, tl.program_id(1) * COLS
    acc = tl.zeros((ROWS, COLS), dtype=tl.float32)
    for step in tl.range(tl.cdiv(K, DEPTH), num_stages=2):
        acc = tl.dot(a.load([i, step * DEPTH]), b.load([j, step * DEPTH]).T, acc)
    acc = tl.permute(tl.reshape(acc, (ROWS, 2, COLS // 2)), (0, 2, 1))
    left, right = tl.split(acc)
    c.store([i, j], tl.where(left > 0, left * left, 0.0))
    c.store([i, j + COLS // 2], tl.where(right > 0, right * right, 0.0))


@triton.jit
def count_kernel(ids_ptr, out_ptr):  # type: ignore[no-untyped-def]
    tl.atomic_add(out_ptr + tl.load(ids_ptr + tl.program_id(0) * 4 + tl.arange(0, 4)), 1)


@triton.jit
def outside_kernel(x_ptr, n):  # type: ignore[no-untyped-def]
    tl.store(x_ptr + n, 1.0)


@triton.jit
def unknown_kernel(x_ptr):  # type: ignore[no-untyped-def]
    tl.store(x_ptr, tl.inline_asm_elementwise("nop", "=r", [], tl.float32, True, 1))


def test_masked_rows_of_any_length() -> None:
    x = torch.arange(10.0)
    out = torch.full((12,), -1.0)
    scale_kernel[(3,)](x, out, 10, 2.5, BLOCK=4, num_warps=4)
    assert torch.equal(out[:10], x * 2.5)
    assert torch.equal(out[10:], torch.tensor([-1.0, -1.0]))


def test_views_are_read_and_written_where_they_lie() -> None:
    whole = torch.arange(20.0)
    scale_kernel[lambda meta: (triton.cdiv(6, meta["BLOCK"]),)](whole[3:9], whole[11:17], 6, 2.0, BLOCK=4)
    assert torch.equal(whole[11:17], torch.arange(3.0, 9.0) * 2)
    assert torch.equal(whole[17:], torch.arange(17.0, 20.0))


def test_half_precision_memory_is_rounded_when_stored() -> None:
    x = torch.linspace(-3, 3, 9, dtype=torch.bfloat16)
    out = torch.zeros_like(x)
    scale_kernel[(3,)](x, out, 9, 1.1, BLOCK=4)
    assert torch.equal(out, (x.float() * torch.tensor(1.1)).bfloat16())


@pytest.mark.parametrize("cols", [8, 13])
def test_a_loss_of_tiles_is_the_cross_entropy(cols: int) -> None:
    torch.manual_seed(0)
    x, target = torch.randn(5, cols) * 4, torch.randint(cols, (5,))
    loss = torch.empty(5)
    row_loss_kernel[(5,)](x, loss, target, x.stride(0), cols, BLOCK=4)
    torch.testing.assert_close(loss, F.cross_entropy(x, target, reduction="none"))


def test_descriptors_read_zeros_outside_and_write_nothing_there() -> None:
    torch.manual_seed(1)
    a, b = torch.randn(5, 7), torch.randn(6, 7)
    c = torch.full((5, 6), 9.0)
    tile = triton.TensorDescriptor.from_tensor
    product_kernel[(2, 2)](
        tile(a, [4, 4]), tile(b, [4, 4]), tile(c, [4, 2]), 7, ROWS=4, COLS=4, DEPTH=4, num_stages=3
    )
    torch.testing.assert_close(c, F.relu(a @ b.T) ** 2)


@pytest.mark.parametrize("corner", [(0, 0), (3, 4), (-2, -1), (4, 6), (9, 0), (-9, -9), (2, 40)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_tile_is_what_its_addresses_say_wherever_it_lies(
    corner: tuple[int, int], dtype: torch.dtype
) -> None:
    """Of a transposed part of a larger tensor; (5, 7) as described, tiles of (4, 4)."""
    held = torch.arange(120, dtype=dtype).view(10, 12)
    for stores in (False, True):
        ends = []
        for by_address in (False, True):
            whole = held.clone()
            memories = Memories()
            part = whole[2:9, 1:6].T
            tile = Descriptor(memories.pointer(part), part.shape, part.stride(), (4, 4))
            if by_address:
                tile.__dict__["_view"] = None
            assert (tile._view is None) == by_address
            if stores:
                tile.store(corner, np.arange(16, dtype=np.float32).reshape(4, 4) + 500)
                memories.flush()
                ends.append(whole)
            else:
                ends.append(torch.tensor(np.asarray(tile.load(corner))))
        torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=0)


def test_a_descriptor_of_more_than_the_tensor_is_an_error() -> None:
    tile = Descriptor(Memories().pointer(torch.zeros(12)), (4, 4), (4, 1), (2, 4))
    assert tile.load((1, 0)).shape == (2, 4)
    with pytest.raises(IndexError, match="12 elements"):
        tile.load((2, 0))


def test_atomic_sums_count_every_duplicate() -> None:
    ids = torch.tensor([0, 2, 2, 2, 1, 2, 0, 0])
    out = torch.zeros(3, dtype=torch.int64)
    count_kernel[(2,)](ids, out)
    assert out.tolist() == [3, 1, 4]


def test_an_address_outside_the_tensor_is_an_error() -> None:
    with pytest.raises(IndexError, match="3 elements"):
        outside_kernel[(1,)](torch.zeros(3), 3)


def test_an_unknown_operation_names_itself_the_kernel_and_the_line() -> None:
    with pytest.raises(NotImplementedError, match=r"tl\.inline_asm_elementwise") as caught:
        unknown_kernel[(1,)](torch.zeros(1))
    (note,) = caught.value.__notes__
    assert "unknown_kernel" in note
    assert "test_triton.py" in note
    assert "tl.store" in note


def test_tuned_kernels_take_the_first_configuration_and_computed_arguments() -> None:
    seen = []
    config = triton.Config({"BLOCK": 4}, num_warps=2, pre_hook=seen.append)
    kernel = triton.autotune([config, triton.Config({"BLOCK": 2})], key=["n"])(triton.jit(scale_kernel.fn))
    out = torch.zeros(4)
    kernel[(1,)](torch.ones(4), out, 4, 3.0)
    assert out.tolist() == [3.0] * 4
    assert seen[0]["n"] == 4
    computed = triton.heuristics({"BLOCK": lambda given: triton.next_power_of_2(given["n"])})(
        triton.jit(scale_kernel.fn)
    )
    computed[(1,)](torch.ones(3), out, 3, 5.0)
    assert out.tolist() == [5.0, 5.0, 5.0, 3.0]


def test_types_meet_as_on_the_device() -> None:
    x = tl.full((2,), 1.5, tl.float16)
    assert (x * tl.arange(0, 2)).dtype == "float16"
    assert (x + tl.zeros((2,), tl.float32)).dtype == "float32"
    assert (tl.arange(0, 2) / 2).dtype == "float32"
    assert (tl.arange(0, 4) - 3).tolist() == [-3, -2, -1, 0]
    assert ((tl.arange(0, 4) - 3) // 2).tolist() == [-1, -1, 0, 0]
    assert ((tl.arange(0, 4) - 3) % 2).tolist() == [-1, 0, -1, 0]
    assert tl.softmax(tl.zeros((4,), tl.float32)).tolist() == [0.25] * 4
    assert tl.math.rsqrt(tl.full((1,), 4.0, tl.float32)).tolist() == [0.5]


def test_uses_are_counted_by_kernel() -> None:
    USES.clear()
    scale_kernel[(1,)](torch.ones(2), torch.ones(2), 2, 1.0, BLOCK=2)
    assert USES == {"triton kernel scale_kernel": 1}


def test_an_operator_made_of_kernels_has_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("custom_op", "triton_op", "wrap_triton"):
        monkeypatch.setattr(torch.library, name, getattr(torch.library, name))
    monkeypatch.setattr(torch.library.Library, "impl", torch.library.Library.impl)
    triton_stub.install()

    @torch.library.triton_op("pgolf_test::scaled", mutates_args={})
    def scaled(x: Tensor, factor: float) -> Tensor:
        out = torch.empty_like(x)
        torch.library.wrap_triton(scale_kernel)[(1,)](x, out, x.numel(), factor, BLOCK=8)
        return out

    def keep(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.factor = inputs[1]

    scaled.register_autograd(
        lambda ctx, grad: (scaled(grad.contiguous(), ctx.factor), None), setup_context=keep
    )
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: scaled(x, 0.5), (x,))


def test_set_bits_are_those_of_the_integer() -> None:
    counted = OPERATIONS["popc"](np.array([[0, 1], [3, -1]], dtype=np.int32))
    assert np.asarray(counted).tolist() == [[0, 1], [2, 32]]
