"""Rows find their slots and lanes, wherever they stand in the batch."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from esamp.rows import Rows
from esamp.testing.strategies import layouts

_GROUPS, _LANES = 3, 4
_layouts = layouts(_GROUPS, _LANES)


@given(_layouts)
def test_scatter_puts_each_row_in_its_place_and_zeros_elsewhere(rows: Rows) -> None:
    values = torch.arange(1.0, 2 * len(rows) + 1).view(len(rows), 2)
    grouped = rows.scatter(values, _GROUPS, _LANES)
    assert grouped.shape == (_GROUPS, _LANES, 2)
    for row in range(len(rows)):
        assert torch.equal(grouped[rows.slot[row], rows.lane[row]], values[row])
    assert int((grouped != 0).sum()) == values.numel()


@given(_layouts)
def test_gather_is_the_inverse_of_scatter(rows: Rows) -> None:
    for shape in ((), (2,), (2, 3)):
        values = torch.randn(len(rows), *shape, generator=torch.Generator().manual_seed(0))
        assert torch.equal(rows.gather(rows.scatter(values, _GROUPS, _LANES)), values)


@given(_layouts, st.data())
def test_picking_rows_keeps_their_identity(rows: Rows, data: st.DataObject) -> None:
    index = torch.tensor(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1)))
    picked = rows[index]
    assert len(picked) == len(index)
    for name in ("slot", "lane", "sample", "step", "beta"):
        assert torch.equal(getattr(picked, name), getattr(rows, name)[index])


def test_rows_are_picked_by_mask_too() -> None:
    picked = Rows.of_prompts(torch.arange(2), torch.ones(2, 2))[torch.tensor([True, False, False, True])]
    assert (picked.slot.tolist(), picked.lane.tolist()) == ([0, 1], [0, 1])


def test_prompts_of_one_group_get_lanes_of_their_own() -> None:
    beta = torch.arange(6.0).view(3, 2)
    rows = Rows.of_prompts(torch.tensor([1, 0, 1]), beta, first_sample=torch.tensor([4, 0, 4]))
    assert rows.slot.tolist() == [1, 1, 0, 0, 1, 1]
    assert rows.lane.tolist() == [0, 1, 0, 1, 2, 3]
    assert rows.sample.tolist() == [4, 5, 0, 1, 4, 5]
    assert rows.beta.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_samples_of_a_prompt_may_have_slots_of_their_own() -> None:
    rows = Rows.of_prompts(torch.tensor([[0, 1], [2, 1]]), torch.ones(2, 2))
    assert rows.slot.tolist() == [0, 1, 2, 1]
    assert rows.lane.tolist() == [0, 0, 0, 1]
    assert rows.sample.tolist() == [0, 1, 0, 1]


def test_rows_advance_together() -> None:
    rows = Rows.of_prompts(torch.arange(1), torch.ones(1, 3)).advance().advance()
    assert rows.step.tolist() == [2, 2, 2]
