"""Explorers over a tiny head, and rows to feed them with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from esamp.bank import Bank
from esamp.candidates import Filters
from esamp.distillers import Distiller, MLPDistiller
from esamp.explorer import Explorer
from esamp.fusion import BetaMix
from esamp.head import Head
from esamp.llm import FrozenLLM
from esamp.policy import Fused, PlainPolicy
from esamp.rows import Rows
from esamp.schedulers import SynchronousScheduler

WIDTH, VOCABULARY, LANES = 6, 20, 3
ALL = Filters()
SOME = Filters(temperature=0.8, min_p=0.02)


def head() -> Head:
    generator = torch.Generator().manual_seed(0)
    return Head(
        torch.randn(VOCABULARY, WIDTH, generator=generator), torch.randn(VOCABULARY, generator=generator), scale=0.5
    )


def explorer(groups: int, filters: Filters = SOME, *, warmup: int = 1, prefilter: bool = False) -> Explorer:
    # A learning rate at which a few steps change a prediction visibly.
    return of(MLPDistiller(width=8, lr=1e-2), groups, filters, warmup=warmup, prefilter=prefilter)


def of(
    distiller: Distiller, groups: int = 1, filters: Filters = SOME, lm_head: Head | None = None, **options: Any
) -> Explorer:
    """An explorer of `groups` groups with that distiller and `BetaMix`."""
    lm_head = lm_head or head()
    bank = Bank(distiller, BetaMix(), FrozenLLM(lm_head), groups)
    return Explorer(bank, LANES, SynchronousScheduler(), filters, **options)


def grid(groups: int, beta: Tensor | float = 0.5) -> Rows:
    """All rows of so many groups, in order."""
    return Rows.of_prompts(torch.arange(groups), torch.as_tensor(beta).expand(groups, LANES).float())


@dataclass(frozen=True)
class Step:
    """What an engine gives an explorer in one step."""

    rows: Rows
    shallow: Tensor
    deep: Tensor
    reference: Tensor
    alive: Tensor | None = None

    def __getitem__(self, index: Tensor) -> Step:
        alive = None if self.alive is None else self.alive[index]
        return Step(self.rows[index], self.shallow[index], self.deep[index], self.reference[index], alive)

    def alone(self) -> Step:
        """The step of a single group, as an explorer of one group takes it."""
        return replace(self, rows=replace(self.rows, slot=torch.zeros_like(self.rows.slot)))


def step(rows: Rows, seed: int) -> Step:
    """A step of these rows, with the same numbers for a (slot, lane) wherever it stands in the batch."""
    generator = torch.Generator().manual_seed(seed)
    groups = int(rows.slot.max()) + 1
    shallow, deep = torch.randn(2, groups, LANES, WIDTH, generator=generator)
    shallow, deep = shallow[rows.slot, rows.lane], deep[rows.slot, rows.lane]
    return Step(rows, shallow, deep, head().full(deep))


def run(explorer: Explorer, step: Step) -> Fused:
    explorer.begin(step.shallow, step.rows)
    fused = explorer.fuse(step.deep, step.reference)
    explorer.learn(step.deep, torch.zeros(len(step.rows), dtype=torch.int64), step.alive)
    return fused


def over_vocabulary(fused: Fused) -> Tensor:
    """log π of every token [rows, vocab]; -inf where it is no candidate."""
    log_probs = torch.full((len(fused.log_probs), VOCABULARY), -torch.inf)
    row, place = fused.candidates.mask.nonzero(as_tuple=True)
    log_probs[row, fused.candidates.ids[row, place]] = fused.log_probs[row, place]
    return log_probs


def plain(step: Step, filters: Filters) -> Tensor:
    """log π_ref of every token, as plain sampling has it."""
    policy = PlainPolicy(filters)
    policy.begin(step.shallow, step.rows)
    return over_vocabulary(policy.fuse(step.deep, step.reference))
