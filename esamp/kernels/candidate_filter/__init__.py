"""From logits to a padded candidate list without a sort of the vocabulary, where min-p suffices for that."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.kernels.candidate_filter import reference as plain
from esamp.kernels.dispatch import uses_triton

__all__ = ["min_p_candidates", "narrow"]


def min_p_candidates(
    logits: Float[Tensor, "rows vocab"], temperature: Float[Tensor, "rows 1"], min_p: float, width: int
) -> tuple[
    Int[Tensor, "rows width"],
    Float[Tensor, "rows width"],
    Bool[Tensor, "rows width"],
    Int[Tensor, " rows"],
    Float[Tensor, " rows"],
]:
    """Tokens at least `min_p` times as probable as the most probable one, ascending, in a list of fixed width.

    Args:
        logits: z, before temperature.
        temperature: T of each row.
        min_p: in (0, 1).
        width: places of the list. Where a row's count exceeds it the list holds its lowest ids only.

    Returns:
        Ids, 0 in empty places; their logits; the mask; the count; and log Σ exp(z / T) over the vocabulary.
    """
    if uses_triton(logits):
        from esamp.kernels.candidate_filter.triton import run

        return run(logits, temperature, min_p, width)
    return plain.min_p_candidates(logits, temperature, min_p, width)


def narrow(
    scores: Float[Tensor, "rows width"],
    mask: Bool[Tensor, "rows width"],
    log_mass: Float[Tensor, " rows"],
    top_k: int | None,
    top_p: float | None,
) -> Bool[Tensor, "rows width"]:
    """What top-k or top-p, not both, leave of a min-p list: only the list is sorted, never the vocabulary.

    Every token outside the list is less probable than every one inside, so that the k largest of the list are those of
    the vocabulary, and the mass below the list is what is missing to 1.

    Args:
        scores: z / T of the list.
        mask: False in empty places.
        log_mass: log Σ exp(z / T) over the vocabulary.
        top_k: None: off.
        top_p: None: off.
    """
    scores = scores.masked_fill(~mask, -torch.inf)
    if top_k is not None and top_k < scores.shape[1]:
        mask = mask & (scores >= scores.topk(top_k).values[:, -1:])
    if top_p is not None and top_p < 1.0:
        ordered, order = scores.sort(dim=-1, descending=False)
        probs = (ordered - log_mass.unsqueeze(-1)).exp()
        outside = probs.cumsum(dim=-1) + (1 - probs.sum(dim=-1, keepdim=True)) <= 1 - top_p
        outside[:, -1] = False
        mask = mask & ~outside.scatter(-1, order, outside)
    return mask
