"""Levels from general to particular: a trunk that all prompts share, and a small part for each."""

from __future__ import annotations

from pathlib import Path
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from esamp.distillers.base import Distiller, distillers
from esamp.distillers.low_rank import LowRankDistiller
from esamp.distillers.mlp import MLPDistiller
from esamp.distillers.recall import Recall
from esamp.functional import surely_none
from esamp.llm import FrozenLLM

__all__ = ["HierarchicalDistiller"]


@final
@distillers.register("hierarchical")
class HierarchicalDistiller(Distiller):
    """ĥᴸ = f_trunk(h¹) + f_domain(h¹) + f_prompt(h¹), each level trained on what the levels above leave unexplained.

    The paper's "hierarchical distillers" and "adaptive sharing across mixed-domain batches". The trunk is one for all
    groups of the bank, the domain's one for each domain, the leaf one for each group; only the leaf counts towards the
    memory of a prompt. Groups learn from each other through the trunk by design: where prompts must not influence each
    other, use another distiller, or freeze the trunk (`FrozenDistiller` around a trunk that was loaded).

    A recycled slot gets a new leaf; trunk and domains stay, unless their own loss is not finite.

    Args:
        trunk: shared by all groups; the paper's MLP by default.
        leaf: of each group; low-rank of rank 8 by default.
        domain: of each domain; None: there is no such level.
    """

    shares_state = True
    _domains: Tensor

    def __init__(
        self, trunk: Distiller | None = None, leaf: Distiller | None = None, domain: Distiller | None = None
    ) -> None:
        super().__init__()
        self.trunk: _Level = _Level(MLPDistiller() if trunk is None else distillers.build(trunk))
        self.domain: _Level | None = None if domain is None else _Level(distillers.build(domain))
        self.leaf: Distiller = LowRankDistiller(rank=8) if leaf is None else distillers.build(leaf)

    @override
    def bind(self, llm: FrozenLLM) -> None:
        for part in (self.trunk.distiller, self.leaf, *([] if self.domain is None else [self.domain.distiller])):
            part.bind(llm)

    @override
    def load(self, path: str | Path) -> HierarchicalDistiller:
        """Start the trunk from a file, as `trunk.load` does; leaves start as they do."""
        self.trunk.distiller.load(path)
        return self

    @override
    def setup(self, hidden_size: int, groups: int, device: torch.device | str = "cpu") -> None:
        everyone = torch.zeros(groups, dtype=torch.int64, device=device)
        self.trunk.setup(hidden_size, 1, everyone)
        self.leaf.setup(hidden_size, groups, device)
        if self.domain is not None:
            self.domain.setup(hidden_size, groups, everyone)

    @override
    def assign_domains(self, domains: Int[Tensor, " groups"]) -> None:
        if self.domain is None:
            raise ValueError(
                "domains must be None for a HierarchicalDistiller without a level of them; give it one: domain=..."
            )
        self.domain.owner.copy_(domains)

    @override
    def forward(self, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        return self._above(shallow) + self.leaf(shallow)

    @override
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        with torch.no_grad():
            left = (deep - self._above(shallow)) * weight.unsqueeze(-1)
        loss = self.leaf.learn(shallow, left, weight)
        if self.domain is not None:
            with torch.no_grad():
                below_trunk = (deep - self.trunk(shallow)) * weight.unsqueeze(-1)
            self.domain.learn(shallow, below_trunk, weight)
        self.trunk.learn(shallow, deep, weight)
        return loss

    @override
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        self.leaf.reset(mask)

    def _above(self, shallow: Tensor) -> Tensor:
        trunk = self.trunk(shallow)
        return trunk if self.domain is None else trunk + self.domain(shallow)


class _Level(nn.Module):
    """A distiller whose slots are owned by several groups each."""

    owner: Tensor

    def __init__(self, distiller: Distiller) -> None:
        super().__init__()
        self.distiller = distiller
        self._rows: Recall[Tensor] = Recall()

    def setup(self, hidden_size: int, slots: int, owner: Tensor) -> None:
        self.register_buffer("owner", owner.clone())
        self.slots = slots
        self.distiller.setup(hidden_size, slots, owner.device)

    def forward(self, shallow: Tensor) -> Tensor:
        return self._split(self.distiller(self._join_known(shallow)), shallow.shape)

    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> None:
        losses = self.distiller.learn(self._join_known(shallow), self._join(deep), self._join(weight))
        failed = ~losses.isfinite()
        if not surely_none(failed):
            self.distiller.reset(failed)

    def _join_known(self, shallow: Tensor) -> Tensor:
        """The same rows as the same tensor, by which the distiller knows them again."""
        if (joined := self._rows.find(shallow, self.owner)) is None:
            joined = self._join(shallow)
            self._rows.keep(joined, shallow, self.owner)
        return joined

    def _join(self, values: Tensor) -> Tensor:
        """[groups, rows, ...] to [slots, groups · rows, ...]: rows stand in their owner's slot, zeros elsewhere."""
        joined = values.new_zeros(self.slots, *values.shape)
        joined[self.owner, torch.arange(len(values), device=values.device)] = values
        return joined.flatten(1, 2)

    def _split(self, joined: Tensor, shape: torch.Size) -> Tensor:
        parts = joined.view(self.slots, *shape)
        return parts[self.owner, torch.arange(shape[0], device=joined.device)]
