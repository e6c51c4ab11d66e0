"""Cosines of embeddings: how alike the samples are, and how near to their prompt."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

__all__ = ["check_normalised", "mean_pairwise_cosine", "relevance"]

_TOLERANCE = 1e-3


def mean_pairwise_cosine(embeddings: Float[Tensor, "n d"]) -> float:
    """Mean of x_i·x_j over the n (n - 1) / 2 pairs of different rows; NaN where n = 1, which has no pair.

    Args:
        embeddings: L2-normalised rows, one for each sample.

    Raises:
        ValueError: the rows are not normalised.

    Examples:
        >>> import torch
        >>> mean_pairwise_cosine(torch.eye(2))
        0.0
    """
    check_normalised(embeddings)
    n = len(embeddings)
    if n == 1:
        return math.nan
    rows = embeddings.double()
    # |Σ x|² holds every pair twice and each row with itself once.
    return float((rows.sum(dim=0).square().sum() - rows.square().sum()) / (n * (n - 1)))


def relevance(prompt: Float[Tensor, " d"], embeddings: Float[Tensor, "n d"]) -> float:
    """Mean of p·x_i over the n samples, p the prompt's embedding: low where samples have left their prompt.

    Args:
        prompt: L2-normalised.
        embeddings: L2-normalised rows, one for each sample.

    Raises:
        ValueError: the prompt or a row is not normalised.

    Examples:
        >>> import torch
        >>> relevance(torch.tensor([1.0, 0.0]), torch.eye(2))
        0.5
    """
    check_normalised(prompt.unsqueeze(0))
    check_normalised(embeddings)
    return float((embeddings.double() @ prompt.double()).mean())


def check_normalised(embeddings: Float[Tensor, "n d"]) -> None:
    """Accept at least one row, all of length 1.

    Raises:
        ValueError: there is no row, or one is not of length 1.
    """
    if len(embeddings) == 0:
        raise ValueError("embeddings must have at least one row, got none")
    norms = embeddings.double().norm(dim=-1)
    wrong = ~((norms - 1).abs() < _TOLERANCE)  # NaN is wrong too
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f"embeddings must have rows of length 1, and row {row} has length {float(norms[row]):g}; divide each row "
            "by its norm"
        )
