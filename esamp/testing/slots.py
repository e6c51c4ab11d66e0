"""The contracts of a bank: slots are laid out alike, never mix, rest without rows, and are as new after a reset."""

from __future__ import annotations

from collections.abc import Callable

import torch

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
    slot_state,
    state,
    teach,
)
from esamp.testing.contract import Contract, contract, require

__all__ = ["ISOLATION_CONTRACTS", "SLOT_CONTRACTS"]

Make = Callable[[], Distiller]


@contract("state is float32 and grows along a first axis of groups; what does not grow never moves")
def _layout(make: Make) -> None:
    few, more = state(fresh(make, 3)), state(fresh(make, 5))
    require(few.keys() == more.keys(), f"other tensors for 5 groups than for 3: {sorted(few.keys() ^ more.keys())}")
    bank = fresh(make, 3)
    teach(bank, lessons(3))
    moved = different(state(bank), few)
    for name, tensor in few.items():
        wrong = tensor.is_floating_point() and tensor.dtype != torch.float32
        require(not wrong, f"{name} is {tensor.dtype}, not float32")
        if tensor.shape == more[name].shape:
            require(name not in moved, f"{name}, which all slots share, was moved by learning")
            continue
        wanted = (5, *tensor.shape[1:])
        grown = tensor.dim() > 0 and tensor.shape[0] == 3 and more[name].shape == wanted
        require(grown, f"{name} has the shape {tuple(tensor.shape)} for 3 groups and {tuple(more[name].shape)} for 5")


@contract("all slots start equal")
def _start(make: Make) -> None:
    bank = fresh(make)
    for slot in range(1, GROUPS):
        moved = different(slot_state(make, bank, [slot]), slot_state(make, bank, [0]))
        require(not moved, f"slot {slot} starts with another {', '.join(moved)} than slot 0")
    row = lessons(1)[0].shallow[:1].expand(GROUPS, -1, -1)
    predicted = predict(bank, row)
    require(torch.equal(predicted, predicted[:1].expand_as(predicted)), "new slots predict differently from one input")


@contract("a bank of groups equals as many separate distillers")
def _separate(make: Make) -> None:
    course, bank = lessons(5), fresh(make)
    losses = teach(bank, course)
    for slot in range(GROUPS):
        alone = fresh(make, 1)
        alone_losses = teach(alone, [lesson.groups(slice(slot, slot + 1)) for lesson in course])
        off = gap(losses[:, slot], alone_losses[:, 0])
        require(off < TOLERANCE, f"the losses of slot {slot} differ by {off:.2g} from those of a bank of one")
        shallow = lessons(1, seed=1)[0].shallow
        off = gap(predict(bank, shallow)[slot], predict(alone, shallow[slot : slot + 1])[0])
        require(off < TOLERANCE, f"after learning, slot {slot} predicts otherwise than a bank of one, by {off:.2g}")


@contract("slots never mix, even when one of them overflows")
def _slots_apart(make: Make) -> None:
    course, others = lessons(3), [0, 2]
    quiet, noisy = fresh(make), fresh(make)
    quiet_losses = teach(quiet, course)
    scale = torch.tensor([1.0, 1e30, 1.0]).view(-1, 1, 1)
    noisy_losses = teach(noisy, [Lesson(it.shallow * scale, it.deep * scale, it.weight) for it in course])
    same = torch.equal(quiet_losses[:, others], noisy_losses[:, others])
    require(same, "the losses of slots 0 and 2 depend on slot 1")
    moved = different(slot_state(make, quiet, others), slot_state(make, noisy, others))
    require(not moved, f"what slot 1 was taught changed {', '.join(moved)} of slots 0 and 2")
    shallow = course[0].shallow.clone()
    before = predict(quiet, shallow)[others]
    shallow[1] = torch.nan
    same = torch.equal(predict(quiet, shallow)[others], before)
    require(same, "NaN in slot 1 changed predictions of slots 0 and 2")


@contract("a group without living rows does not move")
def _dead(make: Make) -> None:
    bank = fresh(make)
    teach(bank, lessons(3))
    dead, nobody = lessons(1)[0].weight.clone(), torch.zeros(GROUPS, LANES)
    dead[1] = 0.0
    for weight, slots in ((dead, [1]), (nobody, list(range(GROUPS)))):
        before = slot_state(make, bank, slots)
        losses = teach(bank, [lessons(1)[0].with_weight(weight)])[0]
        moved = different(slot_state(make, bank, slots), before)
        require(not moved, f"without living rows in slots {slots}, {', '.join(moved)} of theirs moved")
        still = losses[slots].tolist()
        require(not any(still), f"without living rows in slots {slots}, their losses are {still}, not 0")


@contract("a reset slot is as good as new, whatever it held, and the others do not notice")
def _reset(make: Make) -> None:
    course, mask = lessons(3), torch.tensor([False, True, False])
    for held, scale in (("what it learnt", 1.0), ("overflown state", 1e30)):
        bank, new = fresh(make), fresh(make)
        teach(bank, [Lesson(it.shallow * scale, it.deep * scale, it.weight) for it in course])
        others = slot_state(make, bank, [0, 2])
        bank.reset(mask)
        moved = different(slot_state(make, bank, [1]), slot_state(make, new, [1]))
        require(not moved, f"a slot that held {held} came back from reset with its {', '.join(moved)}")
        moved = different(slot_state(make, bank, [0, 2]), others)
        require(not moved, f"the reset of slot 1 changed {', '.join(moved)} of slots 0 and 2")
        losses, new_losses = teach(bank, lessons(3, seed=1)), teach(new, lessons(3, seed=1))
        require(torch.equal(losses[:, 1], new_losses[:, 1]), f"a slot that held {held} learns otherwise than a new one")
        shallow = course[0].shallow
        equal = torch.equal(predict(bank, shallow)[1], predict(new, shallow)[1])
        require(equal, f"a slot that held {held} predicts otherwise than a new one taught the same")


@contract("memory counts the bytes of a group's state, and a bank's state is linear in its groups")
def _memory(make: Make) -> None:
    totals = [sum(t.numel() * t.element_size() for t in state(fresh(make, groups)).values()) for groups in (1, 2, 3)]
    each = totals[1] - totals[0]
    require(totals[2] - totals[1] == each, f"banks of 1, 2 and 3 groups hold {totals} bytes")
    recipe, bank = make(), fresh(make)
    before = state(bank)
    for name, part in (("a recipe", recipe), ("a bank", bank)):
        counted = part.memory(WIDTH)
        require(counted >= each, f"memory of {name} says {counted} bytes and a group holds {each}")
    require(not different(before, state(bank)), "asking for the memory of a bank moved its state")


ISOLATION_CONTRACTS: tuple[Contract[Distiller], ...] = (_layout, _separate, _slots_apart, _reset)
"""Groups never notice each other: for all distillers but those that share state by design."""

SLOT_CONTRACTS: tuple[Contract[Distiller], ...] = (_start, _dead, _memory)
"""What every distiller keeps, sharing or not."""
