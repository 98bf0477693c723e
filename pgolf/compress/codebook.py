"""Vector quantization: pieces of a row as entries of one codebook, learned by k-means.

Rows are divided by their root mean square, cut into pieces of `width` values, and each piece is replaced by
the nearest of `entries` vectors (Gray 1984, "Vector quantization"; for weights Gong et al. 2014, arXiv
1412.6115). At 256 entries a piece costs one byte: 2 bits per value at width 4, 4 at width 2. With the
diagonal of the Hessian, distance is weighted by how large the inputs of each column are.

Lloyd's iterations never raise the distortion. All sums are matrix products, so the same seed gives the same
codebook on the same device.

Shapes: R rows, C columns, N pieces (R * C / W), W values of a piece, E entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pgolf.compress.rows import SMALLEST_SCALE, as_groups

CHUNK_PIECES = 65_536  # distances of so many pieces to all entries are held at once


@dataclass(frozen=True)
class CodebookConfig:
    width: int = 2
    entries: int = 256
    iterations: int = 25
    seed: int = 0

    def __post_init__(self) -> None:
        if self.width < 1 or self.iterations < 1:
            raise ValueError(f"width {self.width} and iterations {self.iterations} must be at least 1")
        if not 2 <= self.entries <= 256:
            raise ValueError(f"entries must be 2 to 256, so that a code is a byte; got {self.entries}")


@dataclass(frozen=True)
class CodebookTensor:
    """Row r is `codebook[indices[r]]`, its pieces side by side, times `scales[r]`."""

    indices: Tensor
    """uint8, (R, C / W)."""
    codebook: Tensor
    """fp16, (E, W)."""
    scales: Tensor
    """fp16, (R,)."""

    def __post_init__(self) -> None:
        if (
            self.indices.dtype != torch.uint8
            or self.indices.ndim != 2
            or self.codebook.ndim != 2
            or self.scales.shape != self.indices.shape[:1]
            or (self.indices.numel() and int(self.indices.max()) >= len(self.codebook))
        ):
            raise ValueError(
                f"indices are {self.indices.dtype} of shape {tuple(self.indices.shape)} into a codebook of "
                f"{tuple(self.codebook.shape)}, scales of shape {tuple(self.scales.shape)}; expected uint8 "
                "codes below the number of entries, and one scale per row"
            )


@dataclass(frozen=True)
class KMeans:
    """Where Lloyd's iterations arrived."""

    centers_EW: Tensor
    labels_N: Tensor
    distortions: tuple[float, ...]
    """Weighted squared distance after each assignment; never rises."""


def quantize_codebook(
    matrix_RC: Tensor, config: CodebookConfig, importance_C: Tensor | None = None
) -> CodebookTensor:
    """Quantize a float matrix; `importance_C` weighs the squared error of its columns.

    Raises:
        ValueError: not a finite float matrix, or `width` does not divide its rows.
    """
    rows, columns = matrix_RC.shape
    if columns % config.width:
        raise ValueError(f"codebook width {config.width} does not divide rows of {columns} columns")
    matrix_RC = as_groups(matrix_RC, None)
    scales_R = matrix_RC.square().mean(dim=1).sqrt().clamp_min(SMALLEST_SCALE).to(torch.float16)
    steps_R1 = scales_R.float()[:, None]
    weights_RC = steps_R1.square().expand(rows, columns)
    if importance_C is not None:
        weights_RC = weights_RC * importance_C.to(weights_RC)
    pieces_NW = (matrix_RC / steps_R1).reshape(-1, config.width)
    weights_NW = weights_RC.reshape(-1, config.width)
    found = k_means(pieces_NW, weights_NW, config)
    codebook = found.centers_EW.to(torch.float16)
    labels_N, _ = assign(pieces_NW, weights_NW, codebook.float())
    return CodebookTensor(labels_N.to(torch.uint8).view(rows, -1), codebook, scales_R)


def dequantize_codebook(quantized: CodebookTensor) -> Tensor:
    """The fp32 matrix (R, C) that the codes stand for."""
    pieces = quantized.codebook.float()[quantized.indices.long()]
    return pieces.flatten(1) * quantized.scales.float()[:, None]


def k_means(pieces_NW: Tensor, weights_NW: Tensor, config: CodebookConfig) -> KMeans:
    """Lloyd's algorithm from `entries` pieces drawn by `seed`. An entry that nothing is nearest to stays."""
    generator = torch.Generator().manual_seed(config.seed)
    drawn = torch.randperm(len(pieces_NW), generator=generator)[: config.entries]
    centers_EW = pieces_NW[drawn.to(pieces_NW.device)].clone()
    labels_N, distortion = assign(pieces_NW, weights_NW, centers_EW)
    distortions = [distortion]
    for _ in range(config.iterations):
        centers_EW = _means(pieces_NW, weights_NW, labels_N, centers_EW)
        labels_N, distortion = assign(pieces_NW, weights_NW, centers_EW)
        distortions.append(distortion)
        if distortions[-1] >= distortions[-2]:
            break
    return KMeans(centers_EW, labels_N, tuple(distortions))


def assign(pieces_NW: Tensor, weights_NW: Tensor, centers_EW: Tensor) -> tuple[Tensor, float]:
    """The entry of least weighted distance to each piece, and the sum of those distances."""
    labels: list[Tensor] = []
    total = torch.zeros((), dtype=torch.float64, device=pieces_NW.device)
    for piece, weight in zip(
        torch.split(pieces_NW, CHUNK_PIECES), torch.split(weights_NW, CHUNK_PIECES), strict=True
    ):
        # The piece's own square is the same for every entry, so it cannot change which one is nearest.
        distances_NE = weight @ centers_EW.square().T - 2 * (weight * piece) @ centers_EW.T
        labels.append(distances_NE.argmin(dim=1))
        total += (weight * (piece - centers_EW[labels[-1]]).square()).double().sum()
    return torch.cat(labels), float(total)


def _means(pieces_NW: Tensor, weights_NW: Tensor, labels_N: Tensor, centers_EW: Tensor) -> Tensor:
    entries_E1 = torch.arange(len(centers_EW), device=centers_EW.device)[:, None]
    sums_EW, mass_EW = torch.zeros_like(centers_EW), torch.zeros_like(centers_EW)
    for piece, weight, label in zip(
        *(torch.split(tensor, CHUNK_PIECES) for tensor in (pieces_NW, weights_NW, labels_N)), strict=True
    ):
        # A product with the one-hot labels: scattered additions have no fixed order on a GPU.
        member_EN = (label == entries_E1).to(piece.dtype)
        sums_EW += member_EN @ (weight * piece)
        mass_EW += member_EN @ weight
    return torch.where(mass_EW > 0, sums_EW / mass_EW.clamp_min(1e-30), centers_EW)
