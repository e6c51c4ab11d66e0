"""Optimisers over a bank: one step for all groups at once, each with its own step count."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["AdamState", "GroupedOptimizer", "per_slot"]


@dataclass(frozen=True)
class AdamState:
    """What a kernel that steps by Adam's rule itself must know; the tensors are stepped in place.

    Attributes:
        lr, beta1, beta2, eps: as of `Adam`.
        first: first moments, in the order of the parameters.
        second: second moments.
        count: steps of each slot.
    """

    lr: float
    beta1: float
    beta2: float
    eps: float
    first: list[Tensor]
    second: list[Tensor]
    count: Float[Tensor, " groups"]


class GroupedOptimizer(nn.Module, ABC):
    """Steps parameters whose first axis is the group. State is created by `setup` and kept in buffers."""

    @abstractmethod
    def setup(self, parameters: Sequence[Tensor]) -> None:
        """Create fresh state for these parameters, each [groups, ...]."""

    @abstractmethod
    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], active: Bool[Tensor, " groups"]) -> None:
        """Update the parameters of the active groups in place; the others, and their state, do not move.

        The gradients may be overwritten.
        """

    @abstractmethod
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        """Forget the state of the slots where `mask` holds, step counts too."""

    def adam(self) -> AdamState | None:
        """The state, where the rule is Adam's and a kernel may take the step over; None for every other rule."""
        return None


def per_slot(values: Tensor, like: Tensor) -> Tensor:
    """[groups] values, shaped to broadcast against a [groups, ...] tensor."""
    return values.view(-1, *[1] * (like.dim() - 1))
