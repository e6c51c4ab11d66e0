"""The contracts of distillers."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from esamp.distillers import Distiller
from esamp.testing.banks import (
    GROUPS,
    LANES,
    TOLERANCE,
    WIDTH,
    Lesson,
    different,
    fresh,
    gap,
    lessons,
    predict,
    ready,
    state,
    teach,
)
from esamp.testing.contract import Contract, check_all, contract, require
from esamp.testing.slots import ISOLATION_CONTRACTS, SLOT_CONTRACTS
from esamp.testing.steps import STEP_CONTRACTS

__all__ = ["DISTILLER_CONTRACTS", "LEARNING_CONTRACT", "LOSS_CONTRACT", "check_distiller"]

Make = Callable[[], Distiller]


@contract("predictions are float32 and have the shape of what they are made from")
def _shape(make: Make) -> None:
    for groups, lanes in ((GROUPS, LANES), (1, 1), (2, 9)):
        predicted = predict(fresh(make, groups), torch.ones(groups, lanes, WIDTH))
        wanted = (groups, lanes, WIDTH)
        require(predicted.shape == wanted, f"a prediction from {wanted} has the shape {tuple(predicted.shape)}")
        require(predicted.dtype == torch.float32, f"a prediction from float32 is {predicted.dtype}")
    losses = teach(fresh(make), lessons(2))
    require(losses.shape == (2, GROUPS), f"the losses of {GROUPS} groups have the shape {tuple(losses.shape[1:])}")
    require(losses.dtype == torch.float32, f"losses are {losses.dtype}")


@contract("a recipe gives the same distiller each time, whatever the global random generator's state, and leaves it be")
def _seeded(make: Make) -> None:
    outcomes: list[dict[str, Tensor]] = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            bank = fresh(make)
            teach(bank, lessons(2))
            bank.reset(torch.tensor([True, False, False]))
            require(torch.equal(before, torch.get_rng_state()), "it drew from the global random generator")
        outcomes.append(state(bank))
    moved = different(*outcomes)
    require(not moved, f"{', '.join(moved)} came out differently the second time")


@contract("setup starts afresh, for any number of groups")
def _setup_again(make: Make) -> None:
    bank = fresh(make)
    teach(bank, lessons(2))
    bank.setup(WIDTH, 2)
    moved = different(state(bank), state(fresh(make, 2)))
    require(not moved, f"after a second setup {', '.join(moved)} is not as in a new bank")


@contract("the loss is the mean squared error of the living rows before the step")
def _loss(make: Make) -> None:
    bank = fresh(make)
    for lesson in lessons(3):
        errors = (predict(bank, lesson.shallow) - lesson.deep).square().mean(dim=-1)
        wanted = (errors * lesson.weight).sum(dim=-1) / lesson.weight.sum(dim=-1)
        off = gap(teach(bank, [lesson])[0], wanted)
        require(off < TOLERANCE, f"it differs by {off:.2g}")


@contract("empty places do not count")
def _padding(make: Make) -> None:
    course = lessons(4)
    bank, wide = fresh(make), fresh(make)
    off = gap(teach(wide, [lesson.padded(2 * LANES + 3) for lesson in course]), teach(bank, course))
    require(off < TOLERANCE, f"empty places between the rows moved a loss by {off:.2g}")
    off = gap(predict(wide, course[0].shallow), predict(bank, course[0].shallow))
    require(off < TOLERANCE, f"empty places between the rows moved a later prediction by {off:.2g}")


@contract("permuting the rows of a group permutes its predictions")
def _permutation(make: Make) -> None:
    course, order = lessons(4), torch.tensor([2, 0, 3, 1])
    bank, shuffled = fresh(make), fresh(make)
    teach(bank, course)
    teach(shuffled, [lesson.lanes(order) for lesson in course])
    shallow = course[0].shallow
    off = gap(predict(shuffled, shallow[:, order]), predict(bank, shallow)[:, order])
    require(off < TOLERANCE, f"another order of the rows moved a prediction by {off:.2g}")


@contract("it works the same under torch.no_grad, and its losses hold no graph")
def _no_grad(make: Make) -> None:
    course, bank, without = lessons(3), fresh(make), fresh(make)
    losses = teach(bank, course)
    require(not losses.requires_grad, "learn returned a loss that holds its graph")
    with torch.no_grad():
        require(torch.equal(teach(without, course), losses), "under torch.no_grad the losses differ")
        require(not without(course[0].shallow).requires_grad, "under torch.no_grad a prediction holds a graph")
    moved = different(state(bank), state(without))
    require(not moved, f"under torch.no_grad {', '.join(moved)} learns otherwise")


@contract("what it is given is left as it is")
def _pure(make: Make) -> None:
    bank, mask = fresh(make), torch.tensor([False, True, False])
    given, kept = lessons(1)[0], lessons(1)[0]
    predict(bank, given.shallow)
    teach(bank, [given])
    bank.reset(mask)
    for name, value in vars(kept).items():
        require(torch.equal(getattr(given, name), value), f"{name} was overwritten")
    require(mask.tolist() == [False, True, False], "the mask of reset was overwritten")


@contract("a deep copy is independent, before setup and after")
def _copies(make: Make) -> None:
    recipe = make()
    first, second = copy.deepcopy(recipe), copy.deepcopy(recipe)
    ready(first)
    ready(second)
    teach(first, lessons(2))
    third = copy.deepcopy(first)
    for name, bank, other in (("before", first, second), ("after", third, first)):
        kept, shallow = state(other), lessons(1)[0].shallow
        predicted = predict(other, shallow)
        teach(bank, lessons(2, seed=1))
        bank.reset(torch.ones(GROUPS, dtype=torch.bool))
        moved = different(state(other), kept)
        require(not moved, f"copied {name} setup, teaching one moved {', '.join(moved)} of the other")
        require(torch.equal(predict(other, shallow), predicted), f"copied {name} setup, teaching one moved the other")


@contract("learning lowers the loss on a constant target")
def _learns(make: Make) -> None:
    shallow = lessons(1)[0].shallow
    target = lessons(1, seed=1)[0].deep[:, :1].expand_as(shallow).contiguous()
    losses = teach(fresh(make), [Lesson(shallow, target, torch.ones(GROUPS, LANES))] * 100)
    lowered = bool((losses[-1] < 0.9 * losses[0]).all())
    require(lowered, f"a hundred steps took the losses from {losses[0].tolist()} to {losses[-1].tolist()}")


LEARNING_CONTRACT: Contract[Distiller] = _learns
"""The one contract that a distiller which does not learn, such as a frozen control, is excused from."""

LOSS_CONTRACT: Contract[Distiller] = _loss
"""The one contract that a distiller with another loss, such as one in the vocabulary, is excused from."""

DISTILLER_CONTRACTS: tuple[Contract[Distiller], ...] = (
    _shape,
    _seeded,
    _setup_again,
    _padding,
    _permutation,
    _no_grad,
    _pure,
    _copies,
    *SLOT_CONTRACTS,
    *STEP_CONTRACTS,
)
"""What every distiller keeps, for parametrising a test over it; beside it there are `ISOLATION_CONTRACTS`, from which
distillers that share state by design are excused, `LOSS_CONTRACT` and `LEARNING_CONTRACT`."""


def check_distiller(make: Make, *, learns: bool = True, squared_error: bool = True) -> None:
    """Hold a distiller to every contract of its zoo.

    Args:
        make: gives a fresh distiller that can be set up for the width 16; the class itself, where its constructor needs
            no arguments.
        learns: hold it to the contract that learning lowers the loss, too.
        squared_error: hold it to the contract that its loss is the mean squared error, too.

    Raises:
        ContractError: a contract is broken; the message names it and the class.

    Examples:
        >>> from esamp.distillers import MLPDistiller
        >>> check_distiller(lambda: MLPDistiller(width=8))
    """
    chosen = [*DISTILLER_CONTRACTS]
    chosen += [] if make().shares_state else ISOLATION_CONTRACTS
    chosen += [LOSS_CONTRACT] if squared_error else []
    chosen += [LEARNING_CONTRACT] if learns else []
    check_all(chosen, make)
