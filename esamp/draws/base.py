"""What a way of drawing promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float, Int
from torch import Tensor

from esamp.candidates import Candidates
from esamp.registry import Registry
from esamp.rows import Rows

__all__ = ["Drawing", "TokenDraw", "draws"]


class Drawing(ABC):
    """Draws the tokens of one batch, with a state for each of its places where the method has one."""

    @abstractmethod
    def __call__(
        self,
        log_probs: Float[Tensor, "rows candidates"],
        candidates: Candidates,
        rows: Rows,
        place: Int[Tensor, " rows"],
    ) -> Int[Tensor, " rows"]:
        """Place in the candidate list, not token id, of each row's token.

        Args:
            log_probs: of the distribution to draw from; -inf in empty places.
            candidates: what may be drawn.
            rows: sample and step of each row, which key the randomness.
            place: of each row among all of the batch, which stays its own while others leave.
        """


class TokenDraw(ABC):
    """A way of drawing: the recipe of a `Drawing`.

    One sample's tokens follow exactly the distributions it is given; what differs is how samples hang together.
    """

    @abstractmethod
    def begin(self, seed: int, sample: Int[Tensor, " places"], total: Int[Tensor, " places"]) -> Drawing:
        """New samples are coming.

        Args:
            seed: of the draws.
            sample: index of each place's sample among the n of its prompt, over all waves.
            total: n of its prompt, over all waves.
        """


draws: Registry[TokenDraw] = Registry("draw", TokenDraw)
"""Registry of the ways of drawing."""
