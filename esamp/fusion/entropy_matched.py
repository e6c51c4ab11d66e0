"""Any fusion with the sharpening taken out."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.functional import bisect, entropy, masked_log_softmax
from esamp.fusion.base import FusionStep, NoveltyFusion, fusions
from esamp.fusion.beta_mix import BetaMix
from esamp.fusion.wrapper import FusionWrapper

__all__ = ["EntropyMatched"]

_LARGEST_LOG_SCALE = 5.0


@final
@fusions.register("entropy_matched")
class EntropyMatched(FusionWrapper):
    """Another fusion's z', scaled so that the entropy of softmax(z'/T) is that of the reference's softmax(z/T).

    (1 + β) z sharpens; this takes the sharpening out and leaves the direction. The scale is between e⁻⁵ and e⁵; where
    no such scale meets the entropy (one candidate, ties) the nearest one is taken.

    Args:
        fusion: what is scaled; `BetaMix` by default.
    """

    def __init__(self, fusion: NoveltyFusion | None = None) -> None:
        super().__init__(BetaMix() if fusion is None else fusions.build(fusion))

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        fused = self.inner(step)
        # Only differences count: with the largest at 0 the scaled logits stay in range.
        top = fused.masked_fill(~step.mask, -torch.inf).amax(dim=-1, keepdim=True)
        centred = torch.where(step.mask, fused - top, 0.0).double()
        wanted = entropy(masked_log_softmax(step.reference.double() / step.temperature, step.mask))

        def excess(log_scale: Tensor) -> Tensor:
            scaled = centred * log_scale.exp().unsqueeze(-1) / step.temperature
            return wanted - entropy(masked_log_softmax(scaled, step.mask))

        bound = torch.full_like(wanted, _LARGEST_LOG_SCALE)
        scale = bisect(excess, -bound, bound).exp().unsqueeze(-1)
        matched = (centred * scale).to(fused.dtype)
        return torch.where((step.beta > 0).unsqueeze(-1), matched, step.reference)
