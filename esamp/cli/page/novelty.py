"""Novelty as one of a few classes, by quantile within a run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["LEVELS", "Scale"]

LEVELS = 8
"""Number of classes; each holds as many tokens of the run as any other."""


class Scale:
    """Classes 0 (foreseen) to `LEVELS` - 1 (new), bounded by the quantiles of all values given.

    Args:
        values: ‖e‖ of the tokens of each sample; NaN is left out.
    """

    def __init__(self, values: Sequence[Float[Tensor, " _"]]) -> None:
        known = torch.cat([value.cpu() for value in values])
        known = known[known.isfinite()]
        inner = torch.arange(1, LEVELS) / LEVELS
        # torch.quantile refuses more than 16 million values; a page holds thousands.
        self.bounds: Tensor = torch.quantile(known, inner) if len(known) else torch.zeros(LEVELS - 1)

    def levels(self, values: Float[Tensor, " tokens"]) -> list[int | None]:
        """The class of each value; None for NaN."""
        found = torch.bucketize(values.cpu().contiguous(), self.bounds, right=True).tolist()
        return [level if known else None for level, known in zip(found, values.isfinite().tolist(), strict=True)]
