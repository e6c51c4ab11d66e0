"""The paper's distiller."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from typing_extensions import override

from esamp.checks import check_integer
from esamp.distillers.base import distillers
from esamp.distillers.gradient import GradientDistiller, Weights
from esamp.distillers.initial import gaussian
from esamp.distillers.optimizers import Adam, GroupedOptimizer
from esamp.distillers.optimizers.base import AdamState
from esamp.kernels.grouped_mlp import gated_blocks, grouped_mlp_with_activations
from esamp.kernels.grouped_mlp_update import adam_settings, fits, grouped_mlp_update

__all__ = ["MLPDistiller"]


@final
@distillers.register("mlp")
class MLPDistiller(GradientDistiller):
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
        self.width = check_integer("width", width, low=1)
        self.blocks = check_integer("blocks", blocks, low=1)
        self.begin(start, ("random", "zero"))
        self._sent: tuple[tuple[float | None, ...], Tensor] | None = None

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
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        state = self.optimizer.adam()
        if state is None or not fits(shallow):
            return super().learn(shallow, deep, weight)
        gate_up = [self.get_buffer(f"weight_gate_up_{block}") for block in range(self.blocks)]
        down = [self.get_buffer(f"weight_down_{block}") for block in range(self.blocks)]
        lanes = shallow.shape[1]
        activations = grouped_mlp_with_activations(shallow.flatten(0, 1), None, lanes, gate_up, down)
        return grouped_mlp_update(
            activations,
            deep.flatten(0, 1),
            weight.flatten(),
            gate_up,
            down,
            state.first,
            state.second,
            state.count,
            self._adam_settings(state, shallow.device),
            None if self.storage == "float32" else self.get_buffer("_rounds"),
        )

    def _adam_settings(self, state: AdamState, device: torch.device) -> Tensor:
        """The settings on the device; sent there again only when they change."""
        values = (state.lr, state.beta1, state.beta2, state.eps, self.clip)
        if self._sent is None or self._sent[0] != values:
            self._sent = values, adam_settings(*values, device)
        return self._sent[1]
