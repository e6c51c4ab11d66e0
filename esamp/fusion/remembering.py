"""Fusions around another fusion that remember what a group's rows have said."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.fusion.base import NoveltyFusion, Texts
from esamp.fusion.wrapper import FusionWrapper
from esamp.rows import Rows

__all__ = ["Memory", "RememberingFusion"]


@runtime_checkable
class Memory(Protocol):
    """What is told of every step, on tensors with a leading [groups] axis; see `NoveltyFusion` for the arguments."""

    def begin(self, lanes: int) -> None:
        """New rows are coming, at most `lanes` in a group."""
        ...

    def observe(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        """A step is over."""
        ...

    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        """Forget everything about the slots where `mask` holds."""
        ...


Kept = TypeVar("Kept", bound=Memory)


class RememberingFusion(FusionWrapper, Generic[Kept]):
    """Keeps a memory beside the fusion it wraps: None in a recipe, a fresh one in what `attach` makes of it.

    Args:
        fusion: the inner fusion.
    """

    def __init__(self, fusion: NoveltyFusion) -> None:
        super().__init__(fusion)
        self.memory: Kept | None = None

    @abstractmethod
    def remember(self, hidden_size: int, groups: int, texts: Texts, device: torch.device | str) -> Kept:
        """A fresh memory for a bank; the arguments are those of `attach`."""

    @override
    def attach(self, hidden_size: int, groups: int, texts: Texts, device: torch.device | str = "cpu") -> NoveltyFusion:
        attached = copy.copy(self)
        attached.inner = self.inner.attach(hidden_size, groups, texts, device)
        attached.memory = self.remember(hidden_size, groups, texts, device)
        return attached

    @override
    def begin(self, lanes: int) -> None:
        super().begin(lanes)
        if self.memory is not None:
            self.memory.begin(lanes)

    @override
    def observe(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        super().observe(deep, tokens, rows, alive)
        if self.memory is not None:
            self.memory.observe(deep, tokens, rows, alive)

    @override
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        super().reset(mask)
        if self.memory is not None:
            self.memory.reset(mask)
