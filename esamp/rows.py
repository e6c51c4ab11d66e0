"""Which rows of a batch belong to which group: the bridge between an engine's rows and the bank's slots."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
        step: int64 [rows], number of tokens the sample has so far, which keys the draws too.
        beta: float32 [rows], its exploration strength β.
        whole: they are all seats of all groups in order: slot · lanes + lane is 0, 1, 2, ... Then laying them out by
            group is a matter of shape.
    """

    slot: Int[Tensor, " rows"]
    lane: Int[Tensor, " rows"]
    sample: Int[Tensor, " rows"]
    step: Int[Tensor, " rows"]
    beta: Float[Tensor, " rows"]
    whole: bool = False

    @classmethod
    def of_prompts(
        cls,
        group: Int[Tensor, " prompts"] | Int[Tensor, "prompts n"],
        beta: Float[Tensor, "prompts n"],
        first_sample: Int[Tensor, " prompts"] | None = None,
    ) -> Rows:
        """N rows for each prompt, in order, at step 0.

        Args:
            group: the slot of each prompt, or of each sample; rows of one slot get lanes of their own.
            beta: β of each sample.
            first_sample: sample index of the first of each prompt's n; None: 0.

        Examples:
            >>> Rows.of_prompts(torch.tensor([0, 1, 0]), torch.ones(3, 2)).lane
            tensor([0, 1, 0, 1, 2, 3])
        """
        prompts, n = beta.shape
        slot = (group if group.dim() == 2 else group.unsqueeze(1).expand(prompts, n)).flatten()
        # How many earlier rows are in the same slot.
        lane = (slot.unsqueeze(1) == slot.unsqueeze(0)).tril(-1).sum(dim=1)
        first_sample = slot.new_zeros(prompts) if first_sample is None else first_sample
        sample = torch.arange(n, device=slot.device).repeat(prompts)
        seat = slot * (int(lane.max()) + 1 if len(lane) else 0) + lane
        return cls(
            slot=slot,
            lane=lane,
            sample=sample + first_sample.repeat_interleave(n),
            step=torch.zeros_like(sample),
            beta=beta.flatten().contiguous(),
            whole=torch.equal(seat, torch.arange(len(seat), device=seat.device)),
        )

    def __len__(self) -> int:
        return self.slot.shape[0]

    def __getitem__(self, index: Tensor) -> Rows:
        """The rows at `index` (int64 places or a bool mask), in that order."""
        return Rows(self.slot[index], self.lane[index], self.sample[index], self.step[index], self.beta[index])

    def advance(self) -> Rows:
        """The same rows, one token later."""
        return replace(self, step=self.step + 1)

    def scatter(self, values: Float[Tensor, "rows ..."], groups: int, lanes: int) -> Float[Tensor, "groups lanes ..."]:
        """Values of rows laid out by group; zeros where no row is. A view of them where the rows are `whole`."""
        if self.whole and len(values) == groups * lanes:
            return values.unflatten(0, (groups, lanes))
        grouped = values.new_zeros(groups * lanes, *values.shape[1:])
        grouped.index_copy_(0, self._flat(lanes), values)
        return rearrange(grouped, "(groups lanes) ... -> groups lanes ...", groups=groups)

    def gather(self, grouped: Float[Tensor, "groups lanes ..."]) -> Float[Tensor, "rows ..."]:
        """The inverse of `scatter`: each row's own value."""
        if self.whole and len(self) == grouped.shape[0] * grouped.shape[1]:
            return grouped.flatten(0, 1)
        return rearrange(grouped, "groups lanes ... -> (groups lanes) ...")[self._flat(grouped.shape[1])]

    def _flat(self, lanes: int) -> Tensor:
        return self.slot * lanes + self.lane
