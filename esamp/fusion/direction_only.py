"""One factor of the tilt: where the error points, not how long it is."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_number
from esamp.functional import beta_mix, error_norm
from esamp.fusion.base import FusionStep, NoveltyFusion, fusions

__all__ = ["DirectionOnly"]


@final
@fusions.register("direction_only")
class DirectionOnly(NoveltyFusion):
    """`BetaMix` with ‖e‖ replaced by ratio · ‖hᴸ‖: every context counts as equally novel (one factor of ESamp, Eq. 9).

    For a linear head Δz_a = β ‖w_a‖ ratio ‖hᴸ‖ cos(w_a, e).

    Args:
        ratio: the pretended ‖e‖ / ‖hᴸ‖.

    Raises:
        ValueError: `ratio` is not positive.
    """

    def __init__(self, ratio: float = 0.5) -> None:
        self.ratio: float = check_number("ratio", ratio, low=0, low_open=True)

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        size = error_norm(step.deep, step.predicted)
        wanted = self.ratio * torch.linalg.vector_norm(step.deep, dim=-1)
        factor = torch.where(size > 0, wanted / size.clamp_min(torch.finfo(size.dtype).tiny), 0.0)
        return beta_mix(step.reference, step.distilled, step.beta * factor)
