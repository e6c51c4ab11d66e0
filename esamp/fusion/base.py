"""What a novelty fusion promises, and what it is shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.registry import Registry
from esamp.rows import Rows

__all__ = ["FusionStep", "LatentWeights", "NoveltyFusion", "Texts", "fusions"]

Texts = Callable[[], Sequence[str]]
"""Makes the text of every token id, on demand."""


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
        rows: slot, lane, sample and step of each row, for fusions that remember; their β is not the effective one.
    """

    reference: Float[Tensor, "rows candidates"]
    distilled: Float[Tensor, "rows candidates"]
    beta: Float[Tensor, " rows"]
    mask: Bool[Tensor, "rows candidates"]
    ids: Int[Tensor, "rows candidates"]
    temperature: Float[Tensor, "rows 1"]
    deep: Float[Tensor, "rows d"]
    predicted: Float[Tensor, "rows d"]
    rows: Rows


@dataclass(frozen=True)
class LatentWeights:
    """Row constants (a, b) of a fusion a·z - b·ẑ: the mix may then happen before a linear head, as W(a hᴸ - b ĥᴸ).

    Examples:
        >>> from esamp.fusion import BetaMix
        >>> BetaMix().latent_weights(torch.tensor([0.25]))
        LatentWeights(reference=tensor([1.2500]), distilled=tensor([0.2500]))
    """

    reference: Float[Tensor, " rows"]
    distilled: Float[Tensor, " rows"]


class NoveltyFusion(ABC):
    """Tilts the LLM's logits towards what the distiller did not foresee.

    Every fusion is the identity at β = 0, row by row and to the last bit, and a constant added to all of a row's
    reference or distilled logits does not change the distribution it gives.

    Most fusions remember nothing. One that does keeps its memory in what `attach` returns, on tensors with a leading
    [groups] axis, and is told through `begin`, `observe` and `reset` what happens to the rows.
    """

    slope: float | None = None
    """s where z' = z + β (s z - ẑ) with one s for all: kernels then mix in a launch of their own. None elsewhere."""

    @abstractmethod
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        """The fused logits z', before temperature."""

    def latent_weights(self, beta: Float[Tensor, " rows"]) -> LatentWeights | None:
        """(a, b) where z' = a·z - b·ẑ up to a constant of the row; None where the fusion is not of that form."""
        return None if self.slope is None else LatentWeights(1 + self.slope * beta, beta)

    def attach(self, hidden_size: int, groups: int, texts: Texts, device: torch.device | str = "cpu") -> NoveltyFusion:
        """The fusion that serves a bank of `groups` groups: one with a fresh memory, or itself where it needs none.

        Args:
            hidden_size: d.
            groups: number of slots.
            texts: makes the text of every token id, for fusions that read.
            device: where the memory lives.
        """
        return self

    def begin(self, lanes: int) -> None:
        """New rows are coming, at most `lanes` in a group; what groups have learnt stays."""

    def observe(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        """A step is over: hᴸ of its rows, the tokens they drew, and which of them count."""

    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        """Forget everything about the slots where `mask` holds."""


fusions: Registry[NoveltyFusion] = Registry("fusion", NoveltyFusion)
"""Registry of the novelty fusions."""
