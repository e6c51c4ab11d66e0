"""The simplest distiller that learns."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.functional import rms_norm
from typing_extensions import override

from esamp.distillers.base import distillers
from esamp.distillers.gradient import GradientDistiller, Weights
from esamp.distillers.optimizers import Adam, GroupedOptimizer

__all__ = ["LinearDistiller"]


@final
@distillers.register("linear")
class LinearDistiller(GradientDistiller):
    """ĥᴸ = A RMSNorm(h¹) + b, A and b starting at zero: it has no opinion before it has learnt.

    Args:
        lr: Adam's learning rate.
        eps: Adam's eps.
        clip: largest gradient norm of a slot; None: no clipping.
        optimizer: replaces Adam(lr, eps=eps).
        storage: "float32" or "bfloat16".
        start: "zero", or a file of `esamp fit`.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        eps: float = 1e-8,
        clip: float | None = 0.5,
        optimizer: GroupedOptimizer | None = None,
        storage: str = "float32",
        start: str = "zero",
    ) -> None:
        super().__init__(Adam(lr=lr, eps=eps) if optimizer is None else optimizer, clip, storage=storage)
        self.begin(start, ("zero",))

    @override
    def init_parameters(self, hidden_size: int, generator: Generator) -> dict[str, Tensor]:
        return {
            "matrix": torch.zeros(hidden_size, hidden_size, device="cpu"),
            "bias": torch.zeros(hidden_size, device="cpu"),
        }

    @override
    def predict(self, weights: Weights, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        x = rms_norm(shallow, shallow.shape[-1:])
        return torch.baddbmm(weights["bias"].unsqueeze(1), x, weights["matrix"])
