"""The paper's fusion."""

from __future__ import annotations

from typing import final

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.functional import beta_mix
from esamp.fusion.base import FusionStep, NoveltyFusion, fusions

__all__ = ["BetaMix"]


@final
@fusions.register("beta_mix")
class BetaMix(NoveltyFusion):
    """z' = (1 + β) z - β ẑ (ESamp, Eq. 6).

    The optimum of E[r] - KL(π ‖ π_ref)/β for the reward r = log π_ref - log q, q = softmax(ẑ).
    """

    slope: float | None = 1.0

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        return beta_mix(step.reference, step.distilled, step.beta)
