"""Sentence embeddings on a plane, ready to be drawn."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["fit_into", "principal_plane"]


def principal_plane(rows: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n 2"], float]:
    """Coordinates on the first two principal components, and their share of the variance (NaN where there is none)."""
    centred = rows.double() - rows.double().mean(dim=0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    plane = torch.zeros(len(rows), 2, dtype=torch.float64)
    kept = min(2, len(s))
    plane[:, :kept] = u[:, :kept] * s[:kept]
    # Singular vectors have no sign of their own; the farthest point of each axis is put on its positive side.
    farthest = plane.gather(0, plane.abs().argmax(dim=0, keepdim=True))
    plane = torch.where(farthest < 0, -plane, plane)
    return plane.to(rows.dtype), float(s[:2].square().sum() / s.square().sum())


def fit_into(points: Float[Tensor, "n 2"], width: int, height: int, margin: int) -> list[tuple[float, float]]:
    """Points moved and scaled, alike in both directions, into the middle of a box; y grows downwards."""
    low, high = points.amin(dim=0), points.amax(dim=0)
    room = torch.tensor([width - 2 * margin, height - 2 * margin], dtype=points.dtype)
    scale = float((room / (high - low).clamp_min(1e-9)).min())
    flip = torch.tensor([1.0, -1.0], dtype=points.dtype)
    centre = torch.tensor([width / 2, height / 2], dtype=points.dtype)
    placed = (points - (low + high) / 2) * scale * flip + centre
    return [(round(x, 1), round(y, 1)) for x, y in placed.tolist()]
