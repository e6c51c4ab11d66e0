"""The other factor of the tilt: how long the error is, not where it points."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.functional import error_norm
from esamp.fusion.base import FusionStep, NoveltyFusion, fusions

__all__ = ["NormOnly"]


@final
@fusions.register("norm_only")
class NormOnly(NoveltyFusion):
    """`BetaMix` with the error turned into the direction of hᴸ: e ← ‖e‖ hᴸ/‖hᴸ‖ (one factor of ESamp, Eq. 9).

    For a linear head Δz = β (‖e‖/‖hᴸ‖) z: sharpening in proportion to novelty and nothing else; a control.
    """

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        size = torch.linalg.vector_norm(step.deep, dim=-1).clamp_min(torch.finfo(step.deep.dtype).tiny)
        factor = step.beta * error_norm(step.deep, step.predicted) / size
        # Counted from the largest logit, so that a constant added to a row, such as a bias, changes nothing.
        top = step.reference.masked_fill(~step.mask, -torch.inf).amax(dim=-1, keepdim=True)
        return step.reference + factor.unsqueeze(-1) * torch.where(step.mask, step.reference - top, 0.0)
