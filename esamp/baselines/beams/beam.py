"""Beam search."""

from __future__ import annotations

from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from typing_extensions import override

from esamp.baselines.beams.base import Beams, Choice, SequenceSearch
from esamp.checks import check_number
from esamp.samplers import samplers

__all__ = ["BeamSampler"]


@final
@samplers.register("beam")
class BeamSampler(SequenceSearch):
    """Beam search: in each step the n ways on of largest log p(text) / length^a, of all beams together.

    Without ends of sequence it is that of transformers with num_beams = num_return_sequences = n. There a beam that
    ends leaves the search and others go on in its place; here it keeps its place, as in stochastic beam search, so that
    the three searches differ in nothing but their choice.

    Args:
        model: any decoder-only transformers model.
        tokenizer: its tokenizer.
        length_penalty: a; 0 compares log-probabilities, which prefers short texts, 1 their mean.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or the model cannot be decoded.
    """

    def __init__(self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, *, length_penalty: float = 1.0) -> None:
        super().__init__(model, tokenizer)
        self.length_penalty: float = check_number("length_penalty", length_penalty)

    @override
    def start(self, n: int) -> Float[Tensor, " n"]:
        return torch.zeros(n).index_fill_(0, torch.arange(1, n), -torch.inf)

    @override
    def choose(self, beams: Beams, seed: int) -> Choice:
        score = beams.score.unsqueeze(-1) + beams.log_probs
        rank = score / beams.next_length.unsqueeze(-1).clamp_min(1) ** self.length_penalty
        return Choice.largest(score, rank, beams.score.shape[1])

    @override
    def settings(self) -> dict[str, Any]:
        return {"length_penalty": self.length_penalty}
