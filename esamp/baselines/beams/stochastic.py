"""Stochastic beam search: samples without replacement."""

from __future__ import annotations

from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from typing_extensions import override

from esamp.baselines.beams.base import Beams, Choice, SequenceSearch
from esamp.checks import check_number
from esamp.noise import gumbel_noise_of_vocabulary
from esamp.samplers import samplers

__all__ = ["StochasticBeamSampler"]


@final
@samplers.register("stochastic_beam")
class StochasticBeamSampler(SequenceSearch):
    """Stochastic beam search (Kool et al., arXiv 1903.06059): n whole texts drawn from the LLM without replacement.

    Gumbel-top-k over all texts, found from the top down: a beam's ways on have Gumbels G' at φ' = φ + log p, moved so
    that their maximum Z becomes the beam's own G: G̃ = -log(exp(-G) - exp(-Z) + exp(-G')). The n largest go on. Samples
    come in the order of a draw without replacement; with n = 1 it is plain sampling.

    Args:
        model: any decoder-only transformers model.
        tokenizer: its tokenizer.
        temperature: T > 0 of every token's distribution.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or the model cannot be decoded.
    """

    draws = True

    def __init__(self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, *, temperature: float = 1.0) -> None:
        super().__init__(model, tokenizer)
        self.temperature: float = check_number("temperature", temperature, low=0, low_open=True)

    @override
    def start(self, n: int) -> Float[Tensor, " n"]:
        return torch.zeros(n).index_fill_(0, torch.arange(1, n), -torch.inf)

    @override
    def choose(self, beams: Beams, seed: int) -> Choice:
        n, vocabulary = beams.log_probs.shape[1:]
        place = torch.arange(n, device=beams.score.device)
        noise = gumbel_noise_of_vocabulary(vocabulary, seed, place, beams.step)
        perturbed = beams.total.unsqueeze(-1) + beams.log_probs + noise
        score = conditioned(perturbed, beams.score)
        # A beam that has ended is its own one way on, to the last bit.
        first = torch.arange(vocabulary, device=score.device) == 0
        score = torch.where(beams.ended.unsqueeze(-1) & first, beams.score.unsqueeze(-1), score)
        return Choice.largest(score, score, n)

    @override
    def settings(self) -> dict[str, Any]:
        return {"temperature": self.temperature}


def conditioned(
    perturbed: Float[Tensor, "prompts n vocab"], maximum: Float[Tensor, "prompts n"]
) -> Float[Tensor, "prompts n vocab"]:
    """Gumbels G' with maximum Z, moved so that their maximum is G (Kool et al., in their stable form).

    v = G - G' + log(1 - exp(G' - Z)), G̃ = G - max(0, v) - log(1 + exp(-|v|)); -inf stays -inf, as do all where G is.
    """
    top = maximum.unsqueeze(-1)
    possible = (perturbed > -torch.inf) & (top > -torch.inf)
    gap = (perturbed - perturbed.amax(dim=-1, keepdim=True)).masked_fill(~possible, -1.0)
    inner = torch.where(possible, top - perturbed, 0.0) + torch.log(-torch.expm1(gap))
    moved = torch.where(possible, top, 0.0) - inner.clamp_min(0) - torch.log1p(torch.exp(-inner.abs()))
    return moved.masked_fill(~possible, -torch.inf)
