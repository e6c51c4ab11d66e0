"""One online step of a bank's distillers: loss, gradients, clipping and Adam, in place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from esamp.kernels.grouped_mlp.triton import Activations
    from esamp.kernels.grouped_mlp_update.verdict import Books

__all__ = ["adam_settings", "grouped_mlp_update", "grouped_normalised_update"]


def adam_settings(
    lr: float, beta1: float, beta2: float, eps: float, clip: float | None, device: torch.device | str
) -> Float[Tensor, " 7"]:
    """Learning rate, β₁, β₂, eps, ln β₁, ln β₂, clip for `grouped_mlp_update`, to be overwritten at will."""
    logs = [math.log(beta) if beta > 0 else -100.0 for beta in (beta1, beta2)]
    limit = math.inf if clip is None else clip
    return torch.tensor([lr, beta1, beta2, eps, *logs, limit], dtype=torch.float32, device=device)


def grouped_mlp_update(
    activations: Activations,
    target: Float[Tensor, "rows d"],
    alive: Float[Tensor, " rows"],
    gate_up: Sequence[Float[Tensor, "slots d two_inner"]],
    down: Sequence[Float[Tensor, "slots inner d"]],
    first: Sequence[Float[Tensor, "slots ..."]],
    second: Sequence[Float[Tensor, "slots ..."]],
    count: Float[Tensor, " slots"],
    settings: Float[Tensor, " 7"],
    rounds: Int[Tensor, " slots"] | None = None,
    books: Books | None = None,
) -> Float[Tensor, " slots"]:
    """One step of Adam on each slot's mean of ‖target - f(x)‖² / d over its living rows (ESamp, Eq. 8); by Triton only.

    Args:
        activations: of the forward pass with these weights, from `grouped_mlp_with_activations`.
        target: what the rows should have been predicted to be.
        alive: 1 for rows to learn from, else 0. A slot without such rows does not move; its loss is 0.
        gate_up: weights, stepped in place.
        down: weights, stepped in place.
        first: Adam's first moments, float32, in place: of gate_up and down of the first block, and so on.
        second: Adam's second moments.
        count: steps of each slot, in place.
        settings: from `adam_settings`; all of it is read on the device.
        rounds: counts for stochastic rounding of bfloat16 weights, in place, as `GradientDistiller` keeps them.
        books: what the bank keeps of each slot; with them a slot that has failed is as good as new again.

    Returns:
        Each slot's loss before the step; with books, NaN where it has no living row.
    """
    from esamp.kernels.grouped_mlp_update.adam import Slots
    from esamp.kernels.grouped_mlp_update.triton import step

    slots = Slots(count, rounds, settings, books)
    return step(activations, target, alive, gate_up, down, first, second, slots)


def grouped_normalised_update(
    activations: Activations,
    target: Float[Tensor, "rows d"],
    alive: Float[Tensor, " rows"],
    weights: Sequence[Float[Tensor, "slots ..."]],
    first: Sequence[Float[Tensor, "slots ..."]],
    second: Sequence[Float[Tensor, "slots ..."]],
    count: Float[Tensor, " slots"],
    settings: Float[Tensor, " 7"],
    rounds: Int[Tensor, " slots"] | None = None,
    books: Books | None = None,
) -> Float[Tensor, " slots"]:
    """`grouped_mlp_update` of one block between its normalisations; by Triton only.

    Args:
        activations: of the forward pass with these weights, from `grouped_normalised_block_with_activations`.
        target: as for `grouped_mlp_update`, and so are those not named here.
        alive: see there.
        weights: gate_up, down, scale and bias, stepped in place.
        first: Adam's first moments, in the order of the weights.
        second: Adam's second moments.
        count: see there.
        settings: see there.
        rounds: see there.
        books: see there.

    Returns:
        Each slot's loss before the step, as there.
    """
    from esamp.kernels.grouped_mlp_update.adam import Slots
    from esamp.kernels.grouped_mlp_update.triton import step_normalised

    slots = Slots(count, rounds, settings, books)
    return step_normalised(activations, target, alive, weights, first, second, slots)
