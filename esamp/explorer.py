"""One decode step of ESamp over grouped rows: predict → fuse → (draw) → learn. No model, no tokenizer.

Every engine drives this same object; ESamp's maths exists once.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.candidates import Candidates, Filters
from esamp.checks import check_integer
from esamp.distillers.base import Distiller, reset_failed
from esamp.functional import error_norm, kl_divergence, masked_log_softmax
from esamp.fusion import FusionStep, NoveltyFusion
from esamp.head import Head
from esamp.policy import DecodePolicy, Fused
from esamp.rows import Rows
from esamp.schedulers import OverlapScheduler, Pending

__all__ = ["Explorer"]


@dataclass(frozen=True)
class _Step:
    """What `begin` leaves for `fuse` and `learn` of the same step."""

    rows: Rows
    shallow: Float[Tensor, "rows d"]
    predicted: Pending[Float[Tensor, "groups lanes d"]]


@final
class Explorer(DecodePolicy):
    """ESamp's decode step for a bank of groups.

    A group is sampled without fusion until its distiller has had `warmup` updates, and in a step in which its
    prediction is not finite; then, or when its loss is not finite, its slot is reset and counted in `resets`. All of
    that is done by masks: other groups never notice, and nothing is read back from the device.

    Args:
        distiller: the recipe; the explorer works on a copy, set up for `groups` slots.
        fusion: how the distilled logits tilt the reference.
        scheduler: when prediction and learning run.
        head: the frozen LM head.
        filters: temperature, top-k, top-p, min-p.
        beta: exploration strength β, float32 [groups, lanes].
        warmup: updates of a group's distiller before its fusion starts.
        prefilter: fuse over the whole vocabulary and then filter, instead of filtering the reference first.
    """

    def __init__(
        self,
        distiller: Distiller,
        fusion: NoveltyFusion,
        scheduler: OverlapScheduler,
        head: Head,
        filters: Filters,
        beta: Float[Tensor, "groups lanes"],
        *,
        warmup: int = 1,
        prefilter: bool = False,
    ) -> None:
        self.fusion = fusion
        self.scheduler = scheduler
        self.head = head
        self.filters = filters
        self.beta = beta
        self.warmup = check_integer("warmup", warmup, low=1, hint="an untrained distiller is noise")
        self.prefilter = prefilter
        self.groups, self.lanes = beta.shape
        device = head.weight.device
        self.distiller = copy.deepcopy(distiller)
        self.distiller.bind(head)
        self.distiller.setup(head.weight.shape[1], self.groups, device)
        self.updates: Int[Tensor, " groups"] = torch.zeros(self.groups, dtype=torch.int64, device=device)
        self._resets: Int[Tensor, " groups"] = torch.zeros(self.groups, dtype=torch.int64, device=device)
        self._broken: Bool[Tensor, " groups"] = torch.zeros(self.groups, dtype=torch.bool, device=device)
        self._step: _Step | None = None
        self._losses: Pending[Float[Tensor, " groups"]] | None = None

    def recycle(self, slots: Int[Tensor, " k"]) -> None:
        """Give slots to new groups: as good as new from the next `begin` on."""
        mask = torch.zeros_like(self._broken).index_fill_(0, slots, True)
        self.scheduler.wait(self.scheduler.submit(lambda: self.distiller.reset(mask)))
        self.updates.masked_fill_(mask, 0)
        self._resets.masked_fill_(mask, 0)

    @override
    def begin(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> None:
        shallow = shallow.float()
        predicted = self.scheduler.submit(lambda: self._predict(shallow, rows))
        self._step = _Step(rows, shallow, predicted)

    @override
    def fuse(self, deep: Float[Tensor, "rows d"], reference: Float[Tensor, "rows vocab"]) -> Fused:
        step = self._current("fuse")
        deep, reference = deep.float(), reference.float()
        rows = step.rows
        grouped = self.scheduler.wait(step.predicted)
        grouped = self.distiller.revise(grouped, rows.scatter(deep, self.groups, self.lanes))
        predicted = rows.gather(grouped)
        sound = predicted.isfinite().all(dim=-1)
        slot = rows.slot
        self._broken = torch.zeros_like(self.updates).index_add_(0, slot, (~sound).long()) > 0
        ready = (self.updates >= self.warmup) & ~self._broken
        beta = self.beta[slot, rows.lane] * ready[slot]
        norm = error_norm(deep, predicted)
        # The logits of a broken prediction are multiplied by β = 0, so they must be numbers.
        predicted = torch.where(sound.unsqueeze(-1), predicted, deep)
        choose = self._fuse_then_filter if self.prefilter else self._filter_then_fuse
        candidates, logits = choose(deep, predicted, reference, beta)
        log_probs = masked_log_softmax(logits / self.filters.temperature, candidates.mask)
        before = masked_log_softmax(candidates.reference / self.filters.temperature, candidates.mask)
        return Fused(candidates, logits, log_probs, norm, kl_divergence(log_probs, before))

    @override
    def learn(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"] | None = None,
    ) -> None:
        step = self._current("learn")
        self._step = None
        broken, deep = self._broken, deep.float()
        self._losses = self.scheduler.submit(lambda: self._update(step, deep, tokens, alive, broken))

    @override
    def losses(self) -> Float[Tensor, " groups"]:
        if self._losses is None:
            return torch.full((self.groups,), torch.nan)
        return self.scheduler.wait(self._losses)

    @override
    def resets(self) -> Int[Tensor, " groups"]:
        return self._resets.clone()

    def _current(self, call: str) -> _Step:
        if self._step is None:
            raise RuntimeError(f"Explorer.{call} was called before begin; the order of a step is begin, fuse, learn")
        return self._step

    @torch.no_grad()
    def _predict(self, shallow: Tensor, rows: Rows) -> Tensor:
        return self.distiller(rows.scatter(shallow, self.groups, self.lanes))

    def _filter_then_fuse(
        self, deep: Tensor, predicted: Tensor, reference: Tensor, beta: Tensor
    ) -> tuple[Candidates, Tensor]:
        candidates = self.filters.select(reference)
        distilled = self.head.at(predicted, candidates)
        return candidates, self._tilt(candidates, distilled, deep, predicted, beta)

    def _fuse_then_filter(
        self, deep: Tensor, predicted: Tensor, reference: Tensor, beta: Tensor
    ) -> tuple[Candidates, Tensor]:
        weights = self.fusion.latent_weights(beta)
        if weights is not None and self.head.linear:
            logits = self.head.mixed(deep, predicted, weights.reference, weights.distilled)
        else:
            everything = Filters().select(reference)
            logits = self._tilt(everything, self.head.full(predicted), deep, predicted, beta)
        fused = self.filters.select(logits)
        before = reference.gather(-1, fused.ids)
        return Candidates(fused.ids, before, fused.mask, fused.whole_vocabulary), fused.reference

    def _tilt(
        self, candidates: Candidates, distilled: Tensor, deep: Tensor, predicted: Tensor, beta: Tensor
    ) -> Float[Tensor, "rows candidates"]:
        step = FusionStep(
            candidates.reference,
            distilled,
            beta,
            candidates.mask,
            candidates.ids,
            self.filters.temperature,
            deep,
            predicted,
        )
        return self.fusion(step)

    @torch.no_grad()
    def _update(self, step: _Step, deep: Tensor, tokens: Tensor, alive: Tensor | None, broken: Tensor) -> Tensor:
        usable = step.shallow.isfinite().all(dim=-1) & deep.isfinite().all(dim=-1)
        usable = usable if alive is None else usable & alive
        target = self.distiller.target(deep, tokens)
        shallow, target, weight = (
            step.rows.scatter(values, self.groups, self.lanes)
            for values in (
                step.shallow.masked_fill(~usable.unsqueeze(-1), 0.0),
                target.masked_fill(~usable.unsqueeze(-1), 0.0),
                usable.float(),
            )
        )
        losses = self.distiller.learn(shallow, target, weight)
        moved = weight.sum(dim=-1) > 0
        self.updates += moved
        failed = broken | ~losses.isfinite()
        reset_failed(self.distiller, failed)
        self.updates.masked_fill_(failed, 0)
        self._resets += failed
        return losses.masked_fill(~moved, torch.nan)
