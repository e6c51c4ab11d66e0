"""A step in PyTorch: rows are laid out by group, whatever the distiller and the fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.bank import Bank
from esamp.functional import error_norm, surely_all, surely_finite, tilted_log_softmax
from esamp.policy import Fused
from esamp.rows import Rows
from esamp.step.base import AnyFilters, Prediction, StepMaths, Strength, Taken, WarmUp
from esamp.step.layout import Layout
from esamp.step.tilting import Context, Tilting

__all__ = ["ByGroup"]


@dataclass(frozen=True)
class _Judgement:
    """Rows whose hidden states and prediction are finite, and groups that have others.

    None where the host may look without waiting, and all rows are and no group has.

    Attributes:
        sound: rows that may be learnt from.
        broken: groups that are reset.
        given: hᴸ as the engine gave it.
        deep: hᴸ by group.
    """

    sound: Bool[Tensor, " rows"] | None
    broken: Bool[Tensor, " groups"] | None
    given: Float[Tensor, "rows d"]
    deep: Float[Tensor, "groups lanes d"]


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

    def __init__(
        self,
        bank: Bank,
        lanes: int,
        filters: AnyFilters,
        warmup: WarmUp,
        prefilter: bool,
    ) -> None:
        self.bank = bank
        self.lanes = lanes
        self.warmup: WarmUp = 0 if bank.distiller.trusted else warmup
        self._tilting = Tilting(bank, filters, prefilter)
        self._last: Layout | None = None

    @override
    def take(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> Taken:
        if surely_finite(shallow):
            return Taken(rows, shallow.to(torch.float32, copy=True), None)
        sound = shallow.isfinite().all(dim=-1)
        return Taken(rows, shallow.float().masked_fill(~sound.unsqueeze(-1), 0.0), sound)

    @override
    def predict(self, taken: Taken) -> Prediction:
        grouped = self._layout(taken.rows).scatter(taken.shallow)
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
        rows, layout, given, deep = taken.rows, self._layout(taken.rows), deep, deep.float()
        grouped = layout.scatter(deep)
        predicted = layout.gather(self.bank.distiller.revise(prediction.predicted, grouped))
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
        return Fused(candidates, logits, log_probs, norm, kl), _Judgement(sound, broken, given, grouped)

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
        layout, given, deep = self._layout(taken.rows), deep, deep.float()
        target = self.bank.distiller.target(deep, tokens)
        usable = judgement.sound if alive is None else alive if judgement.sound is None else judgement.sound & alive
        if usable is None or surely_all(usable):
            usable, weight = layout.everyone, layout.weight
            known = target is deep and given is judgement.given
            wanted = judgement.deep if known else layout.scatter(target)
        else:
            wanted, weight = _living(layout, target, usable)
        # The distiller gets the tensor that it predicted from, and may remember what it made of it.
        losses = self.bank.learn(prediction.given, wanted, weight, judgement.broken)
        self.bank.fusion.observe(deep, tokens, taken.rows, usable)
        return losses

    @override
    def study(
        self,
        taken: Taken,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"],
    ) -> Float[Tensor, " groups"]:
        layout, deep = self._layout(taken.rows), deep.float()
        usable = alive & deep.isfinite().all(dim=-1)
        usable = usable if taken.sound is None else usable & taken.sound
        wanted, weight = _living(layout, self.bank.distiller.target(deep, tokens), usable)
        losses = self.bank.learn(layout.scatter(taken.shallow), wanted, weight, None)
        self.bank.fusion.observe(deep, tokens, taken.rows, usable)
        return losses

    def _layout(self, rows: Rows) -> Layout:
        if self._last is None or not self._last.holds(rows):
            self._last = Layout(rows, self.bank.groups, self.lanes)
        return self._last

    def _effective(self, beta: Tensor, rows: Rows, broken: Tensor | None) -> Tensor:
        """β where the row's group is ready and not broken, 0 elsewhere."""
        ready = self.bank.updates >= self.warmup
        ready = ready if broken is None else ready & ~broken
        return beta if surely_all(ready) else beta * ready[rows.slot]


def _living(layout: Layout, target: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
    """Target and weight by group, zeros where a row is not to be learnt from."""
    return layout.scatter(target.masked_fill(~usable.unsqueeze(-1), 0.0)), layout.scatter(usable.float())
