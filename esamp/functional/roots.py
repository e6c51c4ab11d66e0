"""Root finding, row by row."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["bisect"]


def bisect(
    function: Callable[[Float[Tensor, " rows"]], Float[Tensor, " rows"]],
    low: Float[Tensor, " rows"],
    high: Float[Tensor, " rows"],
    iterations: int = 48,
) -> Float[Tensor, " rows"]:
    """Where a non-decreasing function crosses zero between `low` and `high`, for each row, without a host branch.

    Where it is negative throughout the result is `high`, exactly; where it is positive throughout, `low`.

    Examples:
        >>> bisect(lambda x: x**2 - 2, torch.zeros(1), torch.full((1,), 2.0)).item().__round__(4)
        1.4142
    """
    start, end = low, high
    never = function(end) <= 0
    for _ in range(iterations):
        middle = (low + high) / 2
        above = function(middle) > 0
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    # The lower end of the bracket: a budget is met from below.
    return torch.where(never, end, torch.where(low > start, low, start))
