"""What every distiller trained by backpropagation gets: loss, clipping, steps and resets, slot by slot."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Generator, Tensor, nn

from esamp.distillers import GradientDistiller
from esamp.distillers.optimizers import Adam, GroupedOptimizer

_GROUPS, _LANES, _WIDTH = 3, 4, 5


class Plain(GroupedOptimizer):
    """Gradient descent with a rate of 1, so that a step shows the gradient itself."""

    def setup(self, parameters: object) -> None:
        pass

    @torch.no_grad()
    def step(self, parameters: object, gradients: object, active: Tensor) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= gradient * active.view(-1, *[1] * (gradient.dim() - 1))

    def reset(self, mask: Tensor) -> None:
        pass


class Affine(GradientDistiller):
    """ĥ = h A + b: two parameters, so that a clip over each of them alone is a mistake that shows."""

    def init_parameters(self, hidden_size: int, generator: Generator) -> dict[str, Tensor]:
        return {
            "map": torch.randn(hidden_size, hidden_size, generator=generator),
            "shift": torch.randn(1, hidden_size, generator=generator),
        }

    def predict(self, weights: Mapping[str, Tensor], shallow: Tensor) -> Tensor:
        return torch.bmm(shallow, weights["map"]) + weights["shift"]


def _lesson(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ragged: the groups have four, two and one living rows, and errors of very different size."""
    generator = torch.Generator().manual_seed(seed)
    shallow, deep = torch.randn(2, _GROUPS, _LANES, _WIDTH, generator=generator)
    weight = (torch.arange(_LANES) < torch.tensor([[4], [2], [1]])).float()
    size = torch.tensor([10.0, 1.0, 0.1]).view(-1, 1, 1)
    alive = weight.unsqueeze(-1)
    return shallow * alive, size * deep * alive, weight


class _Alone:
    """One slot as anyone would write it with torch.nn and torch.optim."""

    def __init__(self, bank: Affine, slot: int, optimizer: torch.optim.Optimizer | None = None) -> None:
        self.slot = slot
        self.parameters = [nn.Parameter(value[slot].detach().clone()) for value in bank.weights().values()]
        self.optimizer = optimizer

    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor, clip: float | None) -> Tensor:
        alive = weight[self.slot] > 0
        matrix, shift = self.parameters
        predicted = shallow[self.slot, alive] @ matrix + shift
        loss = torch.nn.functional.mse_loss(predicted, deep[self.slot, alive])
        for parameter, gradient in zip(self.parameters, torch.autograd.grad(loss, self.parameters), strict=True):
            parameter.grad = gradient
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, clip)
        return loss.detach()


@pytest.mark.parametrize("clip", [None, 0.5, 3.0, 1e6])
def test_a_step_is_the_clipped_gradient_of_the_slots_own_loss(clip: float | None) -> None:
    bank = Affine(Plain(), clip, seed=0)
    bank.setup(_WIDTH, _GROUPS)
    alone = [_Alone(bank, slot) for slot in range(_GROUPS)]
    before = [value.detach().clone() for value in bank.weights().values()]
    lesson = _lesson(0)
    losses = bank.learn(*lesson)
    norms = []
    for slot, one in enumerate(alone):
        torch.testing.assert_close(losses[slot], one.learn(*lesson, clip))
        for value, old, parameter in zip(bank.weights().values(), before, one.parameters, strict=True):
            torch.testing.assert_close(old[slot] - value[slot], parameter.grad, atol=1e-5, rtol=1e-3)
        norms.append(torch.cat([parameter.grad.flatten() for parameter in one.parameters]).norm())
    # The clip bites in some slots and not in others, or the case would show nothing.
    if clip == 3.0:
        assert norms[0] == pytest.approx(3.0, rel=1e-4)
        assert norms[2] < 2.9


def test_training_with_adam_is_torchs_and_starts_over_after_a_reset() -> None:
    bank = Affine(Adam(lr=0.05), clip=0.5, seed=0)
    bank.setup(_WIDTH, _GROUPS)

    def new(slot: int) -> _Alone:
        one = _Alone(fresh, slot)
        one.optimizer = torch.optim.Adam(one.parameters, lr=0.05, eps=1e-4)
        return one

    fresh = Affine(Adam(lr=0.05), clip=0.5, seed=0)
    fresh.setup(_WIDTH, _GROUPS)
    alone = [new(slot) for slot in range(_GROUPS)]
    for step in range(8):
        if step == 4:
            bank.reset(torch.tensor([False, True, False]))
            alone[1] = new(1)
        lesson = _lesson(step)
        losses = bank.learn(*lesson)
        for slot, one in enumerate(alone):
            torch.testing.assert_close(losses[slot], one.learn(*lesson, 0.5), atol=1e-4, rtol=1e-4)
            assert one.optimizer is not None
            one.optimizer.step()
    for slot, one in enumerate(alone):
        for value, parameter in zip(bank.weights().values(), one.parameters, strict=True):
            torch.testing.assert_close(value[slot], parameter, atol=1e-4, rtol=1e-3)


def test_a_gradient_of_zero_survives_clipping() -> None:
    bank = Affine(Plain(), clip=0.5, seed=0)
    bank.setup(_WIDTH, 1)
    shallow = torch.randn(1, 2, _WIDTH, generator=torch.Generator().manual_seed(0))
    before = [value.detach().clone() for value in bank.weights().values()]
    bank.learn(shallow, bank(shallow).detach(), torch.ones(1, 2))
    for value, old in zip(bank.weights().values(), before, strict=True):
        assert torch.equal(value, old)


def test_the_seed_decides_the_start() -> None:
    starts = []
    for seed in (0, 0, 1):
        bank = Affine(Plain(), None, seed)
        bank.setup(_WIDTH, 2)
        starts.append(bank.weights()["map"])
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


@pytest.mark.parametrize("clip", [0.0, -1.0, float("nan")])
def test_a_clip_that_is_no_norm_is_refused(clip: float) -> None:
    with pytest.raises(ValueError, match=rf"^clip must be a finite number in \(0, inf\), got {clip!r}"):
        Affine(Plain(), clip, 0)
