"""Candidates by min-p in plain PyTorch: what the kernel must compute."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["min_p_candidates"]


def min_p_candidates(
    logits: Float[Tensor, "rows vocab"], temperature: Float[Tensor, "rows 1"], min_p: float, width: int
) -> tuple[
    Int[Tensor, "rows width"],
    Float[Tensor, "rows width"],
    Bool[Tensor, "rows width"],
    Int[Tensor, " rows"],
    Float[Tensor, " rows"],
]:
    """Ids, reference, mask, count and log Σ exp(z / T); see `esamp.kernels.candidate_filter.min_p_candidates`."""
    scores = logits / temperature
    keep = (scores - scores.amax(dim=-1, keepdim=True)).exp() >= min_p
    count = keep.sum(dim=-1)
    # Kept tokens first, each in its order; the sort is the reference's, the kernel has none.
    ids = (~keep).to(torch.int8).argsort(dim=-1, stable=True)[:, :width]
    ids = torch.nn.functional.pad(ids, (0, width - ids.shape[1]))
    mask = torch.arange(width, device=logits.device) < count.unsqueeze(-1)
    ids = ids.masked_fill(~mask, 0)
    return ids, logits.gather(-1, ids), mask, count, scores.logsumexp(dim=-1)
