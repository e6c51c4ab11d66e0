"""Tokens as padded lists, found by reading the vocabulary once."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["at_least", "block_maxima", "padded_list"]

_BLOCK = 64


def block_maxima(scores: Float[Tensor, "rows vocab"]) -> Float[Tensor, "rows blocks"]:
    """Largest score of each block of the vocabulary, of which the last may be shorter."""
    whole = scores.shape[-1] // _BLOCK * _BLOCK
    blocks = scores[:, :whole].unflatten(-1, (-1, _BLOCK)).amax(dim=-1)
    if whole == scores.shape[-1]:
        return blocks
    return torch.cat([blocks, scores[:, whole:].amax(dim=-1, keepdim=True)], dim=-1)


def at_least(
    scores: Float[Tensor, "rows vocab"], highest: Float[Tensor, "rows blocks"], floor: Float[Tensor, "rows 1"]
) -> tuple[Int[Tensor, "rows width"], Bool[Tensor, "rows width"]]:
    """`padded_list` of the tokens whose score is at least `floor`; blocks whose `highest` is lower are passed over."""
    row, block = (highest >= floor).nonzero(as_tuple=True)
    ids = (block * _BLOCK).unsqueeze(-1) + torch.arange(_BLOCK, device=block.device)
    inside = ids < scores.shape[-1]
    ids = ids.masked_fill(~inside, 0)
    high = inside & (scores[row.unsqueeze(-1), ids] >= floor[row])
    return padded_list(row.unsqueeze(-1).expand(high.shape)[high], ids[high], len(scores))


def padded_list(
    row: Int[Tensor, " pairs"], ids: Int[Tensor, " pairs"], rows: int
) -> tuple[Int[Tensor, "rows width"], Bool[Tensor, "rows width"]]:
    """Pairs (row, id), ordered by row, as one list a row; 0 in empty places. And which places are taken.

    Examples:
        >>> padded_list(torch.tensor([0, 2, 2]), torch.tensor([5, 6, 7]), 3)[0].tolist()
        [[5, 0], [0, 0], [6, 7]]
    """
    count = torch.bincount(row, minlength=rows)
    place = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    # The one number that the host reads.
    width = max(int(count.max()), 1) if rows else 0
    listed = torch.zeros(rows, width, dtype=torch.int64, device=row.device)
    listed[row, place] = ids
    return listed, torch.arange(width, device=row.device) < count.unsqueeze(-1)
