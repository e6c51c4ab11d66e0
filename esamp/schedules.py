"""β or temperature over the steps of a sample."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_choice, check_integer, check_number

__all__ = ["Fire", "Linear", "OnlyFirst", "Schedule", "check_schedule", "name_value", "parse_value"]

Schedule = Callable[[Int[Tensor, " rows"]], Float[Tensor, " rows"]]
"""From the number of tokens a sample has so far to its β, or its temperature."""


@final
@dataclass(frozen=True)
class Linear:
    """From `start` to `end` over the first `steps` tokens, then `end`. As text: linear:START:END:STEPS.

    Raises:
        ValueError: a value is negative or not finite, or `steps` is below 1.

    Examples:
        >>> Linear(0.5, 0.0, 4)(torch.tensor([0, 2, 9]))
        tensor([0.5000, 0.2500, 0.0000])
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        check_number("start", self.start, low=0)
        check_number("end", self.end, low=0)
        check_integer("steps", self.steps, low=1)

    def __call__(self, step: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        """The value after so many tokens."""
        return self.start + (self.end - self.start) * (step / self.steps).clamp(max=1.0)

    @override
    def __str__(self) -> str:
        return f"linear:{self.start:g}:{self.end:g}:{self.steps}"


@final
@dataclass(frozen=True)
class OnlyFirst:
    """β for the first `steps` tokens, where samples part ways, then plain sampling. As text: only_first:BETA:STEPS.

    Raises:
        ValueError: `beta` is negative or not finite, or `steps` is below 1.

    Examples:
        >>> OnlyFirst(0.25, 2)(torch.tensor([0, 1, 2]))
        tensor([0.2500, 0.2500, 0.0000])
    """

    beta: float
    steps: int

    def __post_init__(self) -> None:
        check_number("beta", self.beta, low=0)
        check_integer("steps", self.steps, low=1)

    def __call__(self, step: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        """The value after so many tokens."""
        return torch.where(step < self.steps, self.beta, 0.0)

    @override
    def __str__(self) -> str:
        return f"only_first:{self.beta:g}:{self.steps}"


@final
@dataclass(frozen=True)
class Fire:
    """FIRE (arXiv 2410.21236): the first `steps` tokens at a very high temperature, the rest at an ordinary one.

    As text: fire:HOT:THEN:STEPS, such as fire:30:1:1. So hot a softmax is flat over whatever the filters leave: give
    them a `filter_temperature` of 1 (or top-k alone, which looks at ranks), or min-p and its like keep next to all.

    Args:
        hot: T of the first tokens; the paper's range is 10 to 50.
        then: T of all others.
        steps: how many tokens are hot; the paper's is 1.

    Raises:
        ValueError: a temperature is not finite and positive, or `steps` is below 1.

    Examples:
        >>> Fire(30.0)(torch.tensor([0, 1, 2]))
        tensor([30.,  1.,  1.])
    """

    hot: float
    then: float = 1.0
    steps: int = 1

    def __post_init__(self) -> None:
        check_number("hot", self.hot, low=0, low_open=True)
        check_number("then", self.then, low=0, low_open=True)
        check_integer("steps", self.steps, low=1)

    def __call__(self, step: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        """The temperature after so many tokens."""
        return torch.where(step < self.steps, float(self.hot), float(self.then))

    @override
    def __str__(self) -> str:
        return f"fire:{self.hot:g}:{self.then:g}:{self.steps}"


_NAMED: dict[str, Callable[..., Schedule]] = {"fire": Fire, "linear": Linear, "only_first": OnlyFirst}


def parse_value(name: str, text: float | str) -> float | Schedule:
    """A number, or a schedule from its text such as "linear:0.5:0:64"; for the command line and configuration files.

    Args:
        name: of the argument, for the error.
        text: a number as it is, or the text.

    Raises:
        ValueError: it is neither, or the schedule's values are out of range.

    Examples:
        >>> parse_value("beta", "only_first:0.25:16")
        OnlyFirst(beta=0.25, steps=16)
    """
    if not isinstance(text, str):
        return text
    kind, _, rest = text.partition(":")
    cls = _NAMED[check_choice(f"{name} must be a number or a schedule, whose name", kind, _NAMED)]
    form = [kind, *(word.upper() for word in inspect.signature(cls).parameters)]
    wanted = f"{name} must be a number or a schedule such as {':'.join(form)}, got {text!r}"
    *values, steps = rest.split(":")
    if len(values) + 2 != len(form):
        raise ValueError(wanted)
    try:
        return cls(*map(float, values), int(steps))
    except ValueError as error:
        raise ValueError(f"{wanted}: {error}") from error


def name_value(value: float | Schedule) -> float | str:
    """A number as it is, a schedule by its text, any other function by its name: for the record.

    Examples:
        >>> name_value(0.25), name_value(Linear(0.5, 0.0, 64))
        (0.25, 'linear:0.5:0:64')
    """
    if isinstance(value, Fire | Linear | OnlyFirst):
        return str(value)
    return getattr(value, "__qualname__", repr(value)) if callable(value) else value


def check_schedule(name: str, schedule: Schedule, steps: Int[Tensor, " steps"], *, low: float, high: float) -> None:
    """Check the values that a schedule has at these steps.

    Raises:
        TypeError: it does not give one number for each row.
        ValueError: a value is not finite or not in [low, high].

    Examples:
        >>> halving: Schedule = lambda step: 0.5 ** step.float()
        >>> check_schedule("beta", halving, torch.arange(9), low=0.0, high=1.0)
        >>> check_schedule("beta", halving, torch.arange(9), low=0.0, high=0.9)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        ValueError: beta must be a finite number in [0, 0.9] at every step, got 1 at step 0 of its schedule; ...
    """
    values: object = schedule(steps)
    if not isinstance(values, Tensor) or values.shape != steps.shape:
        raise TypeError(
            f"{name} must be a schedule that gives a number for each row, such as esamp.schedules.Linear(1.0, 0.5, 9), "
            f"got {schedule!r}, which gives {values!r}"
        )
    wrong = ~(values.isfinite() & (values >= low) & (values <= high))
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0, 0])
        raise ValueError(
            f"{name} must be a finite number in [{low:g}, {high:g}] at every step, "
            f"got {float(values[first]):g} at step {first} of its schedule; change its end or its number of steps"
        )
