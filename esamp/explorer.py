"""One decode step of ESamp over grouped rows: predict → fuse → (draw) → learn. No model, no tokenizer.

Every engine drives this same object; ESamp's maths exists once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.bank import Bank
from esamp.candidates import Candidates, Filters
from esamp.checks import check_integer, check_shape
from esamp.functional import error_norm, kl_divergence, masked_log_softmax, surely_all, surely_finite
from esamp.fusion import FusionStep
from esamp.policy import DecodePolicy, Fused
from esamp.row_filters import RowFilters
from esamp.rows import Rows
from esamp.schedulers import OverlapScheduler, Pending
from esamp.schedules import Schedule

__all__ = ["Explorer"]

T = TypeVar("T")


class _Prediction(NamedTuple):
    """What a distiller was given, which it is given again to learn from, and what it said."""

    shallow: Float[Tensor, "groups lanes d"]
    predicted: Float[Tensor, "groups lanes d"]


@dataclass(frozen=True)
class _Step:
    """What `begin` leaves for `fuse` and `learn` of the same step."""

    rows: Rows
    sound: Bool[Tensor, " rows"]
    prediction: Pending[_Prediction]


class _Judgement(NamedTuple):
    """What `fuse` found out: rows whose hidden states and prediction are finite, and groups that have others."""

    sound: Bool[Tensor, " rows"]
    broken: Bool[Tensor, " groups"]


@dataclass(frozen=True)
class _Context:
    """What `fuse` knows of its rows before there are candidates; goes into the fusion's `FusionStep` by these names."""

    rows: Rows
    deep: Float[Tensor, "rows d"]
    predicted: Float[Tensor, "rows d"]
    beta: Float[Tensor, " rows"]
    temperature: Float[Tensor, "rows 1"]


@final
class Explorer(DecodePolicy):
    """ESamp's decode step for a bank of groups.

    A group is sampled without fusion until its distiller has had `warmup` updates (or is trusted without any), and in a
    step in which its prediction is not finite; then, or when its loss is not finite, its slot is reset and counted in
    `resets`. All of that is done by masks: other groups never notice, and nothing is read back from the device.

    Args:
        bank: distiller, fusion and head, one slot a group.
        lanes: largest number of rows in a group.
        scheduler: when prediction and learning run.
        filters: temperature, top-k, top-p, min-p.
        schedule: factor on each row's β by the number of its tokens; None: 1.
        warmup: updates of a group's distiller before its fusion starts; one number, or one for each slot.
        prefilter: fuse over the whole vocabulary and then filter, instead of filtering the reference first.

    Raises:
        ValueError: `warmup` is below 1.
    """

    def __init__(
        self,
        bank: Bank,
        lanes: int,
        scheduler: OverlapScheduler,
        filters: Filters | RowFilters,
        *,
        schedule: Schedule | None = None,
        warmup: int | Int[Tensor, " groups"] = 1,
        prefilter: bool = False,
    ) -> None:
        self.bank = bank
        self.lanes = lanes
        self.scheduler = scheduler
        self.filters = filters
        self.schedule = schedule
        if not isinstance(warmup, Tensor):
            check_integer("warmup", warmup, low=1, hint="an untrained distiller is noise")
        self.warmup = warmup
        self.prefilter = prefilter
        bank.fusion.begin(lanes)
        self._no_group: Bool[Tensor, " groups"] = torch.zeros_like(bank.updates, dtype=torch.bool)
        self._judgement: _Judgement | None = None
        self._step: _Step | None = None
        self._losses: Pending[Float[Tensor, " groups"]] | None = None
        self._last: Pending[Any] | None = None

    def recycle(self, slots: Int[Tensor, " k"]) -> None:
        """Give slots to new groups: as good as new from the next `begin` on."""
        self._submit(lambda: self.bank.recycle(slots))

    @override
    def begin(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> None:
        # While the distiller reads the copy, later layers may add to the residual stream in place.
        shallow, sound = _sound_copy(shallow)

        def work() -> _Prediction:
            grouped = self._scatter(rows, shallow)
            return _Prediction(grouped, self.bank.predict(grouped))

        self._step = _Step(rows, sound, self._submit(work))

    @override
    def fuse(self, deep: Float[Tensor, "rows d"], reference: Float[Tensor, "rows vocab"]) -> Fused:
        step = self._current("fuse")
        rows, deep, reference = step.rows, deep.float(), reference.float()
        grouped = self.scheduler.wait(step.prediction).predicted
        predicted = rows.gather(self.bank.distiller.revise(grouped, self._scatter(rows, deep)))
        norm = error_norm(deep, predicted)
        ready = (self.bank.updates >= self.warmup) | self.bank.distiller.trusted
        sound, broken = step.sound, self._no_group
        if not (surely_all(sound) and surely_finite(norm)):
            norm = norm.masked_fill(~sound, torch.nan)
            # Where the norm overflows, the logits of the prediction may overflow too.
            sound = norm.isfinite()
            broken = torch.zeros_like(self.bank.updates).index_add_(0, rows.slot, (~sound).long()) > 0
            ready = ready & ~broken
            # The logits of a broken prediction are multiplied by β = 0, so they must be numbers.
            predicted = predicted.masked_fill(~sound.unsqueeze(-1), 0.0)
        self._judgement = _Judgement(sound, broken)
        beta = rows.beta * ready[rows.slot]
        if self.schedule is not None:
            beta = beta * self.schedule(rows.step)
        temperature = self.filters.temperatures(rows.step)
        choose = self._fuse_then_filter if self.prefilter else self._filter_then_fuse
        candidates, logits = choose(_Context(rows, deep, predicted, beta, temperature), reference)
        log_probs = masked_log_softmax(logits / temperature, candidates.mask)
        before = masked_log_softmax(candidates.reference / temperature, candidates.mask)
        return Fused(candidates, logits, log_probs, norm, kl_divergence(log_probs, before))

    @override
    def learn(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"] | None = None,
    ) -> None:
        step, judgement, deep = self._current("learn"), self._judgement, deep.float()
        if judgement is None:
            raise RuntimeError("Explorer.learn was called before fuse; the order of a step is begin, fuse, learn")
        self._step = self._judgement = None
        usable = judgement.sound if alive is None else judgement.sound & alive

        def work() -> Tensor:
            # The distiller gets the tensor that it predicted from, and may remember what it made of it.
            losses = self._update(step.rows, step.prediction.value().shallow, deep, tokens, usable, judgement.broken)
            self.bank.fusion.observe(deep, tokens, step.rows, usable)
            return losses

        self._losses = self._submit(work)

    @override
    def prefill(
        self,
        shallow: Float[Tensor, "rows d"],
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        deep = deep.float()
        shallow, sound = _sound_copy(shallow)
        usable = alive & sound & deep.isfinite().all(dim=-1)

        def work() -> Tensor:
            return self._update(rows, self._scatter(rows, shallow), deep, tokens, usable, self._no_group)

        self._losses = self._submit(work)

    @override
    def losses(self) -> Float[Tensor, " groups"]:
        if self._losses is None:
            return torch.full((self.bank.groups,), torch.nan)
        return self.scheduler.wait(self._losses)

    @override
    def resets(self) -> Int[Tensor, " groups"]:
        if self._last is not None:
            self.scheduler.wait(self._last)
        return self.bank.resets.clone()

    def _submit(self, work: Callable[[], T]) -> Pending[T]:
        """Hand work on the bank to the scheduler; what earlier work raised, later work raises again."""
        earlier = self._last

        def follow() -> T:
            if earlier is not None:
                earlier.value()
            return work()

        submitted = self.scheduler.submit(follow)
        self._last = submitted
        return submitted

    def _current(self, call: str) -> _Step:
        if self._step is None:
            raise RuntimeError(f"Explorer.{call} was called before begin; the order of a step is begin, fuse, learn")
        return self._step

    def _scatter(self, rows: Rows, values: Tensor) -> Tensor:
        return rows.scatter(values, self.bank.groups, self.lanes)

    def _filter_then_fuse(self, context: _Context, reference: Tensor) -> tuple[Candidates, Tensor]:
        candidates = self.filters.select(reference, context.temperature)
        return candidates, self._tilt(context, candidates, self.bank.head.at(context.predicted, candidates))

    def _fuse_then_filter(self, context: _Context, reference: Tensor) -> tuple[Candidates, Tensor]:
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

    def _tilt(self, context: _Context, candidates: Candidates, distilled: Tensor) -> Float[Tensor, "rows candidates"]:
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

    def _update(
        self, rows: Rows, shallow: Tensor, deep: Tensor, tokens: Tensor, usable: Tensor, broken: Tensor
    ) -> Tensor:
        target = self.bank.distiller.target(deep, tokens)
        if not surely_all(usable):
            target = target.masked_fill(~usable.unsqueeze(-1), 0.0)
        return self.bank.learn(shallow, self._scatter(rows, target), self._scatter(rows, usable.float()), broken)


def _sound_copy(shallow: Float[Tensor, "rows d"]) -> tuple[Float[Tensor, "rows d"], Bool[Tensor, " rows"]]:
    """A copy in float32, with zeros for rows that are not finite; and which rows are."""
    if surely_finite(shallow):
        return shallow.to(torch.float32, copy=True), torch.ones(len(shallow), dtype=torch.bool)
    sound = shallow.isfinite().all(dim=-1)
    return shallow.float().masked_fill(~sound.unsqueeze(-1), 0.0), sound
