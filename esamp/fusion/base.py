"""What a novelty fusion promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from esamp.registry import Registry

__all__ = ["LatentWeights", "NoveltyFusion", "fusions"]


@dataclass(frozen=True)
class LatentWeights:
    """Row constants (a, b) of a fusion a·z - b·ẑ: the mix may then happen before a linear head, as W(a hᴸ - b ĥᴸ)."""

    reference: Float[Tensor, " rows"]
    distilled: Float[Tensor, " rows"]


class NoveltyFusion(ABC):
    """Tilts the LLM's logits towards what the distiller did not foresee.

    Every fusion is the identity at β = 0, row by row and to the last bit, and a constant added to all of a row's
    reference or distilled logits does not change the distribution it gives.
    """

    @abstractmethod
    def __call__(
        self,
        reference: Float[Tensor, "rows candidates"],
        distilled: Float[Tensor, "rows candidates"],
        beta: Float[Tensor, " rows"],
        mask: Bool[Tensor, "rows candidates"],
    ) -> Float[Tensor, "rows candidates"]:
        """The fused logits z', before temperature.

        Args:
            reference: the LLM's logits z on the candidates, float32.
            distilled: the distiller's logits ẑ on the candidates, float32 and finite.
            beta: exploration strength of each row; 0 leaves a row alone.
            mask: False in empty places, whose result is ignored.
        """

    def latent_weights(self, beta: Float[Tensor, " rows"]) -> LatentWeights | None:
        """(a, b) where z' = a·z - b·ẑ up to a constant of the row; None where the fusion is not of that form."""
        return None


fusions: Registry[NoveltyFusion] = Registry("fusion", NoveltyFusion)
"""Registry of the novelty fusions."""
