"""The temperature of a run's rows, from step to step."""

from __future__ import annotations

from typing import final

from jaxtyping import Float, Int
from torch import Tensor

from esamp.candidates.filters import Filters
from esamp.candidates.row_filters import RowFilters

__all__ = ["Temperatures"]


@final
class Temperatures:
    """T of the rows of a run, step by step; made anew only where it is not what it was in the last step.

    Args:
        filters: whose temperature it is.
    """

    def __init__(self, filters: Filters | RowFilters) -> None:
        self.filters: Filters | RowFilters = filters
        self._last: Float[Tensor, "rows 1"] | None = None

    def at(self, step: Int[Tensor, " rows"]) -> Float[Tensor, "rows 1"]:
        """T of each row, by the number of tokens it has."""
        if callable(self.filters.temperature) or self._last is None or len(self._last) != len(step):
            self._last = self.filters.temperatures(step)
        return self._last
