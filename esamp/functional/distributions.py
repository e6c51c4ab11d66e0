"""Distributions over padded candidate lists: `mask` is False where a place of the list is empty."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["entropy", "kl_divergence", "masked_log_softmax", "tilted_log_softmax"]


def masked_log_softmax(
    logits: Float[Tensor, "rows candidates"], mask: Bool[Tensor, "rows candidates"]
) -> Float[Tensor, "rows candidates"]:
    """Log-probabilities of softmax(logits) over the places where `mask` holds; -inf elsewhere.

    Examples:
        >>> masked_log_softmax(torch.zeros(1, 3), torch.tensor([[True, True, False]])).exp()
        tensor([[0.5000, 0.5000, 0.0000]])
    """
    return logits.masked_fill(~mask, -torch.inf).log_softmax(dim=-1)


def entropy(log_probs: Float[Tensor, "rows candidates"]) -> Float[Tensor, " rows"]:
    """Shannon entropy H = -sum p log p in nats; a place with p = 0 adds nothing.

    Examples:
        >>> round(entropy(torch.tensor([[0.5, 0.5, 0.0]]).log()).item(), 4)
        0.6931
    """
    return -(log_probs.exp() * log_probs.clamp_min(torch.finfo(log_probs.dtype).min)).sum(dim=-1)


def kl_divergence(
    log_probs: Float[Tensor, "rows candidates"], reference: Float[Tensor, "rows candidates"]
) -> Float[Tensor, " rows"]:
    """KL(p ‖ p_ref) = sum p (log p - log p_ref) in nats, from log-probabilities over the same candidates.

    A place that is empty in `log_probs` (p = 0) adds nothing.

    Examples:
        >>> kl_divergence(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.75, 0.25]]).log())
        tensor([0.1438])
    """
    gap = (log_probs - reference).masked_fill(log_probs == -torch.inf, 0.0)
    return (log_probs.exp() * gap).sum(dim=-1)


def tilted_log_softmax(
    logits: Float[Tensor, "rows candidates"],
    reference: Float[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    temperature: Float[Tensor, "rows 1"],
) -> tuple[Float[Tensor, "rows candidates"], Float[Tensor, " rows"]]:
    """`masked_log_softmax` of logits / T, and its `kl_divergence` from that of reference / T, both in one pass.

    Args:
        logits: z' of the candidates.
        reference: z of the candidates.
        mask: False in empty places.
        temperature: T of each row.

    Examples:
        >>> logits, reference = torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 0.0]])
        >>> log_probs, kl = tilted_log_softmax(logits, reference, torch.tensor([[True, True]]), torch.ones(1, 1))
        >>> log_probs.exp(), kl
        (tensor([[0.5000, 0.5000]]), tensor([0.4338]))
    """
    both = torch.stack([logits, reference]).div_(temperature).masked_fill_(~mask, -torch.inf).log_softmax(dim=-1)
    log_probs, before = both
    return log_probs, kl_divergence(log_probs, before)
