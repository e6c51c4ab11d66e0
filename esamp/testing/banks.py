"""Banks of distillers under test: fresh ones, what they are taught, and what they remember."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from esamp.distillers import Distiller
from esamp.head import Head
from esamp.llm import FrozenLLM, GatedMLP

__all__ = [
    "GROUPS",
    "LANES",
    "TOLERANCE",
    "WIDTH",
    "Lesson",
    "different",
    "fresh",
    "gap",
    "lessons",
    "predict",
    "ready",
    "slot_state",
    "state",
    "teach",
]

GROUPS, LANES, WIDTH = 3, 4, 16

# Sums in another order, and what a few steps of an optimiser make of the difference.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Lesson:
    """The arguments of one `learn`: shallow and deep [groups, lanes, d], weight [groups, lanes]."""

    shallow: Tensor
    deep: Tensor
    weight: Tensor

    def groups(self, index: slice | Tensor) -> Lesson:
        """The lesson of some groups."""
        return Lesson(self.shallow[index], self.deep[index], self.weight[index])

    def lanes(self, index: Tensor) -> Lesson:
        """The lesson with other lanes in other places."""
        return Lesson(self.shallow[:, index], self.deep[:, index], self.weight[:, index])

    def padded(self, lanes: int) -> Lesson:
        """The lesson with an empty place before each of its lanes, and as many at the end as `lanes` asks for."""
        places = 1 + 2 * torch.arange(self.weight.shape[1])
        return Lesson(*(_spread(values, places, lanes) for values in (self.shallow, self.deep, self.weight)))

    def with_weight(self, weight: Tensor) -> Lesson:
        """The lesson with other rows alive; zeros where none is."""
        alive = weight.unsqueeze(-1)
        return Lesson(self.shallow * alive, self.deep * alive, weight)


def _spread(values: Tensor, places: Tensor, lanes: int) -> Tensor:
    spread = values.new_zeros(values.shape[0], lanes, *values.shape[2:])
    spread[:, places] = values
    return spread


def lessons(count: int, *, groups: int = GROUPS, seed: int = 0) -> list[Lesson]:
    """Gaussian lessons of unit size in which every group, now and then, has rows that are not alive."""
    generator = torch.Generator().manual_seed(seed)

    def lesson() -> Lesson:
        shallow, deep = torch.randn(2, groups, LANES, WIDTH, generator=generator)
        alive = torch.rand(groups, LANES, generator=generator) < 0.7
        # At least one row lives, so that every lesson moves every group.
        alive[:, 0] = True
        return Lesson(shallow, deep, alive.float()).with_weight(alive.float())

    return [lesson() for _ in range(count)]


def ready(recipe: Distiller, groups: int = GROUPS) -> Distiller:
    """The recipe itself, shown an LLM and set up."""
    generator = torch.Generator().manual_seed(0)
    vocabulary = torch.randn(3 * WIDTH, WIDTH, generator=generator)
    gate, up, down = torch.randn(3, 2 * WIDTH, WIDTH, generator=generator)
    mlp = GatedMLP(gate, up, down.T, gain=torch.ones(WIDTH), stream=10.0)
    recipe.bind(FrozenLLM(Head(vocabulary), lambda: mlp, lambda: lambda hidden: hidden / (1 + hidden.abs())))
    recipe.setup(WIDTH, groups)
    return recipe


def fresh(make: Callable[[], Distiller], groups: int = GROUPS) -> Distiller:
    """A bank as new."""
    return ready(make(), groups)


def teach(bank: Distiller, course: Sequence[Lesson]) -> Tensor:
    """The losses [lessons, groups] of a course."""
    return torch.stack([bank.learn(lesson.shallow, lesson.deep, lesson.weight) for lesson in course])


@torch.no_grad()
def predict(bank: Distiller, shallow: Tensor) -> Tensor:
    """The bank's predictions, as the explorer asks for them."""
    return bank(shallow)


def gap(got: Tensor, wanted: Tensor) -> float:
    """Largest difference, relative where values are large; NaN where one of them is."""
    return float(((got - wanted).abs() / wanted.abs().clamp_min(1.0)).max())


def state(bank: Distiller) -> dict[str, Tensor]:
    """A copy of every parameter and buffer, by name."""
    return {name: tensor.detach().clone() for name, tensor in [*bank.named_parameters(), *bank.named_buffers()]}


def slot_state(make: Callable[[], Distiller], bank: Distiller, slots: Sequence[int]) -> dict[str, Tensor]:
    """A copy of what belongs to these slots: of every tensor whose first axis grows with the number of groups."""
    few, more = state(fresh(make, 2)), state(fresh(make, 3))
    return {name: value[list(slots)] for name, value in state(bank).items() if few[name].shape != more[name].shape}


def different(left: dict[str, Tensor], right: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that are not the same to the last bit (NaN equals NaN)."""
    return [name for name in left.keys() | right.keys() if not _equal(left.get(name), right.get(name))]


def _equal(left: Tensor | None, right: Tensor | None) -> bool:
    if left is None or right is None or left.shape != right.shape or left.dtype != right.dtype:
        return False
    return bool(((left == right) | ((left != left) & (right != right))).all())
