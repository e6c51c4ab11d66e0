"""Away from what siblings have chosen in a like context, as far as it is more than their share."""

from __future__ import annotations

import copy
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_integer, check_number
from esamp.functional import masked_log_softmax
from esamp.fusion.base import FusionStep, NoveltyFusion, Texts, fusions
from esamp.fusion.beta_mix import BetaMix
from esamp.fusion.sibling_choices import SiblingChoices
from esamp.fusion.wrapper import FusionWrapper
from esamp.rows import Rows

__all__ = ["ChoiceNovelty"]


@final
@fusions.register("choice_novelty")
class ChoiceNovelty(FusionWrapper):
    """Another fusion, then z'' = z' + gain · T · (log p - log q): q is how a sibling may be expected to choose here."""

    def __init__(
        self,
        fusion: NoveltyFusion | None = None,
        gain: float = 1.0,
        prior: float = 1.0,
        bandwidth: float = 0.02,
        features: int = 64,
        capacity: int = 1024,
        mode: str = "ratio",
    ) -> None:
        super().__init__(BetaMix() if fusion is None else fusions.build(fusion))
        self.gain = check_number("gain", gain, low=0)
        self.prior = check_number("prior", prior, low=0, low_open=True)
        self.bandwidth = check_number("bandwidth", bandwidth, low=0, low_open=True)
        self.features = check_integer("features", features, low=1)
        self.capacity = check_integer("capacity", capacity, low=1)
        self.mode = mode
        self._choices: SiblingChoices | None = None

    @override
    def attach(self, hidden_size: int, groups: int, texts: Texts, device: torch.device | str = "cpu") -> NoveltyFusion:
        attached = copy.copy(self)
        attached.inner = self.inner.attach(hidden_size, groups, texts, device)
        attached._choices = SiblingChoices(self.bandwidth, self.features, self.capacity, groups, hidden_size, device)
        return attached

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        fused = self.inner(step)
        if self._choices is None:
            return fused
        chosen, total = self._choices.counts(step.deep, step.ids, step.rows)
        if self.mode == "ratio":
            log_p = masked_log_softmax(step.reference / step.temperature, step.mask)
            # q / p of a Dirichlet posterior whose prior is p itself, so nothing is tilted where nothing was seen.
            ratio = (self.prior + chosen * (-log_p).exp()) / (self.prior + total).unsqueeze(-1)
            tilt = ratio.log()
        elif self.mode == "log":
            tilt = (1 + chosen / self.prior).log()
        else:
            tilt = chosen
        strength = self.gain * step.rows.beta.unsqueeze(-1).gt(0).float() * step.temperature
        return fused - strength * tilt.masked_fill(~step.mask, 0.0)

    @override
    def observe(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        super().observe(deep, tokens, rows, alive)
        if self._choices is not None:
            self._choices.observe(deep, tokens, rows, alive)

    @override
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        super().reset(mask)
        if self._choices is not None:
            self._choices.reset(mask)
