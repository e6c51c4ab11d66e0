"""One online step of a bank of gated blocks in plain PyTorch: what the kernels must compute."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.kernels.grouped_mlp.reference import gated_blocks

__all__ = ["step"]


def step(
    x: Float[Tensor, "slots lanes d"],
    target: Float[Tensor, "slots lanes d"],
    alive: Float[Tensor, "slots lanes"],
    gate_up: Sequence[Float[Tensor, "slots d two_inner"]],
    down: Sequence[Float[Tensor, "slots inner d"]],
    first: Sequence[Float[Tensor, "slots ..."]],
    second: Sequence[Float[Tensor, "slots ..."]],
    count: Float[Tensor, " slots"],
    settings: Float[Tensor, " 7"],
) -> Float[Tensor, " slots"]:
    """Loss, gradient, clipping and Adam, in place; see `esamp.kernels.grouped_mlp_update.grouped_mlp_update`."""
    weights = [weight for pair in zip(gate_up, down, strict=True) for weight in pair]
    leaves = [weight.detach().to(x.dtype).requires_grad_() for weight in weights]
    with torch.enable_grad():
        losses = (gated_blocks(x, leaves[0::2], leaves[1::2]) - target).square().mean(dim=-1)
        loss = (losses * alive).sum(dim=-1) / alive.sum(dim=-1).clamp_min(1)
        gradients = torch.autograd.grad(loss.sum(), leaves)
    rate, beta1, beta2, eps, _, _, limit = settings.to(x.dtype)
    squares = [gradient.flatten(1).square().sum(dim=1) for gradient in gradients]
    norm = torch.stack(squares).sum(dim=0).sqrt().clamp_min(torch.finfo(torch.float32).tiny)
    moving = (alive.sum(dim=-1) > 0).to(count.dtype)
    count += moving
    steps = count.to(x.dtype).clamp_min(1)
    for weight, leaf, gradient, m, v in zip(weights, leaves, gradients, first, second, strict=True):
        clipped = gradient * _slots((limit / norm).clamp(max=1.0))
        m.lerp_(clipped.to(m.dtype), _slots(moving * (1 - beta1)).to(m.dtype))
        v.lerp_(clipped.square().to(v.dtype), _slots(moving * (1 - beta2)).to(v.dtype))
        corrected = v / _slots(1 - beta2**steps)
        change = m / _slots(1 - beta1**steps) / (corrected.sqrt() + eps)
        weight.copy_(leaf.detach() - rate * _slots(moving) * change)
    return loss.detach()


def _slots(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1)
