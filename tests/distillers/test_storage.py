from __future__ import annotations

import torch

from esamp.distillers import LowRankDistiller
from esamp.distillers.storage import stochastic_round


def test_rounding_is_right_on_average_and_exact_where_it_can_be():
    values = torch.full((1, 200_000), 1.0 + 2.0**-10)  # an eighth of the way from 1 to the next bfloat16
    rounded = stochastic_round(values, torch.tensor([5], dtype=torch.int32)).float()
    assert set(rounded.unique().tolist()) == {1.0, 1.0078125}
    assert abs(float((rounded > 1).float().mean()) - 0.125) < 0.005
    exact = torch.randn(2, 64).bfloat16().float()
    assert torch.equal(stochastic_round(exact, torch.tensor([0, 9], dtype=torch.int32)).float(), exact)


def test_noise_differs_between_steps_and_not_between_slots():
    values = torch.randn(1, 512).expand(2, 512)
    one = stochastic_round(values, torch.tensor([3, 3], dtype=torch.int32))
    other = stochastic_round(values, torch.tensor([3, 4], dtype=torch.int32))
    assert torch.equal(one[0], one[1])
    assert not torch.equal(other[0], other[1])


def test_non_finite_values_stay_what_they_are():
    values = torch.tensor([[torch.inf, -torch.inf, torch.nan]])
    rounded = stochastic_round(values, torch.tensor([1], dtype=torch.int32))
    assert torch.equal(rounded.isfinite(), torch.zeros(1, 3, dtype=torch.bool))


def test_sixteen_bit_weights_learn_as_well_as_thirty_two():
    generator = torch.Generator().manual_seed(0)
    shallow, deep = torch.randn(1, 6, 32, generator=generator), torch.randn(1, 6, 32, generator=generator)
    finals = []
    for storage in ("float32", "bfloat16"):
        distiller = LowRankDistiller(rank=8, storage=storage)
        distiller.setup(32, 1)
        losses = [distiller.learn(shallow, deep, torch.ones(1, 6)) for _ in range(200)]
        assert distiller.get_buffer("weight_out").dtype == getattr(torch, storage)
        finals.append(losses[-1].item() / losses[0].item())
    # Rounding to nearest would stall where a step of 1e-3 is below half a unit in the last place.
    assert finals[1] < 1.2 * finals[0] + 1e-3
