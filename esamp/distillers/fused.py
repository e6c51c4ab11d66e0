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
from esamp.distillers.rows import Ledger, RowDistiller, RowLayout
from esamp.kernels.dispatch import uses_triton
from esamp.kernels.grouped_mlp_update import adam_settings

if TYPE_CHECKING:
    from esamp.kernels.grouped_mlp.triton import Activations
    from esamp.kernels.grouped_mlp_update.verdict import Books

__all__ = ["FusedDistiller"]


class FusedDistiller(GradientDistiller, RowDistiller):
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
    def activate(self, rows: Float[Tensor, "rows d"], layout: RowLayout) -> tuple[Activations, Float[Tensor, "rows d"]]:
        """Forward pass by kernels: activations and predictions."""

    @abstractmethod
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
        """Loss, gradients and Adam's step by kernels, in place; the losses before it."""

    @override
    def by_rows(self) -> RowDistiller | None:
        return None if self.optimizer.adam() is None else self

    @override
    def forward(self, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        if torch.is_grad_enabled() or not self._fuses(shallow):
            return super().forward(shallow)
        return self._activate(shallow, shallow.flatten(0, 1), RowLayout(None, shallow.shape[1]))[1].view(shallow.shape)

    @override
    @torch.no_grad()
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        if not self._fuses(shallow):
            return super().learn(shallow, deep, weight)
        activations, _ = self._activate(shallow, shallow.flatten(0, 1), RowLayout(None, shallow.shape[1]))
        return self._step(activations, deep.flatten(0, 1), weight.flatten(), None)

    @override
    @torch.no_grad()
    def predict_rows(self, shallow: Float[Tensor, "rows d"], layout: RowLayout) -> Float[Tensor, "rows d"]:
        return self._activate(shallow, shallow, layout)[1]

    @override
    @torch.no_grad()
    def learn_rows(
        self,
        shallow: Float[Tensor, "rows d"],
        deep: Float[Tensor, "rows d"],
        weight: Float[Tensor, " rows"],
        layout: RowLayout,
        ledger: Ledger,
    ) -> Float[Tensor, " groups"]:
        from esamp.kernels.grouped_mlp_update.verdict import Books

        activations, _ = self._activate(shallow, shallow, layout)
        books = Books(self.starts(), ledger.norm, ledger.updates, ledger.resets)
        return self._step(activations, deep, weight, books)

    def _fuses(self, shallow: Tensor) -> bool:
        return uses_triton(shallow) and self.optimizer.adam() is not None

    def _activate(self, given: Tensor, rows: Tensor, layout: RowLayout) -> tuple[Activations, Tensor]:
        """Activations of `rows`, found again by the tensor that was `given`."""
        key = (given, given if layout.slot is None else layout.slot, *self.stored())
        if (known := self._activations.find(*key)) is None:
            known = self.activate(rows, layout)
            self._activations.keep(known, *key)
        return known

    def _step(self, activations: Activations, deep: Tensor, weight: Tensor, books: Books | None) -> Tensor:
        adam = self.optimizer.adam()
        assert adam is not None
        # The kernels write the weights, and PyTorch does not know.
        self._activations.forget()
        settings = self._adam_settings(adam, weight.device)
        rounds = None if self.storage == "float32" else self._rounds
        return self.update(activations, deep, weight, adam, settings, rounds, books)

    def _adam_settings(self, adam: AdamState, device: torch.device) -> Tensor:
        """The settings on the device; sent there again only when they change."""
        values = (adam.lr, adam.beta1, adam.beta2, adam.eps, self.clip)
        if self._sent is None or self._sent[0] != values:
            self._sent = values, adam_settings(*values, device)
        return self._sent[1]
