"""Adam with a step count per slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.optim.adam import adam
from typing_extensions import override

from esamp.checks import check_number
from esamp.distillers.optimizers.base import AdamState, GroupedOptimizer, per_slot
from esamp.functional.looking import places_if_free

__all__ = ["Adam"]


@final
class Adam(GroupedOptimizer):
    """Adam (Kingma & Ba, 2015, Algorithm 1), bias-corrected by each slot's own number of steps.

    Args:
        lr: learning rate; ESamp's is 4e-4.
        beta1: decay of the first moment.
        beta2: decay of the second moment.
        eps: added to the root of the second moment; ESamp's is 1e-4.

    Raises:
        ValueError: an argument is out of range.
    """

    count: Tensor

    def __init__(self, lr: float = 4e-4, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-4) -> None:
        super().__init__()
        self.lr: float = check_number("lr", lr, low=0)
        self.beta1: float = check_number("beta1", beta1, low=0, high=1, high_open=True)
        self.beta2: float = check_number("beta2", beta2, low=0, high=1, high_open=True)
        self.eps: float = check_number("eps", eps, low=0, low_open=True)

    @override
    def setup(self, parameters: Sequence[Tensor]) -> None:
        self._tensors = len(parameters)
        self.register_buffer("count", torch.zeros(parameters[0].shape[0], device=parameters[0].device))
        for index, parameter in enumerate(parameters):
            self.register_buffer(f"first_{index}", torch.zeros_like(parameter, dtype=torch.float32))
            self.register_buffer(f"second_{index}", torch.zeros_like(parameter, dtype=torch.float32))

    @override
    @torch.no_grad()
    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], active: Bool[Tensor, " groups"]) -> None:
        slots = places_if_free(active)
        if slots is None:
            self._step_by_masks(parameters, gradients, active)
        elif slots:
            self._step_in_one_pass(parameters, gradients, slots)

    def _step_by_masks(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], active: Tensor) -> None:
        """All slots at once, nothing looked at."""
        moving = active.to(self.count.dtype)
        self.count += moving
        steps = self.count.clamp_min(1)
        rate = moving * self.lr / (1 - self.beta1**steps)
        root = (1 - self.beta2**steps).sqrt()
        for index, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            first, second = self.get_buffer(f"first_{index}"), self.get_buffer(f"second_{index}")
            # A weight of 0 leaves the moments of a resting slot as they are.
            first.lerp_(gradient, per_slot(moving * (1 - self.beta1), gradient))
            second.lerp_(gradient.square_(), per_slot(moving * (1 - self.beta2), gradient))
            # m / (sqrt(v) / root + eps) with the slot's constants drawn out of the division.
            denominator = second.sqrt().add_(per_slot(self.eps * root, second))
            parameter.addcdiv_(first * per_slot(-rate * root, first), denominator)

    def _step_in_one_pass(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], slots: list[int]) -> None:
        """Each of these slots by PyTorch's fused kernel, which reads and writes everything once."""
        state, every = self.adam(), len(slots) == len(self.count)
        kinds = (parameters, gradients, state.first, state.second)
        values, slopes, first, second = (
            [part for tensor in kind for part in (tensor.unbind() if every else [tensor[slot] for slot in slots])]
            for kind in kinds
        )
        # The kernel counts each tensor's steps by itself.
        counts = (self.count if every else self.count[slots]).repeat(len(parameters)).unbind()
        constants: dict[str, Any] = {"beta1": self.beta1, "beta2": self.beta2, "lr": self.lr, "eps": self.eps}
        off: dict[str, Any] = {"weight_decay": 0.0, "amsgrad": False, "maximize": False}
        adam(values, slopes, first, second, [], list(counts), fused=True, **constants, **off)
        if every:
            self.count += 1
        else:
            self.count[slots] += 1

    @override
    @torch.no_grad()
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        for buffer in self.buffers():
            buffer.masked_fill_(per_slot(mask, buffer), 0.0)

    @override
    def adam(self) -> AdamState:
        first, second = ([self.get_buffer(f"{kind}_{i}") for i in range(self._tensors)] for kind in ("first", "second"))
        return AdamState(self.lr, self.beta1, self.beta2, self.eps, first, second, self.count)
