"""What an explorer asks of the maths of its step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.candidates import Filters, RowFilters
from esamp.policy import Fused
from esamp.rows import Rows

__all__ = ["AnyFilters", "Prediction", "StepMaths", "Strength", "Taken", "WarmUp"]

AnyFilters: TypeAlias = Filters | RowFilters
"""One way of filtering for all rows, or one for each."""

WarmUp: TypeAlias = int | Int[Tensor, " groups"]
"""Updates of a distiller before its fusion starts: one number, or one for each slot."""

J = TypeVar("J")


@dataclass(frozen=True)
class Taken:
    """What a step takes from the engine when the first layer is done.

    Attributes:
        rows: whose it is.
        shallow: h¹, a copy in float32.
        sound: rows that were finite, the others of `shallow` being zeros; None where all were, or where that will show.
    """

    rows: Rows
    shallow: Float[Tensor, "rows d"]
    sound: Bool[Tensor, " rows"] | None


@dataclass(frozen=True)
class Prediction:
    """What a distiller was given, which it is given again to learn from, and what it said; laid out as it takes it."""

    given: Float[Tensor, "*layout d"]
    predicted: Float[Tensor, "*layout d"]


@dataclass(frozen=True)
class Strength:
    """β and T of each row, as the schedules have them in this step."""

    beta: Float[Tensor, " rows"]
    temperature: Float[Tensor, "rows 1"]


class StepMaths(ABC, Generic[J]):
    """take → predict → fuse → learn, on a bank. `predict`, `learn` and `study` are work for a scheduler.

    What `fuse` finds out beside the distribution, which rows can be learnt from and which groups are broken, is of a
    type of its own, and is given to `learn`.
    """

    @abstractmethod
    def take(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> Taken:
        """Have a copy of h¹: while the distiller reads it, later layers may add to the residual stream in place."""

    @abstractmethod
    def predict(self, taken: Taken) -> Prediction:
        """ĥᴸ of every row."""

    @abstractmethod
    def fuse(
        self,
        taken: Taken,
        prediction: Prediction,
        deep: Float[Tensor, "rows d"],
        reference: Float[Tensor, "rows vocab"],
        strength: Strength,
    ) -> tuple[Fused, J]:
        """The distribution to draw from."""

    @abstractmethod
    def learn(
        self,
        taken: Taken,
        prediction: Prediction,
        judgement: J,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"] | None,
    ) -> Float[Tensor, " groups"]:
        """One update of the bank on the rows that are alive and sound; each group's loss, NaN where there are none."""

    @abstractmethod
    def study(
        self,
        taken: Taken,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"],
    ) -> Float[Tensor, " groups"]:
        """The same on rows that were not predicted."""
