"""A step in PyTorch: rows are laid out by group, whatever the distiller and the fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.bank import Bank
from esamp.candidates import Filters
from esamp.functional import error_norm, surely_all, surely_finite, tilted_log_softmax
from esamp.policy import Fused
from esamp.rows import Rows
from esamp.step.base import Prediction, StepMaths, Strength, Taken
from esamp.step.tilting import Context, Tilting

__all__ = ["ByGroup"]


@dataclass(frozen=True)
class _Judgement:
    """Rows whose hidden states and prediction are finite, and groups that have others.

    None where the host may look without waiting, and all rows are and no group has.
    """

    sound: Bool[Tensor, " rows"] | None
    broken: Bool[Tensor, " groups"] | None


@final
class ByGroup(StepMaths[_Judgement]):
    """The step as the method has it, on [groups, lanes] grids.

    Args:
        bank: distiller, fusion and head.
        lanes: largest number of rows in a group.
        filters: what may be drawn.
        warmup: updates of a group's distiller before its fusion starts.
        prefilter: fuse over the whole vocabulary and then filter.
    """

    def __init__(self, bank: Bank, lanes: int, filters: Filters, warmup: int, prefilter: bool) -> None:
        self.bank = bank
        self.lanes = lanes
        self.warmup = warmup
        self._tilting = Tilting(bank, filters, prefilter)

    @override
    def take(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> Taken:
        if surely_finite(shallow):
            return Taken(rows, shallow.to(torch.float32, copy=True), None)
        sound = shallow.isfinite().all(dim=-1)
        return Taken(rows, shallow.float().masked_fill(~sound.unsqueeze(-1), 0.0), sound)

    @override
    def predict(self, taken: Taken) -> Prediction:
        grouped = self._scatter(taken.rows, taken.shallow)
        return Prediction(grouped, self.bank.predict(grouped))

    @override
    def fuse(
        self,
        taken: Taken,
        prediction: Prediction,
        deep: Float[Tensor, "rows d"],
        reference: Float[Tensor, "rows vocab"],
        strength: Strength,
    ) -> tuple[Fused, _Judgement]:
        rows, deep = taken.rows, deep.float()
        revised = self.bank.distiller.revise(prediction.predicted, self._scatter(rows, deep))
        predicted = rows.gather(revised)
        norm = error_norm(deep, predicted)
        sound, broken = taken.sound, None
        if sound is not None or not surely_finite(norm):
            if sound is not None:
                norm = norm.masked_fill(~sound, torch.nan)
            # Where the norm overflows, the logits of the prediction may overflow too.
            sound = norm.isfinite()
            broken = torch.zeros_like(self.bank.updates).index_add_(0, rows.slot, (~sound).long()) > 0
            # The logits of a broken prediction are multiplied by β = 0, so they must be numbers.
            predicted = predicted.masked_fill(~sound.unsqueeze(-1), 0.0)
        context = Context(rows, deep, predicted, self._effective(strength.beta, rows, broken), strength.temperature)
        candidates, logits = self._tilting(context, reference)
        log_probs, kl = tilted_log_softmax(logits, candidates.reference, candidates.mask, strength.temperature)
        return Fused(candidates, logits, log_probs, norm, kl), _Judgement(sound, broken)

    @override
    def learn(
        self,
        taken: Taken,
        prediction: Prediction,
        judgement: _Judgement,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"] | None,
    ) -> Float[Tensor, " groups"]:
        usable = judgement.sound if alive is None else alive if judgement.sound is None else judgement.sound & alive
        # The distiller gets the tensor that it predicted from, and may remember what it made of it.
        return self._update(taken.rows, prediction.given, deep.float(), tokens, usable, judgement.broken)

    @override
    def study(
        self,
        taken: Taken,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"],
    ) -> Float[Tensor, " groups"]:
        usable = alive & deep.isfinite().all(dim=-1)
        if taken.sound is not None:
            usable = usable & taken.sound
        return self._update(taken.rows, self._scatter(taken.rows, taken.shallow), deep.float(), tokens, usable, None)

    def _scatter(self, rows: Rows, values: Tensor) -> Tensor:
        return rows.scatter(values, self.bank.groups, self.lanes)

    def _effective(self, beta: Tensor, rows: Rows, broken: Tensor | None) -> Tensor:
        """β where the row's group is ready and not broken, 0 elsewhere."""
        if not self.bank.distiller.trusted:
            ready = self.bank.updates >= self.warmup
            ready = ready if broken is None else ready & ~broken
        elif broken is not None:
            ready = ~broken
        else:
            return beta
        return beta if surely_all(ready) else beta * ready[rows.slot]

    def _update(
        self,
        rows: Rows,
        shallow: Tensor,
        deep: Tensor,
        tokens: Tensor,
        usable: Tensor | None,
        broken: Tensor | None,
    ) -> Tensor:
        target = self.bank.distiller.target(deep, tokens)
        if usable is None:
            usable = torch.ones_like(tokens, dtype=torch.bool)
        elif not surely_all(usable):
            target = target.masked_fill(~usable.unsqueeze(-1), 0.0)
        weight = self._scatter(rows, usable.float())
        losses = self.bank.learn(shallow, self._scatter(rows, target), weight, broken)
        self.bank.fusion.observe(deep, tokens, rows, usable)
        return losses
