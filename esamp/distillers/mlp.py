"""The paper's distiller."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from typing_extensions import override

from esamp.checks import check_integer
from esamp.distillers.base import distillers
from esamp.distillers.fused import FusedDistiller
from esamp.distillers.gradient import Weights
from esamp.distillers.initial import gaussian
from esamp.distillers.optimizers import Adam, GroupedOptimizer
from esamp.distillers.optimizers.base import AdamState
from esamp.distillers.rows import RowLayout
from esamp.kernels.grouped_mlp import gated_blocks, grouped_mlp_with_activations
from esamp.kernels.grouped_mlp_update import grouped_mlp_update

if TYPE_CHECKING:
    from esamp.kernels.grouped_mlp.triton import Activations
    from esamp.kernels.grouped_mlp_update.verdict import Books

__all__ = ["MLPDistiller"]


@final
@distillers.register("mlp")
class MLPDistiller(FusedDistiller):
    """Residual gated blocks: x ← x + W_down (SiLU(W_gate x) ⊙ W_up x), twice, of width d → 384 → d (ESamp, App. A).

    Args:
        width: inner width of a block.
        blocks: number of blocks.
        lr: Adam's learning rate.
        eps: Adam's eps.
        clip: largest gradient norm of a slot; None: no clipping.
        start: "random"; "zero": the blocks start as the identity; or a file of `esamp fit`.
        optimizer: replaces Adam(lr, eps=eps).
        storage: "float32" or "bfloat16".
        seed: of the initial weights.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        width: int = 384,
        blocks: int = 2,
        lr: float = 4e-4,
        eps: float = 1e-4,
        clip: float | None = 0.5,
        start: str = "random",
        optimizer: GroupedOptimizer | None = None,
        storage: str = "float32",
        seed: int = 0,
    ) -> None:
        super().__init__(Adam(lr=lr, eps=eps) if optimizer is None else optimizer, clip, seed, storage)
        self.width: int = check_integer("width", width, low=1)
        self.blocks: int = check_integer("blocks", blocks, low=1)
        self.begin(start, ("random", "zero"))

    @override
    def init_parameters(self, hidden_size: int, generator: Generator) -> dict[str, Tensor]:
        parameters: dict[str, Tensor] = {}
        for block in range(self.blocks):
            # Gate and up stand side by side: one matrix product serves both.
            parameters[f"gate_up_{block}"] = gaussian(hidden_size, 2 * self.width, generator)
            down = gaussian(self.width, hidden_size, generator)
            parameters[f"down_{block}"] = torch.zeros_like(down) if self.beginning == "zero" else down
        return parameters

    @override
    def predict(self, weights: Weights, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        gate_up = [weights[f"gate_up_{block}"] for block in range(self.blocks)]
        down = [weights[f"down_{block}"] for block in range(self.blocks)]
        return gated_blocks(shallow, gate_up, down)

    @override
    def activate(self, rows: Float[Tensor, "rows d"], layout: RowLayout) -> tuple[Activations, Float[Tensor, "rows d"]]:
        activations = grouped_mlp_with_activations(rows, layout.slot, layout.lanes, *self._blocks())
        return activations, activations.hidden[-1]

    @override
    def update(
        self,
        activations: Activations,
        deep: Float[Tensor, "rows d"],
        weight: Float[Tensor, " rows"],
        adam: AdamState,
        settings: Float[Tensor, " 7"],
        rounds: Tensor | None,
        books: Books | None,
    ) -> Float[Tensor, " groups"]:
        moments = (adam.first, adam.second, adam.count)
        return grouped_mlp_update(activations, deep, weight, *self._blocks(), *moments, settings, rounds, books)

    def _blocks(self) -> tuple[list[Tensor], list[Tensor]]:
        weights = self.stored()
        return weights[0::2], weights[1::2]
