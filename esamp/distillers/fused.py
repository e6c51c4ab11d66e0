"""Distillers whose forward pass and step are kernels, where kernels run."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.distillers.gradient import GradientDistiller
from esamp.distillers.optimizers import GroupedOptimizer
from esamp.distillers.optimizers.base import AdamState
from esamp.distillers.recall import Recall
from esamp.kernels.dispatch import uses_triton
from esamp.kernels.grouped_mlp_update import adam_settings

if TYPE_CHECKING:
    from esamp.kernels.grouped_mlp.triton import Activations

__all__ = ["FusedDistiller"]


class FusedDistiller(GradientDistiller):
    """Two launches a block to predict and two to learn, instead of autograd, with Adam on devices that run Triton.

    The activations of a prediction are kept for the step that learns from it. With another optimiser, another loss or
    on another device this is a `GradientDistiller` like any other.
    """

    def __init__(
        self, optimizer: GroupedOptimizer, clip: float | None = 0.5, seed: int = 0, storage: str = "float32"
    ) -> None:
        super().__init__(optimizer, clip, seed, storage)
        self._activations: Recall[tuple[Activations, Tensor]] = Recall()
        self._sent: tuple[tuple[float | None, ...], Tensor] | None = None

    @abstractmethod
    def activate(self, rows: Float[Tensor, "rows d"], lanes: int) -> tuple[Activations, Float[Tensor, "rows d"]]:
        """Forward pass by kernels, `lanes` rows a slot: activations and predictions."""

    @abstractmethod
    def update(
        self,
        activations: Activations,
        deep: Float[Tensor, "rows d"],
        weight: Float[Tensor, " rows"],
        adam: AdamState,
        settings: Float[Tensor, " 7"],
        rounds: Tensor | None,
    ) -> Float[Tensor, " groups"]:
        """Loss, gradients and Adam's step by kernels, in place; the losses before it."""

    @override
    def forward(self, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        if torch.is_grad_enabled() or not self._fuses(shallow):
            return super().forward(shallow)
        return self._activate(shallow)[1].view(shallow.shape)

    @override
    @torch.no_grad()
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        adam = self.optimizer.adam()
        if adam is None or not self._fuses(shallow):
            return super().learn(shallow, deep, weight)
        activations, _ = self._activate(shallow)
        # The kernels write the weights, and PyTorch does not know.
        self._activations.forget()
        settings = self._adam_settings(adam, shallow.device)
        rounds = None if self.storage == "float32" else self._rounds
        return self.update(activations, deep.flatten(0, 1), weight.flatten(), adam, settings, rounds)

    def _fuses(self, shallow: Tensor) -> bool:
        return uses_triton(shallow) and self.optimizer.adam() is not None

    def _activate(self, shallow: Tensor) -> tuple[Activations, Tensor]:
        given = (shallow, *self.stored())
        if (known := self._activations.find(*given)) is None:
            known = self.activate(shallow.flatten(0, 1), shallow.shape[1])
            self._activations.keep(known, *given)
        return known

    def _adam_settings(self, adam: AdamState, device: torch.device) -> Tensor:
        """The settings on the device; sent there again only when they change."""
        values = (adam.lr, adam.beta1, adam.beta2, adam.eps, self.clip)
        if self._sent is None or self._sent[0] != values:
            self._sent = values, adam_settings(*values, device)
        return self._sent[1]
