"""The latent prediction error e = hᴸ - ĥᴸ and what it does to the logits."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["error_norm", "tilt_from_error"]


def error_norm(deep: Float[Tensor, "... d"], predicted: Float[Tensor, "... d"]) -> Float[Tensor, "..."]:
    """‖e‖ = ‖hᴸ - ĥᴸ‖₂ of each row: the novelty of its context, in units of the hidden state.

    Examples:
        >>> error_norm(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2))
        tensor([5.])
    """
    return torch.linalg.vector_norm(deep - predicted, dim=-1)


def tilt_from_error(
    error: Float[Tensor, "rows d"], weight: Float[Tensor, "tokens d"], beta: Float[Tensor, " rows"]
) -> Float[Tensor, "rows tokens"]:
    """Δz_a = β ‖w_a‖ ‖e‖ cos(w_a, e) (ESamp, Eq. 9): how much ESamp raises the logit of each token.

    Args:
        error: e = hᴸ - ĥᴸ.
        weight: rows w_a of a linear LM head.
        beta: exploration strength of each row.

    Examples:
        It is β W e:

        >>> tilt_from_error(torch.tensor([[3.0, 4.0]]), torch.eye(2), torch.tensor([0.5]))
        tensor([[1.5000, 2.0000]])
    """
    size = torch.linalg.vector_norm(error, dim=-1, keepdim=True)
    weight_size = torch.linalg.vector_norm(weight, dim=-1)
    cosine = torch.nn.functional.cosine_similarity(error.unsqueeze(1), weight.unsqueeze(0), dim=-1)
    return beta.unsqueeze(-1) * weight_size * size * cosine
