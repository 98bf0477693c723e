"""The codebook assigns as brute force does, never gets worse, and repeats by its seed."""

import pytest
import torch

from pgolf.compress.codebook import (
    CodebookConfig,
    CodebookTensor,
    assign,
    dequantize_codebook,
    k_means,
    quantize_codebook,
)


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_assignment_is_that_of_brute_force(monkeypatch):
    monkeypatch.setattr("pgolf.compress.codebook.CHUNK_PIECES", 7)  # so that chunks end in the middle
    pieces, weights, centers = gaussian(50, 3), gaussian(50, 3, seed=1).abs(), gaussian(9, 3, seed=2)
    labels, distortion = assign(pieces, weights, centers)
    total = 0.0
    for piece, weight, label in zip(pieces, weights, labels, strict=True):
        distances = [(weight * (piece - center) ** 2).sum().item() for center in centers]
        assert distances[label] == pytest.approx(min(distances))
        total += min(distances)
    assert distortion == pytest.approx(total)


def test_distortion_never_rises_and_centers_are_the_weighted_means():
    pieces, weights = gaussian(2000, 2), gaussian(2000, 2, seed=1).abs()
    found = k_means(pieces, weights, CodebookConfig(width=2, entries=16, iterations=200))
    falls = [
        after <= before * (1 + 1e-6)
        for before, after in zip(found.distortions, found.distortions[1:], strict=False)
    ]
    assert len(falls) > 5
    assert all(falls)
    for entry in range(16):
        member = found.labels_N == entry
        mean = (weights[member] * pieces[member]).sum(0) / weights[member].sum(0)
        assert torch.allclose(found.centers_EW[entry], mean, atol=2e-3)


def test_the_seed_decides():
    matrix, config = gaussian(16, 64), CodebookConfig(entries=32, seed=3)
    one, same = quantize_codebook(matrix, config), quantize_codebook(matrix, config)
    other = quantize_codebook(matrix, CodebookConfig(entries=32, seed=4))
    assert torch.equal(one.indices, same.indices)
    assert torch.equal(one.codebook, same.codebook)
    assert not torch.equal(one.codebook, other.codebook)


def test_restored_rows_are_entries_times_the_rows_scale():
    matrix = gaussian(6, 8) * torch.logspace(-3, 2, 6)[:, None]
    quantized = quantize_codebook(matrix, CodebookConfig(width=4, entries=12))
    restored = dequantize_codebook(quantized)
    for row in range(6):
        for piece in range(2):
            entry = quantized.codebook[int(quantized.indices[row, piece])].float()
            expected = entry * quantized.scales[row].float()
            assert torch.equal(restored[row, 4 * piece : 4 * piece + 4], expected)
    # As many entries as pieces: every piece is its own entry, up to fp16.
    assert torch.allclose(restored, matrix, rtol=3e-3, atol=1e-5)


def test_importance_moves_the_error_to_columns_that_matter_less():
    matrix = gaussian(64, 32)
    importance = torch.tensor([10.0, 0.1]).repeat(16)
    plain = dequantize_codebook(quantize_codebook(matrix, CodebookConfig(entries=16)))
    weighted = dequantize_codebook(quantize_codebook(matrix, CodebookConfig(entries=16), importance))
    damage = [((restored - matrix).square() * importance).sum() for restored in (weighted, plain)]
    assert damage[0] < 0.7 * damage[1]


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="entries must be 2 to 256"):
        CodebookConfig(entries=257)
    with pytest.raises(ValueError, match="width 3 does not divide rows of 8"):
        quantize_codebook(gaussian(2, 8), CodebookConfig(width=3))
    with pytest.raises(ValueError, match="codes below the number of entries"):
        CodebookTensor(
            torch.full((1, 2), 7, dtype=torch.uint8), torch.zeros(4, 2).half(), torch.ones(1).half()
        )
