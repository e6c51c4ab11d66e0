"""One decode step of ESamp over grouped rows: predict → fuse → (draw) → learn. No model, no tokenizer.

Every engine drives this same object; ESamp's maths exists once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.bank import Bank
from esamp.candidates import Filters, RowFilters, Temperatures
from esamp.checks import check_integer
from esamp.memory import ran_out
from esamp.policy import DecodePolicy, Fused, PlainPolicy
from esamp.rows import Rows
from esamp.schedulers import OverlapScheduler, Pending
from esamp.schedules import Schedule
from esamp.step import ByGroup, ByRow, StepMaths
from esamp.step.base import Prediction, Strength, Taken

__all__ = ["Explorer"]

T = TypeVar("T")

_EXHAUSTED = (
    "memory ran out while the distillers worked: the groups of this bank are sampled plainly from here on, and counted "
    "in `exhausted`; decode fewer prompts at a time (batch_size), or use a smaller distiller"
)


@dataclass(frozen=True)
class _Step:
    """What `begin` leaves for `fuse` and `learn` of the same step."""

    taken: Taken
    prediction: Pending[Prediction | None]


@final
class Explorer(DecodePolicy):
    """ESamp's decode step for a bank of groups.

    A group is sampled without fusion until its distiller has had `warmup` updates (or is trusted without any), and in a
    step in which its prediction is not finite; then, or when its loss is not finite, its slot is reset and counted in
    `resets`. All of that is done by masks: other groups never notice, and nothing is read back from the device.

    Where memory runs out while the distillers work, all groups of the bank are sampled plainly until their slots are
    recycled, and counted in `exhausted`.

    Args:
        bank: distiller, fusion and head, one slot a group.
        lanes: largest number of rows in a group.
        scheduler: when prediction and learning run.
        filters: temperature, top-k, top-p, min-p.
        schedule: factor on each row's β by the number of its tokens; None: 1.
        warmup: updates of a group's distiller before its fusion starts; one number, or one for each slot.
        prefilter: fuse over the whole vocabulary and then filter, instead of filtering the reference first.

    Raises:
        ValueError: `warmup` is below 1; later: hidden states or logits are of another width than the bank's head.

    Examples:
        Three steps for two samples of one prompt, without a model; β is at work once the distiller has learnt:

        >>> from esamp.bank import Bank
        >>> from esamp.candidates import Filters
        >>> from esamp.distillers import LinearDistiller
        >>> from esamp.fusion import BetaMix
        >>> from esamp.head import Head
        >>> from esamp.llm import FrozenLLM
        >>> from esamp.rows import Rows
        >>> from esamp.schedulers import SynchronousScheduler
        >>> generator = torch.Generator().manual_seed(0)
        >>> head = Head(torch.randn(8, 4, generator=generator))
        >>> bank = Bank(LinearDistiller(lr=0.1), BetaMix(), FrozenLLM(head), groups=1)
        >>> explorer = Explorer(bank, lanes=2, scheduler=SynchronousScheduler(), filters=Filters())
        >>> rows = Rows.of_prompts(torch.tensor([0]), beta=torch.full((1, 2), 0.5))
        >>> shallow, deep = torch.randn(2, 2, 4, generator=generator)
        >>> for _ in range(3):
        ...     explorer.begin(shallow, rows)
        ...     fused = explorer.fuse(deep, head.full(deep))
        ...     explorer.learn(deep, tokens=fused.candidates.ids[:, 0])
        ...     print(f"loss {float(explorer.losses()):.2f}, KL {float(fused.kl[0]):.2f}")
        ...     rows = rows.advance()
        loss 1.37, KL 0.00
        loss 0.83, KL 0.06
        loss 0.50, KL 0.09
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
        self.scheduler = scheduler
        self.schedule = schedule
        if not isinstance(warmup, Tensor):
            check_integer("warmup", warmup, low=1, hint="an untrained distiller is noise")
        self.warmup = warmup
        self.prefilter = prefilter
        bank.fusion.begin(lanes)
        self.arrange(lanes, filters)
        self._judgement: Any = None
        self._step: _Step | None = None
        self._losses: Pending[Float[Tensor, " groups"] | None] | None = None
        self._last: Pending[Any] | None = None

    def arrange(self, lanes: int, filters: Filters | RowFilters) -> None:
        """From the next `begin` on, for engines whose batch changes: so many lanes at most, and these filters."""
        self.lanes: int = lanes
        self.filters: Filters | RowFilters = filters
        chosen = (self.bank, lanes, filters, self.warmup, self.prefilter)
        self._maths: StepMaths[Any] = ByRow.of(*chosen) or ByGroup(*chosen)
        self._plain = PlainPolicy(filters, self.bank.groups)
        self._temperatures = Temperatures(filters)

    def recycle(self, slots: Int[Tensor, " k"]) -> None:
        """Give slots to new groups: as good as new from the next `begin` on."""
        self._submit(lambda: self.bank.recycle(slots))

    @override
    def begin(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> None:
        self._check_width("hidden states", shallow.shape[-1], self.bank.head.weight.shape[1])
        taken = self._maths.take(shallow, rows)
        self._step = _Step(taken, self._submit(lambda: self._within_memory(lambda: self._maths.predict(taken))))

    @override
    def fuse(self, deep: Float[Tensor, "rows d"], reference: Float[Tensor, "rows vocab"]) -> Fused:
        step = self._current("fuse")
        vocabulary = self.bank.head.vocabulary
        self._check_width("hidden states", deep.shape[-1], self.bank.head.weight.shape[1])
        # An engine may leave out what pads the head's vocabulary; it cannot know of more tokens than that.
        self._check_width("logits", max(reference.shape[-1], vocabulary), vocabulary)
        prediction, rows = self.scheduler.wait(step.prediction), step.taken.rows
        if prediction is None:
            self._judgement = ()
            self._plain.begin(step.taken.shallow, rows)
            return self._plain.fuse(deep, reference)
        beta = rows.beta if self.schedule is None else rows.beta * self.schedule(rows.step)
        strength = Strength(beta, self._temperatures.at(rows.step))
        fused, self._judgement = self._maths.fuse(step.taken, prediction, deep, reference.float(), strength)
        return fused

    @override
    def learn(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"] | None = None,
    ) -> None:
        step, judgement = self._current("learn"), self._judgement
        if judgement is None:
            raise RuntimeError("Explorer.learn was called before fuse; the order of a step is begin, fuse, learn")
        self._step = self._judgement = None

        def work() -> Tensor | None:
            prediction = step.prediction.value()
            if prediction is None:
                return None
            return self._maths.learn(step.taken, prediction, judgement, deep, tokens, alive)

        self._losses = self._submit(lambda: self._within_memory(work))

    @override
    def prefill(
        self,
        shallow: Float[Tensor, "rows d"],
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        taken = self._maths.take(shallow, rows)
        self._losses = self._submit(lambda: self._within_memory(lambda: self._maths.study(taken, deep, tokens, alive)))

    @override
    def losses(self) -> Float[Tensor, " groups"]:
        losses = None if self._losses is None else self.scheduler.wait(self._losses)
        return torch.full((self.bank.groups,), torch.nan) if losses is None else losses

    @override
    def resets(self) -> Int[Tensor, " groups"]:
        if self._last is not None:
            self.scheduler.wait(self._last)
        return self.bank.resets.clone()

    @override
    def exhausted(self) -> Int[Tensor, " groups"]:
        if self._last is not None:
            self.scheduler.wait(self._last)
        return self.bank.exhausted.clone()

    def _within_memory(self, work: Callable[[], T]) -> T | None:
        """What `work` on the bank gives; None where memory has run out, in it or before."""
        if self.bank.resting:
            return None
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
        # Out here the error is gone, and with it all that its frames held.
        self.bank.give_up()
        warnings.warn(_EXHAUSTED, RuntimeWarning, stacklevel=2)
        return None

    def ready(self) -> Bool[Tensor, " groups"]:
        """Groups whose fusion is on: warmed up, or trusted without. Settled between `fuse` and `learn` of a step."""
        return (self.bank.updates >= self.warmup) | self.bank.distiller.trusted

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

    def _check_width(self, what: str, got: int, wanted: int) -> None:
        if got != wanted:
            raise ValueError(
                f"model must be as it was when its head was read, and its {what} have width {got}, not {wanted}: its "
                "size has changed; make a new sampler, and go on from no `state` of the old one"
            )
