"""A step by kernels: rows stay where they are, and what is not a kernel's is not done."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.bank import Bank
from esamp.distillers.rows import Ledger, RowDistiller, RowLayout
from esamp.kernels.dispatch import uses_triton
from esamp.kernels.distribution import Tilt, tilted_distribution
from esamp.policy import Fused
from esamp.rows import Rows
from esamp.step.base import AnyFilters, Prediction, StepMaths, Strength, Taken, WarmUp

__all__ = ["ByRow"]


@final
class ByRow(StepMaths[tuple[Tensor, Tensor]]):
    """The step for distillers with kernels and fusions of the form z + β (s z - ẑ).

    Numbers that are not finite need no masks: a row's prediction depends on that row alone, the norm of its error shows
    what is wrong with it, and whoever comes after looks at the norms. So `fuse` finds out the norm of each row's error,
    and its weight in learning.

    Args:
        bank: distiller, fusion and head.
        distiller: the bank's, by rows.
        slope: s, of the bank's fusion.
        lanes: largest number of rows in a group.
        filters: what may be drawn.
        warmup: updates of a group's distiller before its fusion starts.
    """

    def __init__(
        self, bank: Bank, distiller: RowDistiller, slope: float, lanes: int, filters: AnyFilters, warmup: int
    ) -> None:
        self.bank = bank
        self.distiller = distiller
        self.slope = slope
        self.lanes = lanes
        self.filters: AnyFilters = filters
        self.warmup: int = 0 if bank.distiller.trusted else warmup

    @classmethod
    def of(
        cls,
        bank: Bank,
        lanes: int,
        filters: AnyFilters,
        warmup: WarmUp,
        prefilter: bool,
    ) -> ByRow | None:
        """The step of this bank; None where something in it has no kernel."""
        distiller, slope = bank.distiller.by_rows(), bank.fusion.slope
        if prefilter or distiller is None or slope is None or not uses_triton(bank.head.weight):
            return None
        # The kernels take one number for all slots.
        return None if isinstance(warmup, Tensor) else cls(bank, distiller, slope, lanes, filters, warmup)

    @override
    def take(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> Taken:
        return Taken(rows, shallow.to(torch.float32, copy=True), None)

    @override
    def predict(self, taken: Taken) -> Prediction:
        return Prediction(taken.shallow, self.distiller.predict_rows(taken.shallow, self._layout(taken.rows)))

    @override
    def fuse(
        self,
        taken: Taken,
        prediction: Prediction,
        deep: Float[Tensor, "rows d"],
        reference: Float[Tensor, "rows vocab"],
        strength: Strength,
    ) -> tuple[Fused, tuple[Tensor, Tensor]]:
        candidates = self.filters.select(reference, strength.temperature)
        distilled, norm = self.bank.head.errors_at(deep, prediction.predicted, candidates)
        whose, updates = self._layout(taken.rows), self.bank.updates
        tilt = Tilt(distilled, strength.beta, self.slope, norm, whose.slot, whose.lanes, updates, self.warmup)
        tilted = tilted_distribution(candidates.reference, candidates.mask, strength.temperature, tilt)
        return Fused(candidates, tilted.logits, tilted.log_probs, norm, tilted.kl), (norm, tilted.weight)

    @override
    def learn(
        self,
        taken: Taken,
        prediction: Prediction,
        judgement: tuple[Tensor, Tensor],
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"] | None,
    ) -> Float[Tensor, " groups"]:
        norm, weight = judgement
        return self._update(taken, deep, tokens, weight if alive is None else weight * alive, norm)

    @override
    def study(
        self,
        taken: Taken,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"],
    ) -> Float[Tensor, " groups"]:
        finite = taken.shallow.isfinite().all(dim=-1) & deep.isfinite().all(dim=-1)
        return self._update(taken, deep, tokens, (alive & finite).float(), None)

    def _update(
        self, taken: Taken, deep: Tensor, tokens: Tensor, weight: Tensor, norm: Tensor | None
    ) -> Float[Tensor, " groups"]:
        ledger = Ledger(norm, self.bank.updates, self.bank.resets)
        target = self.bank.distiller.target(deep, tokens)
        return self.distiller.learn_rows(taken.shallow, target, weight, self._layout(taken.rows), ledger)

    def _layout(self, rows: Rows) -> RowLayout:
        whole = rows.whole and len(rows) == self.bank.groups * self.lanes
        return RowLayout(None if whole else rows.slot, self.lanes)
