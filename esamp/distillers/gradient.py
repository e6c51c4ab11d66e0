"""Everything that a distiller trained by backpropagation has in common."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn
from typing_extensions import override

from esamp.checks import check_integer, check_number
from esamp.distillers.base import Distiller
from esamp.distillers.optimizers import GroupedOptimizer
from esamp.distillers.optimizers.base import per_slot

__all__ = ["GradientDistiller"]


class GradientDistiller(Distiller):
    """Gives `setup`, `learn` and `reset` to architectures that say how they start and how they predict.

    A subclass writes `init_parameters` for *one* group and `forward` over [groups, ...] parameters, which it finds in
    `self.weights` under the names it gave them.

    Args:
        optimizer: steps the parameters; its state is per slot.
        clip: largest norm of a slot's gradient over all its parameters; None: no clipping.
        seed: of the initial parameters, which are the same in every slot.
    """

    weights: nn.ParameterDict

    def __init__(self, optimizer: GroupedOptimizer, clip: float | None, seed: int) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.clip = None if clip is None else check_number("clip", clip, low=0, low_open=True)
        self.seed = check_integer("seed", seed, low=0)

    @abstractmethod
    def init_parameters(self, hidden_size: int, generator: Generator) -> dict[str, Tensor]:
        """Initial parameters of one group, without the group axis.

        Raises:
            ValueError: the architecture's sizes do not fit d = `hidden_size`.
        """

    @override
    def setup(self, hidden_size: int, groups: int, device: torch.device | str = "cpu") -> None:
        start = self.init_parameters(hidden_size, torch.Generator("cpu").manual_seed(self.seed))
        self.weights = nn.ParameterDict()
        for name, value in start.items():
            value = value.to(device, torch.float32)
            self.register_buffer(f"start_{name}", value)
            self.weights[name] = nn.Parameter(value.expand(groups, *value.shape).clone())
        self.optimizer.setup(list(self.weights.values()))

    @override
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        parameters = list(self.weights.values())
        with torch.enable_grad():
            row_loss = (self(shallow) - deep).square().mean(dim=-1)
            loss = (row_loss * weight).sum(dim=-1) / weight.sum(dim=-1).clamp_min(1)
            gradients = torch.autograd.grad(loss.sum(), parameters)
        if self.clip is not None:
            _clip(gradients, self.clip)
        self.optimizer.step(parameters, gradients, weight.sum(dim=-1) > 0)
        return loss.detach()

    @override
    @torch.no_grad()
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        for name, parameter in self.weights.items():
            start = self.get_buffer(f"start_{name}")
            parameter.copy_(torch.where(per_slot(mask, parameter), start, parameter))
        self.optimizer.reset(mask)


def _clip(gradients: tuple[Tensor, ...], limit: float) -> None:
    """Scale each slot's gradients in place so that their joint norm is at most `limit`; slots never mix."""
    squares = [torch.linalg.vector_norm(g.flatten(1), dim=1).square() for g in gradients]
    norm = torch.stack(squares).sum(dim=0).sqrt()
    scale = (limit / norm.clamp_min(torch.finfo(norm.dtype).tiny)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(per_slot(scale, gradient))
