"""Rows laid out by group, and back."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from esamp.rows import Rows

__all__ = ["Layout"]


@final
class Layout:
    """Where the rows of a step stand on a [groups, lanes] grid: made once, it holds until rows come or leave.

    Args:
        rows: of the step.
        groups: number of slots.
        lanes: largest number of rows in a group.

    Attributes:
        everyone: all rows.
        weight: 1 where a row stands, else 0.
    """

    everyone: Bool[Tensor, " rows"]
    weight: Float[Tensor, "groups lanes"]

    def __init__(self, rows: Rows, groups: int, lanes: int) -> None:
        self._slot, self._lane = rows.slot, rows.lane
        self.shape: tuple[int, int] = (groups, lanes)
        # On a full grid in order, laying out is a matter of shape.
        self._seat = None if rows.whole and len(rows) == groups * lanes else rows.slot * lanes + rows.lane
        self.everyone = torch.ones_like(rows.slot, dtype=torch.bool)
        self.weight = self.scatter(self.everyone.float())

    def holds(self, rows: Rows) -> bool:
        """These rows stand where those stood; that is known of the same tensors only."""
        return rows.slot is self._slot and rows.lane is self._lane

    def scatter(self, values: Float[Tensor, "rows ..."]) -> Float[Tensor, "groups lanes ..."]:
        """Values of rows by group; zeros where no row is."""
        if self._seat is None:
            return values.unflatten(0, self.shape)
        groups, lanes = self.shape
        grid = values.new_zeros(groups * lanes, *values.shape[1:]).index_copy_(0, self._seat, values)
        return grid.unflatten(0, self.shape)

    def gather(self, grouped: Float[Tensor, "groups lanes ..."]) -> Float[Tensor, "rows ..."]:
        """Each row's own value."""
        flat = grouped.flatten(0, 1)
        return flat if self._seat is None else flat[self._seat]
