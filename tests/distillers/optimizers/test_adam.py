"""Adam over a bank is torch.optim.Adam for each slot, which counts its own steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from esamp.distillers.optimizers import Adam

_SLOTS = 3
_SHAPES = ((4, 2), (5,))
_OPTIONS: dict[str, float] = {"lr": 0.1, "beta1": 0.8, "beta2": 0.95, "eps": 1e-4}


def _gaussian(generator: torch.Generator) -> list[Tensor]:
    return [torch.randn(_SLOTS, *shape, generator=generator) for shape in _SHAPES]


class _TorchAdam:
    """One slot under torch's own optimiser."""

    def __init__(self, start: list[Tensor], slot: int) -> None:
        self.slot = slot
        self.parameters = [nn.Parameter(value[slot].clone()) for value in start]
        self.adam = torch.optim.Adam(
            self.parameters, lr=_OPTIONS["lr"], betas=(_OPTIONS["beta1"], _OPTIONS["beta2"]), eps=_OPTIONS["eps"]
        )

    def step(self, gradients: list[Tensor]) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient[self.slot].clone()
        self.adam.step()


# In each step, every slot rests, steps, or is reset and then steps.
_histories = st.lists(
    st.tuples(*[st.sampled_from(["step", "rest", "reset"])] * _SLOTS),
    min_size=1,
    max_size=12,
)


@given(_histories)
def test_every_slot_is_torchs_adam_with_its_own_step_count(history: list[tuple[str, ...]]) -> None:
    generator = torch.Generator().manual_seed(0)
    start = _gaussian(generator)
    parameters = [value.clone() for value in start]
    bank = Adam(**_OPTIONS)
    bank.setup(parameters)
    alone = [_TorchAdam(start, slot) for slot in range(_SLOTS)]
    for actions in history:
        gradients = _gaussian(generator)
        reset = torch.tensor([action == "reset" for action in actions])
        bank.reset(reset)
        for slot in reset.nonzero().flatten().tolist():
            for parameter, value in zip(parameters, start, strict=True):
                parameter[slot] = value[slot]
            alone[slot] = _TorchAdam(start, slot)
        for slot, action in enumerate(actions):
            if action != "rest":
                alone[slot].step(gradients)
        bank.step(parameters, gradients, torch.tensor([action != "rest" for action in actions]))
        for slot in range(_SLOTS):
            for parameter, wanted in zip(parameters, alone[slot].parameters, strict=True):
                torch.testing.assert_close(parameter[slot], wanted.data, atol=1e-5, rtol=1e-5)


def test_a_resting_slot_does_not_move_whatever_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    parameters = _gaussian(generator)
    bank = Adam()
    bank.setup(parameters)
    bank.step(parameters, _gaussian(generator), torch.tensor([True, True, True]))
    before = [value.clone() for value in (*parameters, *bank.buffers())]
    bank.step(parameters, _gaussian(generator), torch.tensor([True, False, True]))
    for value, old in zip((*parameters, *bank.buffers()), before, strict=True):
        assert torch.equal(value[1], old[1])
        assert not torch.equal(value[0], old[0])


def test_defaults_are_the_papers() -> None:
    adam = Adam()
    assert (adam.lr, adam.beta1, adam.beta2, adam.eps) == (4e-4, 0.9, 0.999, 1e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", -1.0), ("lr", float("nan")), ("beta1", 1.0), ("beta1", -0.1), ("beta2", 1.0), ("eps", 0.0)],
)
def test_options_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be .*, got {value!r}"):
        Adam(**{name: value})
