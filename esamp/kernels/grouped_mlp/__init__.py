"""Forward pass of a bank's distillers: gated residual blocks, each row by its own slot's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from esamp.kernels.dispatch import uses_triton
from esamp.kernels.grouped_mlp import reference
from esamp.kernels.layout import Grid

if TYPE_CHECKING:
    from esamp.kernels.grouped_mlp.triton import Activations

__all__ = [
    "gated_blocks",
    "grouped_mlp",
    "grouped_mlp_with_activations",
    "grouped_normalised_block",
    "grouped_normalised_block_with_activations",
    "normalised_block",
]


def grouped_mlp(
    x: Float[Tensor, "rows d"],
    slot: Int[Tensor, " rows"],
    lanes: int,
    gate_up: Sequence[Float[Tensor, "slots d two_inner"]],
    down: Sequence[Float[Tensor, "slots inner d"]],
) -> Float[Tensor, "rows d"]:
    """The blocks x ← x + W_down (SiLU(W_gate x) ⊙ W_up x), by the weights of each row's slot (ESamp, App. A).

    Args:
        x: one hidden state a row, in any order.
        slot: the slot of each row; a row whose slot is outside [0, slots) has none, and its result is 0.
        lanes: most rows of one slot.
        gate_up: gate and up side by side, for each block.
        down: for each block.
    """
    if uses_triton(x):
        from esamp.kernels.grouped_mlp.triton import forward

        return forward(x, slot, lanes, gate_up, down).hidden[-1]
    grid = Grid(slot, gate_up[0].shape[0], lanes)
    return grid.gather(reference.gated_blocks(grid.scatter(x), gate_up, down))


def grouped_normalised_block(
    x: Float[Tensor, "rows d"],
    slot: Int[Tensor, " rows"],
    lanes: int,
    gate_up: Float[Tensor, "slots d two_inner"],
    down: Float[Tensor, "slots inner d"],
    scale: Float[Tensor, "slots d"],
    bias: Float[Tensor, "slots d"],
) -> Float[Tensor, "rows d"]:
    """S ⊙ LN(x̄ + W_down (SiLU(W_gate x̄) ⊙ W_up x̄)) + b, x̄ = RMSNorm(x); arguments as for `grouped_mlp`."""
    if uses_triton(x):
        from esamp.kernels.grouped_mlp.normalised import forward_normalised

        return forward_normalised(x, slot, lanes, gate_up, down, scale, bias)[1]
    grid = Grid(slot, gate_up.shape[0], lanes)
    return grid.gather(reference.normalised_block(grid.scatter(x), gate_up, down, scale, bias))


def grouped_mlp_with_activations(
    x: Float[Tensor, "rows d"],
    slot: Int[Tensor, " rows"] | None,
    lanes: int,
    gate_up: Sequence[Float[Tensor, "slots d two_inner"]],
    down: Sequence[Float[Tensor, "slots inner d"]],
) -> Activations:
    """`grouped_mlp` by Triton, with what `grouped_mlp_update` needs; without `slot` a slot's rows are neighbours."""
    from esamp.kernels.grouped_mlp.triton import forward

    return forward(x, slot, lanes, gate_up, down)


def grouped_normalised_block_with_activations(
    x: Float[Tensor, "rows d"],
    slot: Int[Tensor, " rows"] | None,
    lanes: int,
    gate_up: Float[Tensor, "slots d two_inner"],
    down: Float[Tensor, "slots inner d"],
    scale: Float[Tensor, "slots d"],
    bias: Float[Tensor, "slots d"],
) -> tuple[Activations, Float[Tensor, "rows d"]]:
    """`grouped_normalised_block` by Triton, with what `grouped_normalised_update` needs."""
    from esamp.kernels.grouped_mlp.normalised import forward_normalised

    return forward_normalised(x, slot, lanes, gate_up, down, scale, bias)


def gated_blocks(
    x: Float[Tensor, "slots lanes d"],
    gate_up: Sequence[Float[Tensor, "slots d two_inner"]],
    down: Sequence[Float[Tensor, "slots inner d"]],
) -> Float[Tensor, "slots lanes d"]:
    """`grouped_mlp` of a whole grid of rows. Differentiable: where gradients are wanted the reference runs."""
    if _differentiates(x, *gate_up, *down) or not uses_triton(x):
        return reference.gated_blocks(x, gate_up, down)
    from esamp.kernels.grouped_mlp.triton import forward

    return forward(x.flatten(0, 1), None, x.shape[1], gate_up, down).hidden[-1].view(x.shape)


def normalised_block(
    x: Float[Tensor, "slots lanes d"],
    gate_up: Float[Tensor, "slots d two_inner"],
    down: Float[Tensor, "slots inner d"],
    scale: Float[Tensor, "slots d"],
    bias: Float[Tensor, "slots d"],
) -> Float[Tensor, "slots lanes d"]:
    """`grouped_normalised_block` of a whole grid of rows. Differentiable, as `gated_blocks` is."""
    if _differentiates(x, gate_up, down, scale, bias) or not uses_triton(x):
        return reference.normalised_block(x, gate_up, down, scale, bias)
    from esamp.kernels.grouped_mlp.normalised import forward_normalised

    return forward_normalised(x.flatten(0, 1), None, x.shape[1], gate_up, down, scale, bias)[1].view(x.shape)


def _differentiates(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
