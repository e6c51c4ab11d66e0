"""Which rows of a batch belong to which group: the bridge between an engine's rows and the bank's slots."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Rows"]


@dataclass(frozen=True)
class Rows:
    """The rows of one decode step. Identity is (slot, lane), not the place in the batch: rows move, finish and leave.

    Attributes:
        slot: int64 [rows], each row's slot in the bank.
        lane: int64 [rows], its place in the group, below the explorer's `lanes`; no two rows share (slot, lane).
        sample: int64 [rows], its sample index among the n of its prompt, which keys the draws.
    """

    slot: Int[Tensor, " rows"]
    lane: Int[Tensor, " rows"]
    sample: Int[Tensor, " rows"]

    @classmethod
    def grid(cls, groups: int, lanes: int, device: torch.device | str = "cpu") -> Rows:
        """`lanes` rows in each of `groups` groups, in order; the sample index is the lane.

        >>> Rows.grid(2, 2).slot
        tensor([0, 0, 1, 1])
        """
        slot = torch.arange(groups, device=device).repeat_interleave(lanes)
        lane = torch.arange(lanes, device=device).repeat(groups)
        return cls(slot, lane, lane)

    def __len__(self) -> int:
        return self.slot.shape[0]

    def __getitem__(self, index: Tensor) -> Rows:
        """The rows at `index` (int64 places or a bool mask), in that order."""
        return Rows(self.slot[index], self.lane[index], self.sample[index])

    def scatter(self, values: Float[Tensor, "rows ..."], groups: int, lanes: int) -> Float[Tensor, "groups lanes ..."]:
        """Values of rows laid out by group; zeros where no row is."""
        grouped = values.new_zeros(groups * lanes, *values.shape[1:])
        grouped.index_copy_(0, self._flat(lanes), values)
        return rearrange(grouped, "(groups lanes) ... -> groups lanes ...", groups=groups)

    def gather(self, grouped: Float[Tensor, "groups lanes ..."]) -> Float[Tensor, "rows ..."]:
        """The inverse of `scatter`: each row's own value."""
        return rearrange(grouped, "groups lanes ... -> (groups lanes) ...")[self._flat(grouped.shape[1])]

    def _flat(self, lanes: int) -> Tensor:
        return self.slot * lanes + self.lane
