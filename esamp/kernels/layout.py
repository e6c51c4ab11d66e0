"""Rows of a bank's slots, as one grid: what the references compute on."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["Grid"]


class Grid:
    """The rows of each slot side by side, [slots, lanes, ...], made without a loop and without asking the device.

    Args:
        slot: slot of each row; rows whose slot is outside [0, slots) are in no grid.
        slots: number of slots.
        lanes: most rows of one slot.

    Attributes:
        owned: the row has a slot.
    """

    owned: Bool[Tensor, " rows"]

    def __init__(self, slot: Int[Tensor, " rows"], slots: int, lanes: int) -> None:
        self.slots: int = slots
        self.lanes: int = lanes
        self.owned = (slot >= 0) & (slot < slots)
        # How many earlier rows have the same slot.
        lane = (slot.unsqueeze(1) == slot.unsqueeze(0)).tril(-1).sum(dim=1)
        # Rows without a slot go to one more place, which is cut off.
        self._place = torch.where(self.owned, slot * lanes + lane, slots * lanes)

    def scatter(self, values: Float[Tensor, "rows ..."]) -> Float[Tensor, "slots lanes ..."]:
        """Values of rows by slot; zeros in empty places."""
        grid = values.new_zeros(self.slots * self.lanes + 1, *values.shape[1:]).index_put((self._place,), values)
        return grid[:-1].unflatten(0, (self.slots, self.lanes))

    def gather(self, grid: Float[Tensor, "slots lanes ..."]) -> Float[Tensor, "rows ..."]:
        """Each row's own value; zeros for rows without a slot."""
        flat = grid.flatten(0, 1)
        return torch.cat([flat, flat.new_zeros(1, *flat.shape[1:])])[self._place]
