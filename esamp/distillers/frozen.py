"""Control: a distiller that never learns."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.distillers.base import Distiller, distillers, living_mean
from esamp.distillers.low_rank import LowRankDistiller
from esamp.distillers.wrapper import DistillerWrapper

__all__ = ["FrozenDistiller"]


@final
@distillers.register("frozen")
class FrozenDistiller(DistillerWrapper):
    """Predicts as the distiller it wraps would at its start, for ever: whatever it gains is not learning.

    Args:
        distiller: what is frozen; a `LowRankDistiller` at random by default.
    """

    def __init__(self, distiller: Distiller | None = None) -> None:
        super().__init__(LowRankDistiller(start="random") if distiller is None else distillers.build(distiller))

    @override
    @torch.no_grad()
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        losses = (self.inner(shallow) - deep).square().mean(dim=-1)
        return living_mean(losses, weight)
