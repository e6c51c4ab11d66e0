"""The Vendi score: how many different samples there are in effect."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.checks import check_number
from esamp.metrics.cosine import check_normalised

__all__ = ["check_order", "vendi_of_kernels", "vendi_score"]

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

    Examples:
        >>> round(vendi_score(torch.eye(3)), 6)
        3.0
    """
    check_order(order)
    check_normalised(embeddings)
    rows = embeddings.double()
    return float(vendi_of_kernels(rows @ rows.T, order))


def vendi_of_kernels(kernels: Float[Tensor, "*sets n n"], order: float = 1.0) -> Float[Tensor, "*sets"]:
    """The same of each set of n samples, given as its matrix of cosines in float64."""
    eigenvalues = _spectrum(kernels)
    if order == math.inf:
        return 1.0 / eigenvalues.amax(dim=-1)
    # The general formula divides by 1 - q and loses its digits where that is nearly 0.
    if abs(order - 1) < _SHANNON:
        return torch.special.entr(eigenvalues).sum(dim=-1).exp()
    powers = eigenvalues.pow(order).where(eigenvalues > 0, 0.0)  # 0⁰ would count
    return powers.sum(dim=-1).pow(1.0 / (1.0 - order))


def check_order(order: float) -> None:
    """Accept an order q of a Hill number.

    Raises:
        TypeError: it is not a number.
        ValueError: it is negative or NaN.
    """
    if order != math.inf:
        check_number("order", order, low=0, hint="1 is the Vendi score; math.inf is allowed")


def _spectrum(kernels: Tensor) -> Tensor:
    """Eigenvalues of K/n, summing to 1; those that are rounding are 0."""
    n = kernels.shape[-1]
    eigenvalues = torch.linalg.eigvalsh(kernels / n)
    # Rounding leaves zeros of the size of the inputs' float32; an order below 1 would count each as a sample.
    noise = n * torch.finfo(torch.float32).eps * eigenvalues.amax(dim=-1, keepdim=True)
    kept = eigenvalues.where(eigenvalues > noise, 0.0)
    return kept / kept.sum(dim=-1, keepdim=True)
