"""Control: errors of the right length that point anywhere."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_integer
from esamp.distillers.base import Distiller, distillers
from esamp.distillers.low_rank import LowRankDistiller
from esamp.distillers.wrapper import DistillerWrapper
from esamp.functional import error_norm
from esamp.noise import normal_noise

__all__ = ["NoiseDistiller"]


@final
@distillers.register("noise")
class NoiseDistiller(DistillerWrapper):
    """hᴸ - ĥᴸ keeps the norm it has with the wrapped distiller; its direction is drawn afresh for every row and step.

    What the wrapped distiller gains over this is the direction of its error: semantics, not dispersion. The noise is
    counter-based on (seed, lane, updates of the slot), so that batch-mates change nothing.

    Args:
        distiller: whose error gives the norm; a `LowRankDistiller` by default.
        seed: of the noise.
    """

    _updates: Tensor

    def __init__(self, distiller: Distiller | None = None, seed: int = 0) -> None:
        super().__init__(LowRankDistiller() if distiller is None else distillers.build(distiller))
        self.seed: int = check_integer("seed", seed, low=0)

    @override
    def setup(self, hidden_size: int, groups: int, device: torch.device | str = "cpu") -> None:
        super().setup(hidden_size, groups, device)
        self.register_buffer("_updates", torch.zeros(groups, dtype=torch.int64, device=device))

    @override
    def revise(
        self, predicted: Float[Tensor, "groups rows d"], deep: Float[Tensor, "groups rows d"]
    ) -> Float[Tensor, "groups rows d"]:
        noise = normal_noise(self.seed, self._updates, *predicted.shape[1:])
        length = error_norm(deep, self.inner.revise(predicted, deep)).unsqueeze(-1)
        return deep - length * noise / torch.linalg.vector_norm(noise, dim=-1, keepdim=True)

    @override
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        self._updates += weight.sum(dim=-1) > 0
        return self.inner.learn(shallow, deep, weight)

    @override
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        super().reset(mask)
        self._updates.masked_fill_(mask, 0)
