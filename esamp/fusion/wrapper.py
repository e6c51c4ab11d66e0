"""Fusions around another fusion: everything that is not overridden is the inner one's."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.fusion.base import NoveltyFusion, Texts
from esamp.rows import Rows

__all__ = ["FusionWrapper"]


class FusionWrapper(NoveltyFusion):
    """Tells the fusion it wraps everything that it is told.

    Args:
        fusion: the inner fusion.
    """

    def __init__(self, fusion: NoveltyFusion) -> None:
        self.inner = fusion

    @override
    def attach(self, hidden_size: int, groups: int, texts: Texts, device: torch.device | str = "cpu") -> NoveltyFusion:
        attached = copy.copy(self)
        attached.inner = self.inner.attach(hidden_size, groups, texts, device)
        return attached

    @override
    def begin(self, lanes: int) -> None:
        self.inner.begin(lanes)

    @override
    def observe(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        self.inner.observe(deep, tokens, rows, alive)

    @override
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        self.inner.reset(mask)
