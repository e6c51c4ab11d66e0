"""Diverse beam search."""

from __future__ import annotations

from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from typing_extensions import override

from esamp.baselines.beams.base import Beams, Choice, SequenceSearch
from esamp.checks import check_integer, check_number
from esamp.samplers import samplers

__all__ = ["DiverseBeamSampler"]


@final
@samplers.register("diverse_beam")
class DiverseBeamSampler(SequenceSearch):
    """Diverse beam search (Vijayakumar et al., arXiv 1610.02424), with Hamming diversity.

    The n beams form G groups, one after another in each step: group g searches by log p(y) - λ · (how many beams of
    earlier groups have chosen y in this step). The penalty stays in a beam's score. Beams that have ended neither pay
    nor count. Samples come group by group, in each the best first.

    Args:
        model: any decoder-only transformers model.
        tokenizer: its tokenizer.
        groups: G, a divisor of n; None: n, one beam each, where the paper finds most diversity.
        strength: λ >= 0; the paper's range is 0.2 to 0.8.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or the model cannot be decoded.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        groups: int | None = None,
        strength: float = 0.5,
    ) -> None:
        super().__init__(model, tokenizer)
        self.groups: int | None = None if groups is None else check_integer("groups", groups, low=1)
        self.strength: float = check_number("strength", strength, low=0)

    @override
    def start(self, n: int) -> Float[Tensor, " n"]:
        groups = self.groups or n
        if n % groups:
            raise ValueError(f"groups must divide n = {n}, got {groups}; pass None for groups of one beam")
        first = torch.arange(n) % (n // groups) == 0
        return torch.zeros(n).masked_fill_(~first, -torch.inf)

    @override
    def choose(self, beams: Beams, seed: int) -> Choice:
        n = beams.score.shape[1]
        size = n // (self.groups or n)
        chosen = torch.zeros_like(beams.log_probs[:, 0])
        parts: list[Choice] = []
        for start in range(0, n, size):
            own = slice(start, start + size)
            ended = beams.ended[:, own]
            penalty = (self.strength * chosen).unsqueeze(1).masked_fill(ended.unsqueeze(-1), 0.0)
            score = beams.score[:, own].unsqueeze(-1) + beams.log_probs[:, own] - penalty
            part = Choice.largest(score, score, size)
            counts = ~ended.gather(1, part.parent) & (part.score > -torch.inf)
            chosen.scatter_add_(1, part.token, counts.to(chosen.dtype))
            parts.append(Choice(part.parent + start, part.token, part.score))
        return Choice(*(torch.cat([getattr(p, name) for p in parts], 1) for name in ("parent", "token", "score")))

    @override
    def settings(self) -> dict[str, Any]:
        return {"groups": self.groups, "strength": self.strength}
