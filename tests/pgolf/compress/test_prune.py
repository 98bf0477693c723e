"""Pruning zeroes the cheapest +-1 values, as few as fit, and says what that cost."""

import itertools

import pytest
import torch

from pgolf.compress import QuantizedTensor, StdClip, quantize_rows
from pgolf.compress.codec import CODECS
from pgolf.compress.layout import write_tensors
from pgolf.compress.prune import prune_to_fit
from pgolf.size import ArtifactTooLarge


def quantized(values, scales, bits=6):
    return QuantizedTensor(torch.tensor(values, dtype=torch.int8), torch.tensor(scales).half(), bits)


@pytest.fixture
def tensors():
    return {
        "a": quantized([[1, -1, 2], [0, 1, -3]], [1.0, 0.5]),
        "b": quantized([[1, 1], [-1, 5]], [0.25, 2.0]),
        "float": torch.ones(3),
    }


def count_nonzero(tensors):
    return sum(int((t.values != 0).sum()) for t in tensors.values() if isinstance(t, QuantizedTensor))


@pytest.mark.parametrize("cap", range(3, 11))
def test_the_set_is_the_cheapest_of_all_that_fit(tensors, cap):
    hessians = {"a": torch.diag(torch.tensor([1.0, 4.0, 1.0])), "b": torch.diag(torch.tensor([9.0, 0.5]))}
    pruned = prune_to_fit(tensors, count_nonzero, cap, hessians=hessians)
    # Brute force over all sets of candidates: (tensor, row, column), and what zeroing each one costs.
    candidates = [
        (name, row, column, tensor.scales[row].item() ** 2 * hessians[name][column, column].item())
        for name, tensor in tensors.items()
        if isinstance(tensor, QuantizedTensor)
        for row, column in itertools.product(*map(range, tensor.values.shape))
        if abs(int(tensor.values[row, column])) == 1
    ]
    assert pruned.candidates == len(candidates) == 6
    fitting = [
        subset for size in range(7) for subset in itertools.combinations(candidates, size) if 9 - size <= cap
    ]
    cheapest = min(fitting, key=lambda subset: sum(cost for *_, cost in subset))
    assert pruned.damage == pytest.approx(sum(cost for *_, cost in cheapest))
    zeroed = {
        (name, row, column)
        for name, row, column, _ in candidates
        if pruned.tensors[name].values[row, column] == 0
    }
    assert zeroed == {(name, row, column) for name, row, column, _ in cheapest}
    assert pruned.total_bytes == count_nonzero(pruned.tensors) <= cap


def test_the_given_tensors_stay_as_they_are_and_larger_values_too(tensors):
    before = {name: t.values.clone() for name, t in tensors.items() if isinstance(t, QuantizedTensor)}
    pruned = prune_to_fit(tensors, count_nonzero, 3)
    assert all(torch.equal(tensors[name].values, values) for name, values in before.items())
    for name, values in before.items():
        large = values.abs() > 1
        assert torch.equal(pruned.tensors[name].values[large], values[large])
    assert pruned.tensors["float"] is tensors["float"]


def test_only_tensors_with_a_hessian_are_touched(tensors):
    pruned = prune_to_fit(tensors, count_nonzero, 8, hessians={"a": torch.eye(3)})
    assert pruned.candidates == 3
    assert torch.equal(pruned.tensors["b"].values, tensors["b"].values)


def test_what_fits_is_left_alone_and_what_cannot_fit_is_refused(tensors):
    kept = prune_to_fit(tensors, count_nonzero, 9)
    assert (kept.zeroed, kept.damage, kept.probes) == (0, 0.0, 1)
    with pytest.raises(
        ArtifactTooLarge, match=r"3 bytes with all 6 values of \+-1 zeroed \(9 with none\), cap 2"
    ):
        prune_to_fit(tensors, count_nonzero, 2)


@pytest.mark.parametrize("codec", ["zstd", "brotli"])
def test_a_real_file_is_brought_under_the_cap_and_not_far_under(codec):
    generator = torch.Generator().manual_seed(0)
    tensors = {"w": quantize_rows(torch.randn(64, 128, generator=generator), 6, StdClip(20.0))}

    def size_of(tensors):
        return len(CODECS[codec].compress(write_tensors(tensors)[1]))

    cap = int(0.9 * size_of(tensors))
    pruned = prune_to_fit(tensors, size_of, cap)
    assert cap - 8 <= pruned.total_bytes <= cap
    assert size_of(pruned.tensors) == pruned.total_bytes
    again = prune_to_fit(tensors, size_of, cap)
    assert torch.equal(again.tensors["w"].values, pruned.tensors["w"].values)
    loose = prune_to_fit(tensors, size_of, cap, slack_bytes=300)
    assert loose.probes < pruned.probes
    assert cap - 300 <= loose.total_bytes <= cap
    difference = (pruned.tensors["w"].values - tensors["w"].values).float() * tensors["w"].steps_RC
    assert difference.square().sum().item() == pytest.approx(pruned.damage, rel=1e-5)
