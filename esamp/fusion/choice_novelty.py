"""Away from what siblings have chosen in like contexts, as far as it is more than the LLM's share."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_integer, check_number
from esamp.functional import masked_log_softmax
from esamp.fusion.base import FusionStep, NoveltyFusion, Texts, fusions
from esamp.fusion.beta_mix import BetaMix
from esamp.fusion.remembering import RememberingFusion
from esamp.fusion.sibling_choices import SiblingChoices

__all__ = ["ChoiceNovelty"]


@final
@fusions.register("choice_novelty")
class ChoiceNovelty(RememberingFusion[SiblingChoices]):
    """Another fusion's z', and then z'' = z' + gain β T (log p - log q), q being what siblings choose in like contexts.

    p = softmax(z / T) on the candidates, and q(a) = (α p(a) + n_a) / (α + n) is the predictive distribution of a
    Dirichlet process with base measure p: n_a adds up how like this context (k = exp((cos - 1) / bandwidth) of hᴸ)
    those were in which the group has drawn a, and n = Σ n_a. Where nothing like it was seen q = p, and nothing is
    tilted. The added term is ESamp's Eq. 6 (arXiv 2604.24927) again, with a distiller of choices instead of states.

    A group's own earlier choices count too, the sample's own among them: it repeats itself less.

    Args:
        fusion: what comes before; `BetaMix` by default.
        gain: strength of the added term, as a multiple of β; >= 0.
        prior: α > 0, how many choices p itself counts for.
        bandwidth: 1 - cos of two hᴸ at which their likeness has fallen to 1/e; > 0.
        features: numbers kept of a context.
        capacity: choices remembered for each group, the last ones; 4 · features + 8 bytes each.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        fusion: NoveltyFusion | None = None,
        gain: float = 2.0,
        prior: float = 1.0,
        bandwidth: float = 0.2,
        features: int = 64,
        capacity: int = 2048,
    ) -> None:
        super().__init__(BetaMix() if fusion is None else fusions.build(fusion))
        self.gain: float = check_number("gain", gain, low=0)
        self.prior: float = check_number("prior", prior, low=0, low_open=True)
        self.bandwidth: float = check_number("bandwidth", bandwidth, low=0, low_open=True)
        self.features: int = check_integer("features", features, low=1)
        self.capacity: int = check_integer("capacity", capacity, low=1)

    @override
    def remember(self, hidden_size: int, groups: int, texts: Texts, device: torch.device | str) -> SiblingChoices:
        return SiblingChoices(self.bandwidth, self.features, self.capacity, groups, hidden_size, device)

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        fused = self.inner(step)
        if self.memory is None:
            return fused
        chosen, total = self.memory.counts(step.deep, step.ids, step.rows)
        log_p = masked_log_softmax(step.reference / step.temperature, step.mask)
        # q / p; a token that nobody has chosen must not bring 0 · exp(large).
        ratio = self.prior + torch.where(chosen > 0, chosen * (-log_p).exp(), 0.0)
        tilt = (ratio / (self.prior + total).unsqueeze(-1)).log().masked_fill(~step.mask, 0.0)
        return fused - self.gain * step.beta.unsqueeze(-1) * step.temperature * tilt
