"""A memory of what siblings chose, not of what they felt."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_number
from esamp.distillers.base import Distiller, distillers
from esamp.distillers.recursive_least_squares import RecursiveLeastSquaresDistiller
from esamp.distillers.wrapper import DistillerWrapper
from esamp.head import Head
from esamp.llm import FrozenLLM

__all__ = ["ChoiceMemoryDistiller"]


@final
@distillers.register("choice_memory")
class ChoiceMemoryDistiller(DistillerWrapper):
    """Learns κ w_a / ‖w_a‖² for the token a that a sibling drew.

    Then ĥ·w_a ≈ κ where siblings chose a in a like context. Use it with `Subtraction` (z - β ẑ): a token that siblings
    drew here loses up to β κ logits.

    Args:
        strength: κ in logits, > 0.
        distiller: the memory; a `RecursiveLeastSquaresDistiller` by default.

    Raises:
        ValueError: `strength` is not positive.

    Examples:
        What it learns of a sibling that drew token 2 has a logit of κ there:

        >>> from esamp.head import Head
        >>> from esamp.llm import FrozenLLM
        >>> memory = ChoiceMemoryDistiller(strength=6.0)
        >>> memory.bind(FrozenLLM(Head(2 * torch.eye(4))))
        >>> target = memory.target(deep=torch.zeros(1, 4), tokens=torch.tensor([2]))
        >>> Head(2 * torch.eye(4)).full(target)
        tensor([[0., 0., 6., 0.]])
    """

    def __init__(self, strength: float = 6.0, distiller: Distiller | None = None) -> None:
        super().__init__(RecursiveLeastSquaresDistiller() if distiller is None else distillers.build(distiller))
        self.strength: float = check_number("strength", strength, low=0, low_open=True)
        self._head: Head | None = None

    @override
    def bind(self, llm: FrozenLLM) -> None:
        super().bind(llm)
        self._head = llm.head

    @override
    def target(self, deep: Float[Tensor, "rows d"], tokens: Int[Tensor, " rows"]) -> Float[Tensor, "rows d"]:
        if self._head is None:
            raise RuntimeError("ChoiceMemoryDistiller.target was called before bind, which gives it the LM head")
        chosen = self._head.weight[tokens].float()
        size = chosen.square().sum(dim=-1, keepdim=True).clamp_min(torch.finfo(chosen.dtype).tiny)
        return self.strength * chosen / size
