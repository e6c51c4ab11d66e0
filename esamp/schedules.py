"""β or temperature over the steps of a sample."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from esamp.checks import check_integer, check_number

__all__ = ["Schedule", "check_schedule", "linear", "only_first"]

Schedule = Callable[[Int[Tensor, " rows"]], Float[Tensor, " rows"]]
"""From the number of tokens a sample has so far to its β, or its temperature."""


def linear(start: float, end: float, steps: int) -> Schedule:
    """From `start` to `end` over the first `steps` tokens, then `end`.

    Raises:
        ValueError: a value is negative or not finite, or `steps` is below 1.

    >>> linear(0.5, 0.0, 4)(torch.tensor([0, 2, 9]))
    tensor([0.5000, 0.2500, 0.0000])
    """
    check_number("start", start, low=0)
    check_number("end", end, low=0)
    check_integer("steps", steps, low=1)
    return lambda step: start + (end - start) * (step / steps).clamp(max=1.0)


def only_first(beta: float, steps: int) -> Schedule:
    """β for the first `steps` tokens, where samples part ways, then plain sampling.

    Raises:
        ValueError: `beta` is negative or not finite, or `steps` is below 1.

    >>> only_first(0.25, 2)(torch.tensor([0, 1, 2]))
    tensor([0.2500, 0.2500, 0.0000])
    """
    check_number("beta", beta, low=0)
    check_integer("steps", steps, low=1)
    return lambda step: torch.where(step < steps, beta, 0.0)


def check_schedule(name: str, schedule: Schedule, steps: Int[Tensor, " steps"], *, low: float, high: float) -> None:
    """Check the values that a schedule has at these steps.

    Raises:
        TypeError: it does not give one number for each row.
        ValueError: a value is not finite or not in [low, high].
    """
    values: object = schedule(steps)
    if not isinstance(values, Tensor) or values.shape != steps.shape:
        raise TypeError(
            f"{name} must be a schedule that gives a number for each row, such as esamp.schedules.linear(1.0, 0.5, 9), "
            f"got {schedule!r}, which gives {values!r}"
        )
    wrong = ~(values.isfinite() & (values >= low) & (values <= high))
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0, 0])
        raise ValueError(
            f"{name} must be a finite number in [{low:g}, {high:g}] at every step, "
            f"got {float(values[first]):g} at step {first} of its schedule; change its end or its number of steps"
        )
