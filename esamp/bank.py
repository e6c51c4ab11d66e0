"""The state of ESamp: of each group its distiller and what its fusion remembers. Nothing is kept anywhere else."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.checks import check_shape
from esamp.distillers.base import Distiller
from esamp.functional import surely_all, surely_finite
from esamp.fusion.base import NoveltyFusion, Texts
from esamp.head import Head
from esamp.llm import FrozenLLM

__all__ = ["Bank"]

_NEVER = -(2**62)
"""Updates of a slot that was given up: its warm-up is never over."""


class Bank:
    """Distiller and fusion of `groups` groups, set up for an LLM.

    Args:
        distiller: the recipe; the bank works on a copy.
        fusion: the recipe; the bank works on what `attach` makes of it.
        llm: the LLM's frozen weights.
        groups: number of slots.
        texts: makes the text of every token id, for fusions that read.
        domains: domain of each group, for distillers with such a level; None: they are all of one.

    Raises:
        ValueError: the distiller does not fit the model's width, or has no level of domains.

    Attributes:
        updates: how often each slot has learnt since it was new, int64 [groups].
        resets: how often each slot was reset because its loss or prediction was not finite, int64 [groups].
        exhausted: 1 for each slot that was given up because memory ran out, int64 [groups]; until it is recycled.
        resting: nothing is predicted or learnt: slots were given up, and none has been recycled since.
    """

    def __init__(
        self,
        distiller: Distiller,
        fusion: NoveltyFusion,
        llm: FrozenLLM,
        groups: int,
        texts: Texts = tuple[str],
        domains: Int[Tensor, " groups"] | None = None,
    ) -> None:
        self.head: Head = llm.head
        head = self.head
        device = head.weight.device
        self.groups = groups
        self.distiller: Distiller = copy.deepcopy(distiller)
        self.distiller.bind(llm)
        self.distiller.setup(head.weight.shape[1], groups, device)
        if domains is not None:
            self.distiller.assign_domains(domains.to(device))
        self.fusion: NoveltyFusion = fusion.attach(head.weight.shape[1], groups, texts, device)
        self.updates: Int[Tensor, " groups"] = torch.zeros(groups, dtype=torch.int64, device=device)
        self.resets: Int[Tensor, " groups"] = torch.zeros(groups, dtype=torch.int64, device=device)
        self.exhausted: Int[Tensor, " groups"] = torch.zeros(groups, dtype=torch.int64, device=device)
        self.resting: bool = False
        self._former_resets: Int[Tensor, ""] = torch.zeros((), dtype=torch.int64, device=device)

    @property
    def failures(self) -> Int[Tensor, ""]:
        """Resets of all slots since the bank was made, int64; new groups do not set it back."""
        return self._former_resets + self.resets.sum()

    def recycle(self, slots: Int[Tensor, " k"]) -> None:
        """Make slots as good as new for new groups."""
        mask = torch.zeros_like(self.updates, dtype=torch.bool).index_fill_(0, slots, True)
        # Those that were given up work along again, unheard, and nothing half updated is worked on.
        unsound = mask | (self.exhausted > 0)
        self.distiller.reset(unsound)
        self.fusion.reset(unsound)
        self._former_resets += (self.resets * mask).sum()
        for count in (self.updates, self.resets, self.exhausted):
            count.masked_fill_(mask, 0)
        self.resting = False

    def give_up(self) -> None:
        """Memory ran out in an operation on all slots, which may have left any of them half updated: all rest."""
        self.updates.fill_(_NEVER)
        self.exhausted.fill_(1)
        self.resting = True

    @torch.no_grad()
    def predict(self, shallow: Float[Tensor, "groups lanes d"]) -> Float[Tensor, "groups lanes d"]:
        """ĥᴸ of every lane."""
        predicted = self.distiller(shallow)
        check_shape(self.distiller, "a prediction", predicted.shape, shallow.shape, "check_distiller")
        return predicted

    @torch.no_grad()
    def learn(
        self,
        shallow: Float[Tensor, "groups lanes d"],
        target: Float[Tensor, "groups lanes d"],
        weight: Float[Tensor, "groups lanes"],
        broken: Bool[Tensor, " groups"] | None,
    ) -> Float[Tensor, " groups"]:
        """One update of every group with a living lane; a group that is broken, or breaks in it, is reset and counted.

        Args:
            shallow: h¹ by group.
            target: what is to be predicted.
            weight: 1 for living lanes, 0 for others.
            broken: groups to be reset whatever their loss; None: none.

        Returns:
            Each group's loss before the update; NaN where no lane lives.
        """
        losses = self.distiller.learn(shallow, target, weight)
        check_shape(self.distiller, "the losses of learn", losses.shape, (self.groups,), "check_distiller")
        moved = weight.sum(dim=-1) > 0
        self.updates += moved
        if broken is not None or not surely_finite(losses):
            failed = ~losses.isfinite() if broken is None else broken | ~losses.isfinite()
            self.distiller.reset(failed)
            self.updates.masked_fill_(failed, 0)
            self.resets += failed
        return losses if surely_all(moved) else losses.masked_fill(~moved, torch.nan)
