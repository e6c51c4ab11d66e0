"""What a distiller promises that works by kernels on rows as they come, without their being laid out by group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Ledger", "RowDistiller", "RowLayout"]


@dataclass(frozen=True)
class RowLayout:
    """Whose the rows are.

    Attributes:
        slot: slot of each row; None: each slot has `lanes` neighbouring rows.
        lanes: most rows of a slot.
    """

    slot: Int[Tensor, " rows"] | None
    lanes: int


@dataclass(frozen=True)
class Ledger:
    """What a bank keeps of its slots, and a step's errors by which a slot may be judged; counts are stepped in place.

    Attributes:
        norm: ‖hᴸ - ĥᴸ‖ of each row; a slot with one that is not finite is reset. None: its loss alone decides.
        updates: how often each slot has learnt since it was new.
        resets: how often each slot was reset because its loss or a norm was not finite.
    """

    norm: Float[Tensor, " rows"] | None
    updates: Int[Tensor, " groups"]
    resets: Int[Tensor, " groups"]


class RowDistiller(ABC):
    """`forward` and `learn` of a distiller, and a bank's books beside them, on rows in any order."""

    @abstractmethod
    def predict_rows(self, shallow: Float[Tensor, "rows d"], layout: RowLayout) -> Float[Tensor, "rows d"]:
        """ĥᴸ of each row by its slot's distiller."""

    @abstractmethod
    def learn_rows(
        self,
        shallow: Float[Tensor, "rows d"],
        deep: Float[Tensor, "rows d"],
        weight: Float[Tensor, " rows"],
        layout: RowLayout,
        ledger: Ledger,
    ) -> Float[Tensor, " groups"]:
        """One online step, after which slots that failed are as good as new and the ledger is right.

        Args:
            shallow: h¹; any numbers where the weight is 0.
            deep: hᴸ; any numbers where the weight is 0.
            weight: 1 for rows to learn from, else 0.
            layout: as of the prediction.
            ledger: counts of the slots.

        Returns:
            Each slot's loss before the step; NaN where it has no row to learn from.
        """
