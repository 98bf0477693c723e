"""Flash attention's stand-in against one query and one key at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from verifier.probe.child import attention as stand_in
from verifier.probe.child.attention import flash_attn_func, flash_attn_qkvpacked_func, flash_attn_varlen_func


def qkv(rows: int, cols: int, heads: int = 4, kv_heads: int = 2, dim: int = 8) -> Iterator[Tensor]:
    torch.manual_seed(rows * 100 + cols)
    for size, count in ((rows, heads), (cols, kv_heads), (cols, kv_heads)):
        yield torch.randn(2, size, count, dim, dtype=torch.float64)


def naive(
    q: Tensor, k: Tensor, v: Tensor, causal: bool, window: tuple[int, int], softcap: float = 0.0
) -> Tensor:
    """Loops over batch, head, row and key, in Python floats."""
    batch, rows, heads, dim = q.shape
    cols, group = k.size(1), heads // k.size(2)
    out = torch.zeros(batch, rows, heads, dim, dtype=torch.float64)
    for b in range(batch):
        for h in range(heads):
            for i in range(rows):
                here = i + cols - rows
                weights = {}
                for j in range(cols):
                    if causal and j > here:
                        continue
                    if window[0] >= 0 and j < here - window[0]:
                        continue
                    if window[1] >= 0 and j > here + window[1]:
                        continue
                    score = float(q[b, i, h] @ k[b, j, h // group]) / math.sqrt(dim)
                    weights[j] = math.exp(softcap * math.tanh(score / softcap) if softcap else score)
                for j, weight in weights.items():
                    out[b, i, h] += weight / sum(weights.values()) * v[b, j, h // group]
    return out


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [(-1, -1), (2, -1), (2, 1), (0, 0)])
@pytest.mark.parametrize("sizes", [(7, 7), (3, 7)])
@pytest.mark.parametrize("softcap", [0.0, 1.5])
def test_it_is_the_softmax_over_the_keys_of_the_window(
    causal: bool, window: tuple[int, int], sizes: tuple[int, int], softcap: float
) -> None:
    q, k, v = qkv(*sizes)
    out = flash_attn_func(q, k, v, causal=causal, window_size=window, softcap=softcap)
    torch.testing.assert_close(out, naive(q, k, v, causal, window, softcap))


def test_a_later_key_changes_no_earlier_row_at_all() -> None:
    q, k, v = (each.float() for each in qkv(64, 64))
    before = flash_attn_func(q, k, v, causal=True)
    k[:, 40:] += 100.0
    v[:, 40:] -= 7.0
    after = flash_attn_func(q, k, v, causal=True)
    assert torch.equal(before[:, :40], after[:, :40])
    assert not torch.equal(before[:, 40:], after[:, 40:])


def test_each_packed_document_attends_to_itself_alone() -> None:
    q, k, v = (each[0] for each in qkv(11, 11))
    ends = [0, 3, 3, 8, 10]
    out = flash_attn_varlen_func(q, k, v, torch.tensor(ends), torch.tensor(ends), 5, 5, causal=True)
    for a, b in zip(ends, ends[1:], strict=False):
        torch.testing.assert_close(
            out[a:b], naive(q[None, a:b], k[None, a:b], v[None, a:b], True, (-1, -1))[0]
        )
    assert torch.equal(out[10:], torch.zeros(1, 4, 8, dtype=torch.float64))


def test_packed_qkv_is_the_same_attention() -> None:
    q, _, _ = qkv(5, 5)
    qkv_packed = torch.stack((q, q * 0.5, q.roll(1, 1)), dim=2)
    expected = flash_attn_func(q, q * 0.5, q.roll(1, 1), causal=True)
    assert torch.equal(flash_attn_qkvpacked_func(qkv_packed, causal=True), expected)


@pytest.mark.parametrize("softcap", [0.0, 2.0])
def test_gradients_are_those_of_the_formula(softcap: float) -> None:
    q, k, v = (each[:1].requires_grad_() for each in qkv(3, 3, heads=2, kv_heads=1, dim=2))
    assert torch.autograd.gradcheck(
        lambda *x: flash_attn_func(*x, causal=True, window_size=(2, 0), softcap=softcap), (q, k, v)
    )
    ends = torch.tensor([0, 1, 3])
    assert torch.autograd.gradcheck(
        lambda *x: flash_attn_varlen_func(*(t[0] for t in x), ends, ends, 2, 2, causal=True), (q, k, v)
    )


def test_half_precision_is_rounded_once() -> None:
    q, k, v = (each.half() for each in qkv(6, 6))
    expected = naive(q.double(), k.double(), v.double(), True, (-1, -1)).half()
    out = flash_attn_func(q, k, v, causal=True)
    assert out.dtype == torch.float16
    torch.testing.assert_close(out, expected, rtol=1e-3, atol=1e-3)


def test_the_result_comes_in_the_form_that_the_caller_takes_apart() -> None:
    q, k, v = qkv(5, 5)
    whole = flash_attn_func(q, k, v, causal=True)
    out, lse = flash_attn_func(q, k, v, causal=True)
    first = flash_attn_func(q, k, v, causal=True)[0]
    assert torch.equal(out, whole)
    assert torch.equal(first, whole)
    scores = torch.einsum("bthd,bshd->bhts", q, k.repeat_interleave(2, 2)) / math.sqrt(8)
    for row in range(5):
        expected = torch.logsumexp(scores[:, :, row, : row + 1], dim=-1)
        torch.testing.assert_close(lse[:, :, row], expected.float())


def test_an_argument_that_would_change_the_values_is_never_ignored() -> None:
    q, k, v = qkv(3, 3)
    flash_attn_func(q, k, v, dropout_p=0.0, deterministic=True, alibi_slopes=None)
    with pytest.raises(NotImplementedError, match=r"dropout_p=0\.1"):
        flash_attn_func(q, k, v, dropout_p=0.1)
    with pytest.raises(NotImplementedError, match="alibi_slopes"):
        flash_attn_func(q, k, v, alibi_slopes=torch.ones(4))


def test_its_use_is_counted() -> None:
    stand_in.used.__globals__["USES"].clear()
    flash_attn_func(*qkv(2, 2))
    assert stand_in.used.__globals__["USES"] == {"flash attention": 1}
