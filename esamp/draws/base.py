"""What a way of drawing promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from esamp.candidates import Candidates
from esamp.registry import Registry
from esamp.rows import Rows

__all__ = ["Choice", "Drawing", "TokenDraw", "draws"]


class Choice(NamedTuple):
    """What each row has drawn.

    Attributes:
        place: in the candidate list; not the token id.
        log_probs: of the token, under the distribution it was drawn from.
    """

    place: Int[Tensor, " rows"]
    log_probs: Float[Tensor, " rows"]

    @classmethod
    def of(cls, place: Int[Tensor, " rows"], log_probs: Float[Tensor, "rows candidates"]) -> Choice:
        """Places drawn from these distributions."""
        return cls(place, log_probs.gather(-1, place.unsqueeze(-1)).squeeze(-1))


class Drawing(ABC):
    """Draws the tokens of one batch, with a state for each of its places where the method has one."""

    @abstractmethod
    def __call__(
        self,
        log_probs: Float[Tensor, "rows candidates"],
        candidates: Candidates,
        rows: Rows,
        place: Int[Tensor, " rows"],
    ) -> Choice:
        """Draw one token for each row.

        Args:
            log_probs: of the distribution to draw from; -inf in empty places.
            candidates: what may be drawn.
            rows: sample and step of each row, which key the randomness.
            place: of each row among all of the batch, which stays its own while others leave.
        """


class TokenDraw(ABC):
    """A way of drawing, the recipe of a `Drawing`: how the samples of a prompt hang together."""

    @abstractmethod
    def begin(
        self, seed: int, sample: Int[Tensor, " places"], total: Int[Tensor, " places"], prompt: Int[Tensor, " places"]
    ) -> Drawing:
        """New samples are coming.

        Args:
            seed: of the draws.
            sample: index of each place's sample among the n of its prompt, over all waves.
            total: n of its prompt, over all waves.
            prompt: index of its prompt.
        """


draws: Registry[TokenDraw] = Registry("draw", TokenDraw)
"""Registry of the ways of drawing."""
