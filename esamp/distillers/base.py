"""What a distiller promises."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from esamp.registry import Registry

__all__ = ["Distiller", "distillers"]


class Distiller(nn.Module, ABC):
    """f_φ: predicts hᴸ from h¹, for a bank of groups that never see each other.

    Every tensor of state carries a leading [groups] axis; the place along it is a group's slot. All slots start from
    the same initial state, so that a group's samples depend neither on its slot nor on who used the slot before.
    State is float32 whatever the model's dtype. A distiller given to `ESampSampler` is a recipe: each `generate` works
    on a copy.
    """

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
            shallow: h¹; zeros where the weight is 0.
            deep: hᴸ; zeros where the weight is 0.
            weight: 1 for living rows, 0 for empty places. A group of zeros does not move at all; its loss is 0.
        """

    @abstractmethod
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        """Make the slots where `mask` holds as good as new: weights, moments, step counts."""

    def memory(self, hidden_size: int) -> int:
        """Bytes of state per group at width d = `hidden_size`, measured on a bank of one on the meta device."""
        bank = copy.deepcopy(self)
        bank.setup(hidden_size, 1, "meta")
        state = [*bank.parameters(), *bank.buffers()]
        return sum(tensor.numel() * tensor.element_size() for tensor in state)


distillers: Registry[Distiller] = Registry("distiller", Distiller)
"""Registry of the distillers."""
