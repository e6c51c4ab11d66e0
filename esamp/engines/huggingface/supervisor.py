"""What a caller of the decode loop may add to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

from jaxtyping import Float, Int
from torch import Tensor

from esamp.policy import Drawn, Fused

__all__ = ["Supervisor"]


class Supervisor(ABC):
    """Treats the logits before anything is chosen from them, and ends rows. Without one neither happens.

    Rows are named by their places among all rows of the batch, [prompts · n], which stay theirs while others leave.
    """

    @abstractmethod
    def treat(self, place: Int[Tensor, " rows"], logits: Float[Tensor, "rows vocab"]) -> Float[Tensor, "rows vocab"]:
        """The reference logits of the living rows, from the LLM's own, which it leaves alone."""

    @abstractmethod
    def ended(
        self, place: Int[Tensor, " rows"], logits: Float[Tensor, "rows vocab"], fused: Fused, drawn: Drawn
    ) -> Collection[int]:
        """Which of the living rows end with the token just drawn, as indices into `place`.

        Args:
            place: of the living rows.
            logits: the LLM's own.
            fused: the distributions drawn from.
            drawn: the tokens.
        """
