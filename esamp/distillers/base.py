"""What a distiller promises."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from esamp.distillers.rows import RowDistiller
from esamp.llm import FrozenLLM
from esamp.registry import Registry

__all__ = ["Distiller", "distillers", "living_mean"]


class Distiller(nn.Module, ABC):
    """f_φ: predicts hᴸ from h¹, for a bank of groups that never see each other.

    Every tensor of state carries a leading [groups] axis; the place along it is a group's slot. All slots start from
    the same initial state, so that a group's samples depend neither on its slot nor on who used the slot before.
    What is learnt is float32 whatever the model's dtype, unless the distiller's own arguments ask for less. A distiller
    given to `ESampSampler` is a recipe: each `generate` works on a copy.

    `forward` and `learn` of a step run one after the other, in one thread and on one stream; but a step may learn
    without having predicted (from a prompt, say), and may not learn from what it predicted.

    `bind`, `target` and `revise` have defaults that fit every distiller which only wants to predict hᴸ.
    """

    shares_state: bool = False
    """True where slots learn from each other by design (a trunk); everything else keeps groups apart."""

    trusted: bool = False
    """True where a prediction counts before any update, since it is not learnt."""

    @abstractmethod
    def setup(self, hidden_size: int, groups: int, device: torch.device | str = "cpu") -> None:
        """Create the state for `groups` slots of width d = `hidden_size`, as good as new.

        Raises:
            ValueError: the distiller's own arguments do not fit that width.
        """

    @abstractmethod
    def forward(self, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        """The prediction ĥᴸ = f_φ(h¹) of each row by its group's distiller."""

    @abstractmethod
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        """One online step on (h¹, hᴸ); returns each group's loss *before* it (ESamp, Eq. 8, mean over d as well).

        Args:
            shallow: h¹; any numbers where the weight is 0. Mostly the very tensor that the last `forward` was given:
                a distiller that keeps what it made of it (`esamp.distillers.recall.Recall`) need not make it twice.
            deep: hᴸ, or what `target` made of it; zeros where the weight is 0.
            weight: 1 for living rows, 0 for empty places. A group of zeros does not move at all; its loss is 0.
        """

    @abstractmethod
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        """Make the slots where `mask` holds as good as new: weights, moments, step counts."""

    def bind(self, llm: FrozenLLM) -> None:
        """The LLM's frozen weights, shown once before `setup` to distillers that learn, or start, from them."""

    def load(self, path: str | Path) -> Distiller:
        """Start every slot from the weights in a file of `esamp fit`, from the next `setup` on; returns itself.

        Raises:
            ValueError: the file does not hold weights of this distiller, or it is not trained by gradients.
        """
        raise ValueError(
            f"{type(self).__name__} is not trained by gradients and has no weights to load from {str(path)!r}; load a "
            "distiller that is, such as LowRankDistiller"
        )

    def assign_domains(self, domains: Int[Tensor, " groups"]) -> None:
        """Say which domain each group belongs to, after `setup`; all are of domain 0 before.

        Raises:
            ValueError: the distiller has no level of domains.
        """
        raise ValueError(
            f"domains must be None for {type(self).__name__}, which has no such level; use "
            "HierarchicalDistiller(domain=...)"
        )

    def target(self, deep: Float[Tensor, "rows d"], tokens: Int[Tensor, " rows"]) -> Float[Tensor, "rows d"]:
        """What `learn` is to predict, from hᴸ and the tokens drawn in the step; hᴸ itself by default."""
        return deep

    def revise(
        self, predicted: Float[Tensor, "groups rows d"], deep: Float[Tensor, "groups rows d"]
    ) -> Float[Tensor, "groups rows d"]:
        """Last word on a prediction once hᴸ is known, for controls that keep some of the error and replace the rest."""
        return predicted

    def by_rows(self) -> RowDistiller | None:
        """The same by kernels that take rows as they come, for devices that run them; None where it has none."""
        return None

    def memory(self, hidden_size: int) -> int:
        """Bytes of state of one more group at width d = `hidden_size`.

        Raises:
            ValueError: the distiller's own arguments do not fit that width.
        """

        def state(groups: int) -> int:
            bank = copy.deepcopy(self)
            bank.setup(hidden_size, groups, "meta")
            return sum(tensor.numel() * tensor.element_size() for tensor in (*bank.parameters(), *bank.buffers()))

        return state(2) - state(1)


def living_mean(values: Float[Tensor, "groups rows"], weight: Float[Tensor, "groups rows"]) -> Float[Tensor, " groups"]:
    """Mean over each group's living rows; 0 where there are none."""
    return (values * weight).sum(dim=-1) / weight.sum(dim=-1).clamp_min(1)


distillers: Registry[Distiller] = Registry("distiller", Distiller)
"""Registry of the distillers."""
