"""Adafactor: second moments from row and column sums, for banks whose optimiser state would not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Bool
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_number
from esamp.distillers.optimizers.base import GroupedOptimizer, per_slot

__all__ = ["Adafactor"]

_EPS = 1e-30


@final
class Adafactor(GroupedOptimizer):
    """Adafactor without momentum (Shazeer & Stern, 2018, Algorithm 4), with a step count per slot.

    The second moment of a matrix is the outer product of its row and column means: [a, b] numbers become a + b.
    Its decay is 1 - t^decay; an update whose root mean square exceeds `threshold` is scaled down to it.

    Args:
        lr: learning rate, relative to an update of root mean square 1.
        decay: negative exponent of the decay rate.
        threshold: largest root mean square of an update.

    Raises:
        ValueError: an argument is out of range.
    """

    count: Tensor

    def __init__(self, lr: float = 1e-3, decay: float = -0.8, threshold: float = 1.0) -> None:
        super().__init__()
        self.lr: float = check_number("lr", lr, low=0)
        self.decay: float = check_number("decay", decay, low=-1, high=0, low_open=True, high_open=True)
        self.threshold: float = check_number("threshold", threshold, low=0, low_open=True)

    @override
    def setup(self, parameters: Sequence[Tensor]) -> None:
        self.register_buffer("count", torch.zeros(parameters[0].shape[0], device=parameters[0].device))
        for index, parameter in enumerate(parameters):
            zeros = torch.zeros_like(parameter, dtype=torch.float32)
            if parameter.dim() == 3:
                self.register_buffer(f"row_{index}", zeros.sum(dim=2))
                self.register_buffer(f"column_{index}", zeros.sum(dim=1))
            else:
                self.register_buffer(f"full_{index}", zeros)

    @override
    @torch.no_grad()
    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], active: Bool[Tensor, " groups"]) -> None:
        moving = active.float()
        self.count += moving
        rate = moving * self.count.clamp_min(1) ** self.decay  # 1 - β₂ of this step; 0 for a resting slot
        for index, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            update = gradient * self._second_moment(index, gradient.square().add_(_EPS), rate).rsqrt_()
            size = update.flatten(1).square().mean(dim=1).sqrt()
            scale = -self.lr * moving / (size / self.threshold).clamp_min(1)
            parameter.addcmul_(update, per_slot(scale, update))

    @override
    @torch.no_grad()
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        for buffer in self.buffers():
            buffer.masked_fill_(per_slot(mask, buffer), 0.0)

    def _second_moment(self, index: int, square: Tensor, rate: Tensor) -> Tensor:
        if square.dim() != 3:
            full = self.get_buffer(f"full_{index}")
            full.lerp_(square, per_slot(rate, full))
            return full.clamp_min(_EPS)
        row, column = self.get_buffer(f"row_{index}"), self.get_buffer(f"column_{index}")
        row.lerp_(square.mean(dim=2), per_slot(rate, row))
        column.lerp_(square.mean(dim=1), per_slot(rate, column))
        mean = row.mean(dim=1, keepdim=True).clamp_min(_EPS)
        return ((row / mean).unsqueeze(2) * column.unsqueeze(1)).clamp_min_(_EPS)
