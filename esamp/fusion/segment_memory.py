"""What the samples of a group have said so far, a line or a sentence at a time."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.rows import Rows

__all__ = ["SegmentMemory"]

_EMPTY, _NOBODY = -2, -1


class SegmentMemory:
    """Pooled hᴸ of the segments that the rows of each group have finished, and of those they are in the middle of.

    A segment's vector is the mean of hᴸ over the tokens drawn in it, counted from the mean of all that the group has
    seen, without which any two of them are nearly parallel. The last `capacity` segments of a group are kept.

    Args:
        ends: the tokens that end a segment, [vocab].
        shortest: tokens a segment has at least; one that would end earlier goes on.
        capacity: segments kept for each group.
        groups: number of slots.
        hidden_size: d.
    """

    def __init__(
        self, ends: Bool[Tensor, " vocab"], shortest: int, capacity: int, groups: int, hidden_size: int
    ) -> None:
        device = ends.device
        self.ends = ends
        self.shortest = shortest
        self.capacity = capacity
        self._seen: Int[Tensor, " groups"] = torch.zeros(groups, dtype=torch.int64, device=device)
        self._mean: Float[Tensor, "groups d"] = torch.zeros(groups, hidden_size, device=device)
        # One place more than is kept: what must not be written goes there, so that no shape depends on a value.
        self._taken: Float[Tensor, "groups places d"] = torch.zeros(groups, capacity + 1, hidden_size, device=device)
        self._owner: Int[Tensor, "groups places"] = torch.full((groups, capacity + 1), _EMPTY, device=device)
        self._written: Int[Tensor, " groups"] = torch.zeros_like(self._seen)
        self.begin(1)

    def begin(self, lanes: int) -> None:
        """New rows in at most `lanes` lanes: nobody is in the middle of a segment, and nobody owns a finished one."""
        groups, d = self._mean.shape
        self._open: Float[Tensor, "groups lanes d"] = self._mean.new_zeros(groups, lanes, d)
        self._length: Int[Tensor, "groups lanes"] = self._seen.new_zeros(groups, lanes)
        self._owner.clamp_(max=_NOBODY)

    def nearness(self, deep: Float[Tensor, "rows d"], rows: Rows) -> Float[Tensor, " rows"]:
        """Largest cosine between a row's segment so far, this step included, and one that another row has finished.

        In [-1, 1]; 0 where no other row has finished any.
        """
        groups, lanes = self._length.shape
        length, total = self._so_far(rows)
        current = rows.scatter((total + deep) / (length + 1).unsqueeze(-1) - self._mean[rows.slot], groups, lanes)
        taken = self._taken[:, :-1] - self._mean.unsqueeze(1)
        cosine = torch.bmm(_normalised(current), _normalised(taken).mT)
        owner = self._owner[:, :-1].unsqueeze(1)
        lane = torch.arange(lanes, device=owner.device).view(1, lanes, 1)
        # A lane's first step belongs to a new row: what the one before it said is somebody else's.
        new = rows.scatter((rows.step == 0).float(), groups, lanes).unsqueeze(-1) > 0
        others = (owner != _EMPTY) & ((owner != lane) | new)
        nearest = cosine.masked_fill(~others, -torch.inf).amax(dim=-1)
        return rows.gather(torch.where(others.any(dim=-1), nearest, 0.0))

    def observe(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        """Take in a step: hᴸ, the tokens drawn from it, and the rows that count."""
        groups, lanes = self._length.shape
        self._forget_owners(rows)
        length, total = self._so_far(rows)
        deep = deep.masked_fill(~alive.unsqueeze(-1), 0.0)
        length, total = length + alive.long(), total + deep
        finished = alive & self.ends[tokens] & (length >= self.shortest)
        self._write(rows.scatter(total / length.clamp_min(1).unsqueeze(-1), groups, lanes), finished, rows)
        going_on = ~finished
        self._open[rows.slot, rows.lane] = total * going_on.unsqueeze(-1)
        self._length[rows.slot, rows.lane] = length * going_on
        here = rows.scatter(deep, groups, lanes).sum(dim=1)
        count = torch.zeros_like(self._seen).index_add_(0, rows.slot, alive.long())
        self._seen += count
        share = count / self._seen.clamp_min(1)
        self._mean += here / self._seen.clamp_min(1).unsqueeze(-1) - self._mean * share.unsqueeze(-1)

    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        """Forget everything about the slots where `mask` holds."""
        self._owner.masked_fill_(mask.unsqueeze(-1), _EMPTY)
        for state in (self._seen, self._written, self._mean, self._length, self._open, self._taken):
            state.masked_fill_(mask.view(-1, *[1] * (state.dim() - 1)), 0)

    def _so_far(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Length and sum of each row's segment before this step; a row at its first step has none."""
        going_on = rows.step > 0
        total = self._open[rows.slot, rows.lane] * going_on.unsqueeze(-1)
        return self._length[rows.slot, rows.lane] * going_on, total

    def _forget_owners(self, rows: Rows) -> None:
        """Segments of a lane whose row is new belong to nobody any more."""
        groups, lanes = self._length.shape
        new = rows.scatter((rows.step == 0).float(), groups, lanes) > 0
        held = self._owner >= 0
        stale = held & new.gather(1, self._owner.clamp(0, lanes - 1))
        self._owner.masked_fill_(stale, _NOBODY)

    def _write(self, vectors: Tensor, finished: Tensor, rows: Rows) -> None:
        """Put the finished segments into the next places of their group's ring."""
        groups, lanes = self._length.shape
        ending = rows.scatter(finished.float(), groups, lanes).long()
        rank = ending.cumsum(dim=1) - 1
        place = (self._written.unsqueeze(1) + rank) % self.capacity
        # Of more segments at once than there are places, the first are kept.
        place = torch.where((ending > 0) & (rank < self.capacity), place, self.capacity)
        self._taken.scatter_(1, place.unsqueeze(-1).expand_as(vectors), vectors)
        lane = torch.arange(lanes, device=place.device).expand(groups, lanes)
        self._owner.scatter_(1, place, lane)
        self._owner[:, -1] = _EMPTY
        self._written += ending.sum(dim=1).clamp(max=self.capacity)


def _normalised(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1)
