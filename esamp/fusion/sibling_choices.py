"""Which tokens the samples of a group have drawn, and in what context."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from esamp.rows import Rows

__all__ = ["SiblingChoices"]

_EMPTY = -1
_SEED = 20260424


class SiblingChoices:
    """The last `capacity` (hᴸ, token) pairs of each group: a memory that is read by likeness.

    A context is kept as `features` random projections of hᴸ, of length one (Johnson and Lindenstrauss: likeness
    survives); two contexts are as like as k = exp((cos - 1) / bandwidth), 1 for the same prefix.

    Args:
        bandwidth: 1 - cos at which likeness has fallen to 1/e.
        features: width of what is kept of a context.
        capacity: pairs kept for each group, 4 · features + 8 bytes each.
        groups: number of slots.
        hidden_size: d.
        device: where the memory lives.
    """

    def __init__(
        self, bandwidth: float, features: int, capacity: int, groups: int, hidden_size: int, device: torch.device | str
    ) -> None:
        self.bandwidth = bandwidth
        self.capacity = capacity
        generator = torch.Generator().manual_seed(_SEED)
        projection = torch.randn(hidden_size, features, generator=generator) / math.sqrt(features)
        self._projection: Float[Tensor, "d features"] = projection.to(device)
        # One place more than is kept: what must not be written goes there, so that no shape depends on a value.
        self._contexts: Float[Tensor, "groups places features"] = torch.zeros(
            groups, capacity + 1, features, device=device
        )
        self._tokens: Int[Tensor, "groups places"] = torch.full((groups, capacity + 1), _EMPTY, device=device)
        self._written: Int[Tensor, " groups"] = torch.zeros(groups, dtype=torch.int64, device=device)
        self._lanes = 1

    def begin(self, lanes: int) -> None:
        """New rows are coming, at most `lanes` in a group."""
        self._lanes = lanes

    def counts(
        self, deep: Float[Tensor, "rows d"], ids: Int[Tensor, "rows candidates"], rows: Rows
    ) -> tuple[Float[Tensor, "rows candidates"], Float[Tensor, " rows"]]:
        """How often each candidate was drawn in contexts like this one, and how often any token was: sums of k."""
        groups = len(self._written)
        contexts = rows.scatter(self._context(deep), groups, self._lanes)
        cosine = rows.gather(torch.bmm(contexts, self._contexts[:, :-1].mT))
        likeness = ((cosine - 1) / self.bandwidth).exp().masked_fill(self._tokens[rows.slot, :-1] == _EMPTY, 0.0)
        # By token, so that what a candidate has is a difference of running sums.
        token, order = self._tokens[:, :-1].sort(dim=1)
        running = likeness.gather(1, order[rows.slot]).double().cumsum(dim=1)
        running = torch.cat([torch.zeros_like(running[:, :1]), running], dim=1)
        token = token[rows.slot]
        ids = ids.contiguous()
        low, high = torch.searchsorted(token, ids), torch.searchsorted(token, ids, right=True)
        return (running.gather(1, high) - running.gather(1, low)).clamp_min(0.0).float(), likeness.sum(dim=-1)

    def observe(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        """Take in a step: hᴸ, the tokens drawn from it, and the rows that count."""
        before = (rows.slot.unsqueeze(1) == rows.slot) & alive
        rank = before.tril(-1).sum(dim=1)
        place = (self._written[rows.slot] + rank) % self.capacity
        # Of more at once than there are places, the first are kept.
        place = torch.where(alive & (rank < self.capacity), place, self.capacity)
        deep = deep.masked_fill(~alive.unsqueeze(-1), 0.0)
        self._contexts[rows.slot, place] = self._context(deep)
        self._tokens[rows.slot, place] = tokens
        self._tokens[:, -1] = _EMPTY
        self._written.index_add_(0, rows.slot, (alive & (rank < self.capacity)).long())

    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        """Forget everything about the slots where `mask` holds."""
        self._tokens.masked_fill_(mask.unsqueeze(-1), _EMPTY)
        self._written.masked_fill_(mask, 0)

    def _context(self, deep: Float[Tensor, "rows d"]) -> Float[Tensor, "rows features"]:
        return normalize(deep.float() @ self._projection, dim=-1)
