"""Formulas that fuse the LLM's logits with the distiller's."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["beta_mix", "subtraction"]


def beta_mix(
    reference: Float[Tensor, "rows candidates"],
    distilled: Float[Tensor, "rows candidates"],
    beta: Float[Tensor, " rows"],
) -> Float[Tensor, "rows candidates"]:
    """Z' = (1 + β) z - β ẑ (ESamp, Eq. 6), computed as z + β (z - ẑ), which is exactly z at β = 0.

    Args:
        reference: the LLM's logits z.
        distilled: the distiller's logits ẑ; finite.
        beta: exploration strength of each row.

    Examples:
        >>> beta_mix(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 2.0]]), torch.tensor([0.5]))
        tensor([[ 1., -1.]])
    """
    return torch.addcmul(reference, beta.unsqueeze(-1), reference - distilled)


def subtraction(
    reference: Float[Tensor, "rows candidates"],
    distilled: Float[Tensor, "rows candidates"],
    beta: Float[Tensor, " rows"],
) -> Float[Tensor, "rows candidates"]:
    """Z' = z - β ẑ (ESamp, the ablation beside Eq. 6).

    Args:
        reference: the LLM's logits z.
        distilled: the distiller's logits ẑ; finite.
        beta: exploration strength of each row.

    Examples:
        >>> subtraction(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 2.0]]), torch.tensor([0.5]))
        tensor([[ 0.5000, -1.0000]])
    """
    return reference - beta.unsqueeze(-1) * distilled
