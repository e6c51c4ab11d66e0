from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from esamp.candidates import Filters, RowFilters, filters_of_rows
from esamp.noise import gumbel_noise

WAYS = [Filters(), Filters(0.7, top_k=3), Filters(1.3, min_p=0.2), Filters(top_p=0.8, min_p=0.1)]
CPU = torch.device("cpu")


@given(st.lists(st.sampled_from(WAYS), min_size=1, max_size=6), st.integers(0, 1000))
def test_each_row_is_filtered_as_if_it_were_alone(ways: list[Filters], seed: int) -> None:
    logits = 3 * torch.randn(len(ways), 40, generator=torch.Generator().manual_seed(seed))
    steps = torch.arange(len(ways))
    filters = filters_of_rows(ways, CPU)
    temperature = filters.temperatures(steps)
    got = filters.select(logits, temperature)
    for row, way in enumerate(ways):
        alone = way.select(logits[row : row + 1], way.temperatures(steps[row : row + 1]))
        assert got.ids[row][got.mask[row]].tolist() == alone.ids[0][alone.mask[0]].tolist()
        assert torch.equal(got.reference[row][got.mask[row]], alone.reference[0][alone.mask[0]])
        assert float(temperature[row]) == float(way.temperatures(steps[row : row + 1]))
    assert got.whole_vocabulary == all(way.keeps_all for way in ways)


def test_equal_filters_stay_one() -> None:
    assert filters_of_rows([WAYS[1]] * 3, CPU) is WAYS[1]
    assert isinstance(filters_of_rows(WAYS, CPU), RowFilters)


def test_noise_with_a_seed_for_each_row_is_that_of_each_seed() -> None:
    ids = torch.arange(12).repeat(3, 1)
    seeds, sample, step = torch.tensor([5, 2**40 + 1, 5]), torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5])
    got = gumbel_noise(ids, seeds, sample, step)
    for row in range(3):
        one = slice(row, row + 1)
        assert torch.equal(got[one], gumbel_noise(ids[one], int(seeds[row]), sample[one], step[one]))
