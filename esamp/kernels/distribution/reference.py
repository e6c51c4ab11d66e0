"""Distributions over candidates in plain PyTorch: what the kernel must compute."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["effective_beta", "plain", "tilted"]


def plain(
    reference: Float[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    temperature: Float[Tensor, "rows 1"],
) -> Float[Tensor, "rows candidates"]:
    """Log softmax(z / T) of the candidates; -inf in empty places."""
    return (reference / temperature).masked_fill(~mask, -torch.inf).log_softmax(dim=-1)


def tilted(
    reference: Float[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    temperature: Float[Tensor, "rows 1"],
    distilled: Float[Tensor, "rows candidates"],
    beta: Float[Tensor, " rows"],
    slope: float,
) -> tuple[Float[Tensor, "rows candidates"], Float[Tensor, "rows candidates"], Float[Tensor, " rows"]]:
    """Z' = z + β (slope · z - ẑ), exactly z at β = 0 whatever ẑ is; log softmax(z' / T); and KL from softmax(z / T)."""
    b = beta.unsqueeze(-1)
    logits = torch.where(b == 0, reference, reference + b * (slope * reference - distilled)).masked_fill(~mask, 0.0)
    log_probs = plain(logits, mask, temperature)
    gap = (log_probs - plain(reference, mask, temperature)).masked_fill(~mask, 0.0)
    return logits, log_probs, (log_probs.exp() * gap).sum(dim=-1)


def effective_beta(
    beta: Float[Tensor, " rows"],
    norm: Float[Tensor, " rows"],
    slot: Int[Tensor, " rows"],
    updates: Int[Tensor, " groups"],
    warmup: int,
) -> Float[Tensor, " rows"]:
    """β of the rows whose group has had `warmup` updates and has no row with a norm that is not finite; 0 elsewhere."""
    broken = torch.zeros_like(updates).index_add_(0, slot, (~norm.isfinite()).to(updates.dtype)) > 0
    return beta * ((updates >= warmup) & ~broken)[slot]
