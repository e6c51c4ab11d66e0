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

    Examples:
        A fusion of one's own that is at work in every other step only:

        >>> from dataclasses import replace
        >>> from torch import Tensor
        >>> from esamp import BetaMix, ESampSampler
        >>> from esamp.fusion import FusionStep
        >>> from esamp.testing.models import tiny_model, tiny_tokenizer
        >>> class EveryOther(FusionWrapper):
        ...     def __call__(self, step: FusionStep) -> Tensor:
        ...         return self.inner(replace(step, beta=step.beta * (step.rows.step % 2)))
        >>> sampler = ESampSampler(tiny_model(), tiny_tokenizer(), fusion=EveryOther(BetaMix()))
        >>> result = sampler.generate("Hello", n=2, max_new_tokens=6, ignore_eos=True)
        >>> (result.samples[0][0].kl > 0).tolist()
        [False, True, False, True, False, True]
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
