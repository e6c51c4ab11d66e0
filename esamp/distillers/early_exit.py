"""Baseline: the first layer read out by the LLM's own head, for contrasts between layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from typing_extensions import override

from esamp.distillers.base import Distiller, distillers, living_mean
from esamp.llm import FrozenLLM

__all__ = ["EarlyExitDistiller"]


@final
@distillers.register("early_exit")
class EarlyExitDistiller(Distiller):
    """ĥ = norm(h¹), the LLM's final norm on the first layer's output: ẑ = W ĥ are that layer's logits. Nothing learns.

    With `Subtraction` at β = 1 on the tokens with p ≥ 0.1 max p, log p - log q is drawn from, q the early layer's: DoLa
    (Chuang et al., arXiv 2309.03883) with one fixed early layer, the tapped one, where DoLa itself takes in each step
    the one that differs most from the last.
    """

    trusted = True

    def __init__(self) -> None:
        super().__init__()
        self._norm: Callable[[Tensor], Tensor] | None = None

    @override
    def bind(self, llm: FrozenLLM) -> None:
        self._norm = llm.final_norm()

    @override
    def setup(self, hidden_size: int, groups: int, device: torch.device | str = "cpu") -> None:
        pass

    @override
    @torch.no_grad()
    def forward(self, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        if self._norm is None:
            raise RuntimeError("EarlyExitDistiller was used before bind, which gives it the final norm")
        return self._norm(shallow)

    @override
    @torch.no_grad()
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        return living_mean((self(shallow) - deep).square().mean(dim=-1), weight)

    @override
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        pass
