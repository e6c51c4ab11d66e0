"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Bool
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_number
from esamp.distillers.optimizers.base import GroupedOptimizer, per_slot

__all__ = ["SGD"]


@final
class SGD(GroupedOptimizer):
    """θ ← θ - lr · m, m ← momentum · m + g (Polyak, 1964); a third of Adam's state, or none without momentum.

    Args:
        lr: learning rate.
        momentum: in [0, 1); 0 keeps no state.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, lr: float = 1e-2, momentum: float = 0.9) -> None:
        super().__init__()
        self.lr: float = check_number("lr", lr, low=0)
        self.momentum: float = check_number("momentum", momentum, low=0, high=1, high_open=True)

    @override
    def setup(self, parameters: Sequence[Tensor]) -> None:
        if self.momentum:
            for index, parameter in enumerate(parameters):
                self.register_buffer(f"velocity_{index}", torch.zeros_like(parameter, dtype=torch.float32))

    @override
    @torch.no_grad()
    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], active: Bool[Tensor, " groups"]) -> None:
        moving = active.float()
        for index, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            update = gradient
            if self.momentum:
                update = self.get_buffer(f"velocity_{index}")
                # Momentum of a resting slot stays: its factor is 1 and its gradient 0.
                update.mul_(per_slot(1 - moving * (1 - self.momentum), update)).add_(gradient)
            parameter.addcmul_(update, per_slot(-self.lr * moving, update))

    @override
    @torch.no_grad()
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        for buffer in self.buffers():
            buffer.masked_fill_(per_slot(mask, buffer), 0.0)
