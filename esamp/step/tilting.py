"""Which comes first, the filters or the fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.bank import Bank
from esamp.candidates import Candidates, Filters
from esamp.checks import check_shape
from esamp.fusion import FusionStep
from esamp.rows import Rows
from esamp.step.base import AnyFilters

__all__ = ["Context", "Tilting"]


@dataclass(frozen=True)
class Context:
    """What is known of the rows before there are candidates; goes into the fusion's `FusionStep` by these names."""

    rows: Rows
    deep: Float[Tensor, "rows d"]
    predicted: Float[Tensor, "rows d"]
    beta: Float[Tensor, " rows"]
    temperature: Float[Tensor, "rows 1"]


@final
class Tilting:
    """From the LLM's logits to candidates and their fused logits.

    Args:
        bank: fusion and head.
        filters: what may be drawn.
        prefilter: fuse over the whole vocabulary and then filter, instead of filtering the reference first.
    """

    def __init__(self, bank: Bank, filters: AnyFilters, prefilter: bool) -> None:
        self.bank = bank
        self.filters: AnyFilters = filters
        self._choose = self._fuse_then_filter if prefilter else self._filter_then_fuse

    def __call__(
        self, context: Context, reference: Float[Tensor, "rows vocab"]
    ) -> tuple[Candidates, Float[Tensor, "rows candidates"]]:
        """The candidates, with the LLM's logits of them, and the fused logits."""
        return self._choose(context, reference)

    def _filter_then_fuse(self, context: Context, reference: Tensor) -> tuple[Candidates, Tensor]:
        candidates = self.filters.select(reference, context.temperature)
        return candidates, self._tilt(context, candidates, self.bank.head.at(context.predicted, candidates))

    def _fuse_then_filter(self, context: Context, reference: Tensor) -> tuple[Candidates, Tensor]:
        head, weights = self.bank.head, self.bank.fusion.latent_weights(context.beta)
        if weights is not None and head.linear:
            logits = head.mixed(context.deep, context.predicted, weights.reference, weights.distilled)
        else:
            logits = self._tilt(context, Filters().select(reference), head.full(context.predicted))
        # A projection of its own may differ from the model's in the last bit, and at β = 0 nothing may change; nor may
        # a token return that the model itself forbids.
        untouched = (context.beta == 0).unsqueeze(-1) | (reference == -torch.inf)
        logits = torch.where(untouched, reference, logits)
        fused = self.filters.select(logits, context.temperature)
        before = reference.gather(-1, fused.ids)
        return Candidates(fused.ids, before, fused.mask, fused.whole_vocabulary), fused.reference

    def _tilt(self, context: Context, candidates: Candidates, distilled: Tensor) -> Tensor:
        step = FusionStep(
            reference=candidates.reference,
            distilled=distilled,
            mask=candidates.mask,
            ids=candidates.ids,
            **vars(context),
        )
        fused = self.bank.fusion(step)
        check_shape(self.bank.fusion, "fused logits", fused.shape, step.reference.shape, "check_fusion")
        return fused
