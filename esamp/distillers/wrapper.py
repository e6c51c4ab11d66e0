"""Distillers around another distiller: everything that is not overridden is the inner one's."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.distillers.base import Distiller
from esamp.llm import FrozenLLM

__all__ = ["DistillerWrapper"]


class DistillerWrapper(Distiller):
    """Hands every call to the distiller it wraps.

    Args:
        distiller: the inner distiller.

    Examples:
        A control that believes half of what it has learnt:

        >>> from torch import Tensor
        >>> from esamp.distillers import LinearDistiller
        >>> class Doubtful(DistillerWrapper):
        ...     def forward(self, shallow: Tensor) -> Tensor:
        ...         return self.inner(shallow) / 2
        >>> half, full = Doubtful(LinearDistiller()), LinearDistiller()
        >>> shallow, deep = torch.ones(2, 1, 3, 4)
        >>> for distiller in (half, full):
        ...     distiller.setup(hidden_size=4, groups=1)
        ...     loss = distiller.learn(shallow, deep, torch.ones(1, 3))
        >>> torch.equal(2 * half(shallow), full(shallow))
        True
    """

    def __init__(self, distiller: Distiller) -> None:
        super().__init__()
        self.inner = distiller
        self.shares_state: bool = distiller.shares_state

    @override
    def bind(self, llm: FrozenLLM) -> None:
        self.inner.bind(llm)

    @override
    def load(self, path: str | Path) -> DistillerWrapper:
        self.inner.load(path)
        return self

    @override
    def setup(self, hidden_size: int, groups: int, device: torch.device | str = "cpu") -> None:
        self.inner.setup(hidden_size, groups, device)

    @override
    def assign_domains(self, domains: Int[Tensor, " groups"]) -> None:
        self.inner.assign_domains(domains)

    @override
    def forward(self, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        return self.inner(shallow)

    @override
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        return self.inner.learn(shallow, deep, weight)

    @override
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        self.inner.reset(mask)

    @override
    def target(self, deep: Float[Tensor, "rows d"], tokens: Int[Tensor, " rows"]) -> Float[Tensor, "rows d"]:
        return self.inner.target(deep, tokens)

    @override
    def revise(
        self, predicted: Float[Tensor, "groups rows d"], deep: Float[Tensor, "groups rows d"]
    ) -> Float[Tensor, "groups rows d"]:
        return self.inner.revise(predicted, deep)
