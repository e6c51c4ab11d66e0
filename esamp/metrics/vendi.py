"""The Vendi score: how many different samples there are in effect."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.checks import check_number
from esamp.metrics.cosine import check_normalised

__all__ = ["vendi_score"]

_SHANNON = 1e-7


def vendi_score(embeddings: Float[Tensor, "n d"], order: float = 1.0) -> float:
    """Hill number of order q of the eigenvalues λ of K/n, K = X Xᵀ (Friedman & Dieng 2023; Pasarkar & Dieng 2024).

    q = 1: exp(-Σ λ log λ), the Vendi score. Otherwise (Σ λ^q)^(1/(1-q)); q = 0 is the rank of K, q = ∞ is 1/max λ.
    It is 1 for n equal embeddings and n for n orthogonal ones, whatever q is.

    Args:
        embeddings: L2-normalised rows, one for each sample.
        order: q >= 0; small q counts rare samples fully, large q counts what is common. `math.inf` is allowed.

    Raises:
        TypeError: `order` is not a number.
        ValueError: `order` is negative or NaN, or the rows are not normalised.

    >>> round(vendi_score(torch.eye(3)), 6)
    3.0
    """
    if order != math.inf:
        check_number("order", order, low=0, hint="1 is the Vendi score; math.inf is allowed")
    check_normalised(embeddings)
    eigenvalues = _spectrum(embeddings.double())
    if order == math.inf:
        return float(1.0 / eigenvalues.max())
    # The general formula divides by 1 - q and loses its digits where that is nearly 0.
    if abs(order - 1) < _SHANNON:
        return float(torch.exp(-(eigenvalues * eigenvalues.log()).sum()))
    return float(eigenvalues.pow(order).sum() ** (1.0 / (1.0 - order)))


def _spectrum(rows: Tensor) -> Tensor:
    """Positive eigenvalues of K/n, summing to 1."""
    eigenvalues = torch.linalg.eigvalsh(rows @ rows.T / len(rows))
    # Rounding leaves zeros of the size of the inputs' float32; an order below 1 would count each as a sample.
    noise = len(rows) * torch.finfo(torch.float32).eps * eigenvalues.max()
    kept = eigenvalues[eigenvalues > noise]
    return kept / kept.sum()
