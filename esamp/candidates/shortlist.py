"""Short lists of the tokens that the filters may keep, found by reading the vocabulary once."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.functional.listing import at_least, block_maxima
from esamp.kernels.candidate_filter import min_p_candidates, narrow

__all__ = ["by_blocks", "by_kernel"]

# Places of the list that the kernel fills; longer ones, which min-p hardly ever leaves, take the general way.
_LISTED = 512

# How far below min-p's threshold the search for candidates starts, relative.
_SLACK = 1e-4


def by_blocks(
    logits: Float[Tensor, "rows vocab"],
    temperature: Float[Tensor, "rows 1"],
    min_p: float | None,
    top_k: int | None,
) -> tuple[Int[Tensor, "rows width"], Bool[Tensor, "rows width"]]:
    """Ids of every token that survives min-p and top-k and of few others, and which places of the lists are taken.

    What survives of the list survives of the vocabulary.
    """
    highest = block_maxima(logits)
    floor = logits.new_full((len(logits), 1), -torch.inf)
    if min_p:
        top = highest.amax(dim=-1, keepdim=True)
        # A little lower than the threshold, which the filter draws exactly.
        floor = top + temperature * math.log(min_p) - _SLACK * (temperature + top.abs())
    if top_k is not None and top_k <= highest.shape[-1]:
        # So many blocks have a token that is at least as high.
        floor = torch.maximum(floor, highest.topk(top_k).values[:, -1:])
    return at_least(logits, highest, floor)


def by_kernel(
    logits: Float[Tensor, "rows vocab"],
    temperature: Float[Tensor, "rows 1"],
    min_p: float,
    top_k: int | None,
    top_p: float | None,
) -> tuple[Int[Tensor, "rows width"], Float[Tensor, "rows width"], Bool[Tensor, "rows width"]] | None:
    """Ids, logits and mask of what min-p leaves, narrowed by top-k or top-p, not both; None: too long a list."""
    ids, reference, mask, count, log_mass = min_p_candidates(logits, temperature, min_p, _LISTED)
    if top_k is None and (top_p is None or top_p >= 1.0):
        # The host waits for it. Of a row of NaN nothing is kept; it has a place all the same.
        width = max(1, *count.tolist()) if len(count) else 0
        if width > _LISTED:
            return None
        return ids[:, :width], reference[:, :width], mask[:, :width]
    keep = narrow(reference / temperature, mask, log_mass, top_k, top_p)
    order = (~keep).to(torch.int8).argsort(dim=-1, stable=True)
    # The two numbers that the host reads, at once: is the list whole, and how wide is it.
    longest, width = torch.stack([count, keep.sum(dim=-1)]).amax(dim=-1).tolist() if len(count) else (0, 0)
    if longest > _LISTED:
        return None
    order = order[:, : max(width, 1) if len(count) else 0]
    kept = keep.gather(-1, order)
    ids = ids.gather(-1, order).masked_fill(~kept, 0)
    return ids, logits.gather(-1, ids), kept
