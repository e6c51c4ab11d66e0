"""The contracts of fusions that remember: groups never mix, a recycled slot is as new, and the recipe stays a recipe.

A fusion that remembers nothing keeps them by doing nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from esamp.fusion import FusionStep, NoveltyFusion
from esamp.rows import Rows
from esamp.testing.contract import Contract, contract, require

__all__ = ["MEMORY_CONTRACTS"]

Make = Callable[[], NoveltyFusion]

_GROUPS, _LANES, _WIDTH, _STEPS = 2, 3, 8, 24
_TEXTS = ("one", " two", ".", "\n", " three")
_TOKENS = len(_TEXTS)


def _attach(fusion: NoveltyFusion) -> NoveltyFusion:
    attached = fusion.attach(_WIDTH, _GROUPS, lambda: _TEXTS)
    attached.begin(_LANES)
    return attached


def _rows(step: int) -> Rows:
    beta = torch.linspace(0.0, 1.0, _GROUPS * _LANES).view(_GROUPS, _LANES)
    rows = Rows.of_prompts(torch.arange(_GROUPS), beta)
    return rows if step == 0 else Rows(rows.slot, rows.lane, rows.sample, rows.step + step, rows.beta)


def _step(number: int, seed: int, rows: Rows) -> FusionStep:
    """What a fusion is shown in that step; each group's numbers come from a seed of its own."""
    drawn = [torch.Generator().manual_seed(1000 * seed * group + number) for group in range(1, _GROUPS + 1)]

    def noise(size: int) -> Tensor:
        return torch.cat([torch.randn(_LANES, size, generator=generator) for generator in drawn])

    reference = noise(_TOKENS)
    return FusionStep(
        reference=reference,
        distilled=reference + noise(_TOKENS),
        beta=rows.beta,
        mask=torch.ones_like(reference, dtype=torch.bool),
        ids=torch.arange(_TOKENS).expand(len(rows), -1),
        temperature=torch.ones(len(rows), 1),
        deep=noise(_WIDTH),
        predicted=noise(_WIDTH),
        rows=rows,
    )


def _live(fusion: NoveltyFusion, seed: int = 1, other: int = 1) -> Tensor:
    """Let both groups write, the first by `seed` and the second by `other`; the fused logits of every step."""
    fused: list[Tensor] = []
    for number in range(_STEPS):
        rows = _rows(number)
        ours, theirs = _step(number, seed, rows), _step(number, other, rows)
        mine = rows.slot == 0
        mixed = {
            name: torch.where(mine.view(-1, *[1] * (value.dim() - 1)), value, getattr(theirs, name))
            for name, value in vars(ours).items()
            if name != "rows"
        }
        step = FusionStep(**mixed, rows=rows)
        fused.append(fusion(step))
        tokens = step.reference.argmax(dim=-1)
        fusion.observe(step.deep, tokens, rows, torch.ones_like(tokens, dtype=torch.bool))
    return torch.stack(fused)


@contract("with a memory, too, β = 0 is the identity and the result is finite")
def _identity(make: Make) -> None:
    fusion = _attach(make())
    _live(fusion)
    step = _step(_STEPS, 1, _rows(_STEPS))
    fused = fusion(step)
    require(bool(fused.isfinite().all()), f"after {_STEPS} steps it gave {fused.tolist()}")
    off = step.beta == 0
    require(torch.equal(fused[off], step.reference[off]), f"after {_STEPS} steps rows with β = 0 were tilted")


@contract("what one group has said does not influence another")
def _groups_apart(make: Make) -> None:
    alone, beside = _live(_attach(make())), _live(_attach(make()), other=7)
    require(torch.equal(alone[:, :_LANES], beside[:, :_LANES]), "other steps of the second group moved the first's")


@contract("of a slot that was reset nothing is remembered, and of the others everything")
def _reset(make: Make) -> None:
    used, kept, new = _attach(make()), _attach(make()), _live(_attach(make()))
    for fusion in (used, kept):
        _live(fusion, seed=5, other=6)
    used.reset(torch.tensor([True, False]))
    again, went_on = _live(used), _live(kept)
    require(torch.equal(again[:, :_LANES], new[:, :_LANES]), "a slot that was reset fuses otherwise than a new one")
    require(torch.equal(again[:, _LANES:], went_on[:, _LANES:]), "the reset of another slot changed what a slot gives")


@contract("attach leaves the recipe as it is, and what it returns is independent, copies too")
def _attached_apart(make: Make) -> None:
    recipe, new = make(), _live(_attach(make()))
    first = _attach(recipe)
    second = copy.deepcopy(first)
    _live(first, seed=5, other=6)
    require(torch.equal(_live(second), new), "what a fusion had seen changed a copy of it")
    require(torch.equal(_live(_attach(recipe)), new), "what an attached fusion had seen changed the recipe")


MEMORY_CONTRACTS: tuple[Contract[NoveltyFusion], ...] = (_identity, _groups_apart, _reset, _attached_apart)
"""What every fusion keeps about its memory, if it has one."""
