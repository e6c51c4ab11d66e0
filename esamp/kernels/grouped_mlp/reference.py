"""Gated residual blocks in plain PyTorch: what the kernels must compute, and what the CPU runs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import layer_norm, rms_norm, silu

__all__ = ["gated_blocks", "normalised_block"]


def gated_blocks(
    x: Float[Tensor, "slots lanes d"],
    gate_up: Sequence[Float[Tensor, "slots d two_inner"]],
    down: Sequence[Float[Tensor, "slots inner d"]],
) -> Float[Tensor, "slots lanes d"]:
    """The blocks x ← x + W_down (SiLU(W_gate x) ⊙ W_up x), block by block, each row by its slot's weights."""
    for wide, narrow in zip(gate_up, down, strict=True):
        gate, up = torch.bmm(x, wide).chunk(2, dim=-1)
        x = torch.baddbmm(x, silu(gate) * up, narrow)
    return x


def normalised_block(
    x: Float[Tensor, "slots lanes d"],
    gate_up: Float[Tensor, "slots d two_inner"],
    down: Float[Tensor, "slots inner d"],
    scale: Float[Tensor, "slots d"],
    bias: Float[Tensor, "slots d"],
) -> Float[Tensor, "slots lanes d"]:
    """S ⊙ LN(x̄ + W_down (SiLU(W_gate x̄) ⊙ W_up x̄)) + b with x̄ = RMSNorm(x)."""
    hidden = gated_blocks(rms_norm(x, x.shape[-1:]), [gate_up], [down])
    return torch.addcmul(bias.unsqueeze(1), layer_norm(hidden, x.shape[-1:]), scale.unsqueeze(1))
