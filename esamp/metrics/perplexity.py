"""Perplexity of samples under the model that drew them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["perplexity"]


def perplexity(log_probs: Sequence[Float[Tensor, " _"]]) -> float:
    """exp(-mean log p) over all tokens of all samples together, so that long samples weigh more.

    Args:
        log_probs: of each sample's tokens under the model alone (`Sample.reference_log_probs`), nats.

    Raises:
        ValueError: there is no token.

    >>> round(perplexity([torch.tensor([0.5, 0.25]).log(), torch.tensor([0.5]).log()]), 4)
    2.5198
    """
    if sum(len(values) for values in log_probs) == 0:
        raise ValueError("log_probs must hold at least one token, got none")
    return float(torch.cat([values.double().cpu() for values in log_probs]).mean().neg().exp())
