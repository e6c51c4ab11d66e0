"""The paper's ablation: subtract the distilled logits, leave the reference unscaled."""

from __future__ import annotations

from typing import final

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.functional import subtraction
from esamp.fusion.base import FusionStep, NoveltyFusion, fusions

__all__ = ["Subtraction"]


@final
@fusions.register("subtraction")
class Subtraction(NoveltyFusion):
    """z' = z - β ẑ (ESamp, the ablation beside Eq. 6).

    Where the distiller is right (ẑ = z) this is temperature 1/(1 - β): it flattens, where `BetaMix` leaves alone. It is
    the fusion for distillers that predict something else than hᴸ, such as `ChoiceMemoryDistiller`.
    """

    slope: float | None = 0.0

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        return subtraction(step.reference, step.distilled, step.beta)
