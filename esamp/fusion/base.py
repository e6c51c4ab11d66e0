"""What a novelty fusion promises, and what it is shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.registry import Registry

__all__ = ["FusionStep", "LatentWeights", "NoveltyFusion", "fusions"]


@dataclass(frozen=True)
class FusionStep:
    """All that a fusion may look at in one step.

    Attributes:
        reference: the LLM's logits z on the candidates, float32, before temperature.
        distilled: the distiller's logits ẑ on the candidates, float32 and finite.
        beta: exploration strength β of each row; 0 leaves a row alone (warm-up and broken groups arrive so).
        mask: False in empty places, whose result is ignored.
        ids: token ids of the candidates, for fusions that reward or watch certain tokens.
        temperature: T of each row, for fusions whose target is a property of the distribution that is drawn from.
        deep: hᴸ, for fusions that weigh the error against the hidden state.
        predicted: ĥᴸ; zeros where the prediction was not finite.
    """

    reference: Float[Tensor, "rows candidates"]
    distilled: Float[Tensor, "rows candidates"]
    beta: Float[Tensor, " rows"]
    mask: Bool[Tensor, "rows candidates"]
    ids: Int[Tensor, "rows candidates"]
    temperature: Float[Tensor, "rows 1"]
    deep: Float[Tensor, "rows d"]
    predicted: Float[Tensor, "rows d"]


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
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        """The fused logits z', before temperature."""

    def latent_weights(self, beta: Float[Tensor, " rows"]) -> LatentWeights | None:
        """(a, b) where z' = a·z - b·ẑ up to a constant of the row; None where the fusion is not of that form."""
        return None


fusions: Registry[NoveltyFusion] = Registry("fusion", NoveltyFusion)
"""Registry of the novelty fusions."""
