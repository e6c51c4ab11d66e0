"""The contracts of a distiller's step: what was predicted may be remembered for learning, and must not change it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from esamp.distillers import Distiller
from esamp.testing.banks import TOLERANCE, Lesson, different, fresh, gap, lessons, predict, state, teach
from esamp.testing.contract import Contract, contract, require

__all__ = ["STEP_CONTRACTS"]

Make = Callable[[], Distiller]
Play = Callable[[Distiller, list[Lesson]], list[Tensor]]


@contract("what stands in empty places of what it learns from does not matter")
def _litter(make: Make) -> None:
    course, other = lessons(4), lessons(4, seed=1)
    clean, littered = fresh(make), fresh(make)
    strewn = [_litter_with(lesson, rest.shallow) for lesson, rest in zip(course, other, strict=True)]
    off = gap(teach(littered, strewn), teach(clean, course))
    require(off < TOLERANCE, f"numbers in empty places moved a loss by {off:.2g}")
    off = gap(predict(littered, course[0].shallow), predict(clean, course[0].shallow))
    require(off < TOLERANCE, f"numbers in empty places moved a later prediction by {off:.2g}")


@contract("to have predicted from the tensor it learns from changes nothing, whatever came between")
def _remembers(make: Make) -> None:
    for name, play in _PLAYS.items():
        wanted = play(silent := fresh(make), _course(asked=False))
        got = play(asked := fresh(make), _course(asked=True))
        off = [one for one, two in zip(got, wanted, strict=True) if not torch.equal(one, two)]
        require(not off, f"where {name}, it says something else than without having predicted")
        moved = different(state(asked), state(silent))
        require(not moved, f"where {name}, {', '.join(moved)} came out differently than without having predicted")


class _Asked(Lesson):
    """A lesson whose rows are predicted from first, by the tensor that is learnt from."""


def _course(*, asked: bool) -> list[Lesson]:
    course = [_litter_with(it, rest.shallow) for it, rest in zip(lessons(3), lessons(3, seed=1), strict=True)]
    return [_Asked(it.shallow, it.deep, it.weight) for it in course] if asked else course


def _litter_with(lesson: Lesson, numbers: Tensor) -> Lesson:
    alive = lesson.weight.unsqueeze(-1)
    return Lesson(lesson.shallow * alive + numbers * (1 - alive), lesson.deep, lesson.weight)


def _ask(bank: Distiller, lesson: Lesson) -> None:
    if isinstance(lesson, _Asked):
        predict(bank, lesson.shallow)


def _in_order(bank: Distiller, course: list[Lesson]) -> list[Tensor]:
    losses: list[Tensor] = []
    for lesson in course:
        _ask(bank, lesson)
        losses.append(teach(bank, [lesson]))
    return losses


def _other_lesson_between(bank: Distiller, course: list[Lesson]) -> list[Tensor]:
    _ask(bank, course[0])
    return [teach(bank, [course[1], course[0]])]


def _same_lesson_twice(bank: Distiller, course: list[Lesson]) -> list[Tensor]:
    _ask(bank, course[0])
    return [teach(bank, [course[0], course[0]])]


def _reset_between(bank: Distiller, course: list[Lesson]) -> list[Tensor]:
    first = teach(bank, course[1:2])
    _ask(bank, course[0])
    bank.reset(torch.tensor([False, True, False]))
    return [first, teach(bank, course[:1])]


def _overwritten_between(bank: Distiller, course: list[Lesson]) -> list[Tensor]:
    _ask(bank, course[0])
    course[0].shallow.copy_(course[1].shallow)
    return [teach(bank, course[:1])]


_PLAYS: dict[str, Play] = {
    "it predicts before each lesson": _in_order,
    "another lesson came between": _other_lesson_between,
    "it learns the same tensor twice": _same_lesson_twice,
    "a slot was reset between": _reset_between,
    "the tensor was overwritten between": _overwritten_between,
}

STEP_CONTRACTS: tuple[Contract[Distiller], ...] = (_litter, _remembers)
"""What every distiller keeps, whether it remembers or not."""
