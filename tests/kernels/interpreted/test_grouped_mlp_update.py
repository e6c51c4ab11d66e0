"""One online step: the reference's loss, gradients, clipping and Adam, slot by slot."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from esamp.distillers import LowRankDistiller, MLPDistiller
from esamp.distillers.fused import FusedDistiller
from esamp.kernels.grouped_mlp import grouped_mlp_with_activations, grouped_normalised_block_with_activations
from esamp.kernels.grouped_mlp.reference import gated_blocks, normalised_block
from esamp.kernels.grouped_mlp_update import (
    adam_settings,
    grouped_mlp_update,
    grouped_normalised_update,
    reference,
)
from esamp.kernels.grouped_mlp_update.adam import Slots
from esamp.kernels.grouped_mlp_update.triton import backward
from esamp.kernels.layout import Grid
from tests.kernels.interpreted.banks import Bank, bank, gaussian


class _Pair:
    """A bank in float32 for the kernels, and the same in float64 for the reference."""

    def __init__(self, slots: int, d: int, inner: int, clip: float | None, blocks: int = 2) -> None:
        self.slots, self.bank = slots, bank(slots, d, inner, blocks=blocks)
        self.wide = self.bank.double()
        self.settings = adam_settings(1e-2, 0.9, 0.999, 1e-4, clip, "cpu")
        self.state = self._fresh(self.bank)
        self.wide_state = self._fresh(self.wide)

    def _fresh(self, bank: Bank) -> tuple[list[Tensor], list[Tensor], Tensor]:
        zeros = [[torch.zeros_like(weight) for weight in bank.weights] for _ in range(2)]
        return zeros[0], zeros[1], torch.zeros(self.slots, dtype=bank.scale.dtype)

    def step(self, x: Tensor, target: Tensor, alive: Tensor, slot: Tensor, lanes: int) -> tuple[Tensor, Tensor]:
        activations = grouped_mlp_with_activations(x, slot, lanes, self.bank.gate_up, self.bank.down)
        ours = (target, alive, self.bank.gate_up, self.bank.down)
        loss = grouped_mlp_update(activations, *ours, *self.state, self.settings)
        grid = Grid(slot, self.slots, lanes)
        theirs = (grid.scatter(value).double() for value in (x, target, alive))
        wide = (self.wide.gate_up, self.wide.down)
        return loss, reference.step(*theirs, *wide, *self.wide_state, self.settings.double())


def _lesson(rows: int, d: int, slots: int, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(100 * rows + step)
    slot = torch.randint(-1, slots - 1, (rows,), generator=generator)  # the last slot never has a row
    alive = (torch.rand(rows, generator=generator) < 0.8).float()
    return gaussian(rows, d, seed=step), gaussian(rows, d, seed=50 + step), alive, slot


@pytest.mark.parametrize(
    ("rows", "d", "inner", "slots", "blocks", "clip"),
    [
        (41, 96, 40, 4, 2, 0.5),
        (5, 271, 7, 3, 2, None),
        (9, 64, 16, 2, 1, 1e-3),
        (6, 32, 16, 2, 3, 0.5),
        (150, 40, 24, 2, 2, 0.05),  # more rows in a slot than two tiles hold
    ],
)
def test_steps_are_the_references(rows: int, d: int, inner: int, slots: int, blocks: int, clip: float | None) -> None:
    pair = _Pair(slots, d, inner, clip, blocks)
    start = [weight.clone() for weight in pair.bank.weights]
    for step in range(3):
        loss, wanted = pair.step(*_lesson(rows, d, slots, step), lanes=rows)
        torch.testing.assert_close(loss.double(), wanted, atol=1e-5, rtol=1e-5)
    assert torch.equal(pair.state[2].double(), pair.wide_state[2])
    moments = zip([*pair.state[0], *pair.state[1]], [*pair.wide_state[0], *pair.wide_state[1]], strict=True)
    for got, exact in moments:
        # Relative to the largest: single entries may cancel.
        torch.testing.assert_close(got.double(), exact, atol=1e-4 * float(exact.abs().max()), rtol=1e-3)
    for got, exact, old in zip(pair.bank.weights, pair.wide.weights, start, strict=True):
        torch.testing.assert_close(got.double(), exact, atol=5e-6, rtol=1e-4)
        # The step was no rounding error, and a slot without rows did not move.
        assert (got[0] - old[0]).abs().max() > 1e-3
        assert torch.equal(got[-1], old[-1])


def test_gradients_are_autograds() -> None:
    slots, lanes, d, inner = 2, 4, 48, 24
    weights, x, target = bank(slots, d, inner), gaussian(8, d), gaussian(8, d, seed=1)
    alive = torch.tensor([1.0, 1, 0, 1, 1, 0, 0, 0])
    activations = grouped_mlp_with_activations(x, None, lanes, weights.gate_up, weights.down)
    settings = adam_settings(1.0, 0.9, 0.999, 1e-8, None, "cpu")
    state = Slots(torch.zeros(slots), None, settings)
    factors, norms, _ = backward(activations, target, alive, weights.gate_up, weights.down, state)
    assert norms is not None
    leaves = [weight.double().requires_grad_() for weight in weights.weights]
    predicted = gated_blocks(x.double().view(slots, lanes, d), leaves[0::2], leaves[1::2])
    losses = (predicted - target.double().view(slots, lanes, d)).square().mean(dim=-1) * alive.view(slots, lanes)
    loss = losses.sum(dim=1) / alive.view(slots, lanes).sum(dim=1)
    exact = torch.autograd.grad(loss.sum(), leaves)
    living = alive.bool()
    for factor, gradient in zip(factors, exact, strict=True):
        for slot in range(slots):
            own = living & (torch.arange(8) // lanes == slot)
            got = factor.left[own].double().T @ factor.right[own].double()
            torch.testing.assert_close(got, gradient[slot], atol=1e-6, rtol=1e-4)
    wanted = torch.stack([gradient.flatten(1).square().sum(dim=1) for gradient in exact]).sum(dim=0)
    torch.testing.assert_close(norms.double().sum(dim=1), wanted, atol=1e-6, rtol=1e-4)


def test_a_broken_slot_breaks_no_other() -> None:
    pair, other = _Pair(2, 32, 16, 0.5), _Pair(2, 32, 16, 0.5)
    x, target, slot = gaussian(4, 32), gaussian(4, 32, seed=1), torch.tensor([0, 0, 1, 1])
    spoilt = target.clone()
    spoilt[3] = float("nan")
    loss, _ = pair.step(x, spoilt, torch.ones(4), slot, 2)
    clean, _ = other.step(x, target, torch.ones(4), slot, 2)
    assert loss[1].isnan()
    assert loss[0] == clean[0]
    for got, wanted in zip(pair.bank.weights, other.bank.weights, strict=True):
        assert torch.equal(got[0], wanted[0])


def test_the_learning_rate_is_read_on_the_device() -> None:
    pair = _Pair(2, 32, 16, 0.5)
    pair.settings[0] = 0.0
    before = [weight.clone() for weight in pair.bank.weights]
    pair.step(gaussian(4, 32), gaussian(4, 32, seed=1), torch.ones(4), torch.tensor([0, 0, 1, 1]), 2)
    for got, old in zip(pair.bank.weights, before, strict=True):
        assert torch.equal(got, old)
    assert pair.state[2].tolist() == [1.0, 1.0]


# (dtype of the weights, atol, rtol): of weights that were rounded to nearest after one step.
@pytest.mark.parametrize(("dtype", "atol", "rtol"), [(torch.float16, 1e-4, 1e-3), (torch.bfloat16, 1e-3, 8e-3)])
def test_sixteen_bit_weights_step_as_their_values_would(dtype: torch.dtype, atol: float, rtol: float) -> None:
    slots, d, inner, lanes = 2, 48, 24, 3
    ours = bank(slots, d, inner, dtype)
    wide = ours.double()
    zeros = [torch.zeros(weight.shape) for weight in ours.weights]
    moments = [[value.clone() for value in zeros] for _ in range(2)]
    settings, count = adam_settings(1e-2, 0.9, 0.999, 1e-4, 0.5, "cpu"), torch.zeros(slots)
    x, target, alive = gaussian(6, d), gaussian(6, d, seed=1), torch.ones(6)
    before = [weight.clone() for weight in ours.weights]
    activations = grouped_mlp_with_activations(x, None, lanes, ours.gate_up, ours.down)
    lesson = (target, alive, ours.gate_up, ours.down)
    loss = grouped_mlp_update(activations, *lesson, *moments, count, settings)
    exact = [[value.double() for value in zeros] for _ in range(2)]
    grid = (value.view(slots, lanes, -1).double() for value in (x, target))
    share = torch.ones(slots, lanes, dtype=torch.float64)
    wanted = reference.step(*grid, share, wide.gate_up, wide.down, *exact, count.double() - 1, settings.double())
    torch.testing.assert_close(loss.double(), wanted, atol=1e-5, rtol=1e-5)
    for got, value in zip([*moments[0], *moments[1]], [*exact[0], *exact[1]], strict=True):
        torch.testing.assert_close(got.double(), value, atol=1e-4 * float(value.abs().max()), rtol=1e-3)
    for got, value, old in zip(ours.weights, wide.weights, before, strict=True):
        torch.testing.assert_close(got.double(), value, atol=atol, rtol=rtol)
        assert (got != old).float().mean() > 0.5


@pytest.mark.parametrize("lanes", [1, 5, 70])
@pytest.mark.parametrize(("d", "rank"), [(48, 7), (271, 16)])
def test_gradients_between_normalisations_are_autograds(d: int, rank: int, lanes: int) -> None:
    slots, rows = 3, 3 * lanes
    ours = bank(slots, d, rank, blocks=1)
    weights = [*ours.weights, ours.scale, ours.bias]
    leaves = [weight.double().requires_grad_() for weight in weights]
    # Scattered rows; some are dead, one has no slot, the last slot has no living row.
    slot = torch.arange(rows).flip(0) % slots
    alive = ((torch.arange(rows) % 5 != 1) & (slot != slots - 1)).float()
    slot[0] = -1
    x, target = gaussian(rows, d), gaussian(rows, d, seed=1)
    # Without momentum, clipping and a rate, the first moments are the gradients.
    moments = [[torch.zeros_like(weight) for weight in weights] for _ in range(2)]
    settings, count = adam_settings(0.0, 0.0, 0.999, 1e-8, None, "cpu"), torch.zeros(slots)
    activations, _ = grouped_normalised_block_with_activations(x, slot, lanes, *weights)
    loss = grouped_normalised_update(activations, target, alive, weights, *moments, count, settings)
    grid = Grid(slot, slots, lanes)
    wide_x, wide_target, share = (grid.scatter(value).double() for value in (x, target, alive))
    losses = (normalised_block(wide_x, *leaves) - wide_target).square().mean(dim=-1) * share
    wanted = losses.sum(dim=1) / share.sum(dim=1).clamp_min(1)
    torch.testing.assert_close(loss.double(), wanted.detach(), atol=1e-5, rtol=1e-5)
    for got, exact in zip(moments[0], torch.autograd.grad(wanted.sum(), leaves), strict=True):
        torch.testing.assert_close(got.double(), exact, atol=2e-6, rtol=2e-4)
    assert count.tolist() == [float((alive[slot == owner] > 0).any()) for owner in range(slots)]


_MAKERS: dict[str, Callable[[str], FusedDistiller]] = {
    "mlp": lambda storage: MLPDistiller(width=24, lr=1e-2, storage=storage),
    "low_rank": lambda storage: LowRankDistiller(7, lr=1e-2, eps=1e-4, start="random", storage=storage),
}


@pytest.mark.parametrize("lanes", [5, 70])
@pytest.mark.parametrize("name", _MAKERS)
@pytest.mark.parametrize("storage", ["float32", "bfloat16"])
def test_the_distiller_learns_the_same_with_and_without_kernels(
    storage: str, name: str, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = []
    for kernels in ("triton", "reference"):
        monkeypatch.setenv("ESAMP_KERNELS", kernels)
        distiller = _MAKERS[name](storage)
        distiller.setup(48, 3)
        for step in range(4):
            if step == 2:
                distiller.reset(torch.tensor([False, True, False]))
            shallow, deep = gaussian(3, lanes, 48, seed=step), gaussian(3, lanes, 48, seed=9 + step)
            weight = (torch.arange(lanes) < torch.tensor([[lanes], [2], [0]])).float()
            losses = distiller.learn(shallow * weight.unsqueeze(-1), deep * weight.unsqueeze(-1), weight)
        twins.append((losses, distiller(shallow), dict(distiller.named_buffers())))
    (loss, prediction, got), (wanted_loss, wanted_prediction, wanted) = twins
    coarse = storage == "bfloat16"
    tolerance = {"atol": 2e-2, "rtol": 2e-2} if coarse else {"atol": 1e-4, "rtol": 1e-4}
    torch.testing.assert_close(loss, wanted_loss, **tolerance)
    torch.testing.assert_close(prediction, wanted_prediction, **tolerance)
    for key, value in got.items():
        if key.startswith("weight_") and coarse:
            # The same stochastic rounding: only what lay on the edge between two numbers differs.
            assert (value != wanted[key]).float().mean() < 0.02
        elif key.startswith("weight_"):
            torch.testing.assert_close(value, wanted[key], atol=1e-4, rtol=1e-4)
        elif key in ("_rounds", "optimizer.count"):
            assert torch.equal(value, wanted[key])
