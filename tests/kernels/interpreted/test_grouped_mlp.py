"""Each row is predicted by its own slot's weights, wherever it stands."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from esamp.kernels.grouped_mlp import gated_blocks, grouped_mlp, grouped_normalised_block, normalised_block, reference
from tests.kernels.interpreted.banks import TOLERANCES, bank, gaussian

# rows, d, inner width, slots: odd on purpose; 1 row, no rows, one wide row, more slots than rows.
_SHAPES = [(41, 576, 7, 4), (5, 1271, 40, 3), (1, 48, 16, 1), (0, 64, 16, 2), (3, 64, 33, 6)]
_precise = pytest.mark.parametrize(("dtype", "atol", "rtol"), TOLERANCES, ids=str)


def _slots(rows: int, slots: int) -> Tensor:
    """Ragged: in no order, some rows without a slot, on both sides of the range."""
    return torch.randint(-1, slots + 1, (rows,), generator=torch.Generator().manual_seed(rows))


def _one_by_one(x: Tensor, slot: Tensor, slots: int, compute: object) -> Tensor:
    """Row by row in float64; zeros where there is no slot."""
    out = torch.zeros_like(x, dtype=torch.float64)
    for row, owner in enumerate(slot.tolist()):
        if 0 <= owner < slots:
            out[row] = compute(x[row].double().view(1, 1, -1), owner)
    return out


@_precise
@pytest.mark.parametrize(("rows", "d", "inner", "slots"), _SHAPES)
def test_rows_get_the_blocks_of_their_slot(
    rows: int, d: int, inner: int, slots: int, dtype: torch.dtype, atol: float, rtol: float
) -> None:
    weights, x, slot = bank(slots, d, inner, dtype), gaussian(rows, d, dtype=dtype), _slots(rows, slots)
    got = grouped_mlp(x, slot, max(rows, 1), weights.gate_up, weights.down)
    wide = weights.double()

    def alone(row: Tensor, owner: int) -> Tensor:
        parts = ([w[owner : owner + 1] for w in ws] for ws in (wide.gate_up, wide.down))
        return reference.gated_blocks(row, *parts)

    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), _one_by_one(x, slot, slots, alone), atol=atol, rtol=rtol)


@_precise
@pytest.mark.parametrize(("rows", "d", "inner", "slots"), [(9, 576, 7, 4), (5, 1271, 40, 3), (0, 64, 16, 2)])
def test_rows_get_the_normalised_block_of_their_slot(
    rows: int, d: int, inner: int, slots: int, dtype: torch.dtype, atol: float, rtol: float
) -> None:
    weights, x, slot = bank(slots, d, inner, dtype, blocks=1), gaussian(rows, d, dtype=dtype), _slots(rows, slots)
    got = grouped_normalised_block(
        x, slot, max(rows, 1), weights.gate_up[0], weights.down[0], weights.scale, weights.bias
    )
    wide = weights.double()

    def alone(row: Tensor, owner: int) -> Tensor:
        one = slice(owner, owner + 1)
        return reference.normalised_block(row, *(w[one] for w in (*wide.weights, wide.scale, wide.bias)))

    torch.testing.assert_close(got.double(), _one_by_one(x, slot, slots, alone), atol=atol, rtol=rtol)


@settings(max_examples=8)
@given(st.lists(st.integers(-1, 3), max_size=20))
@example([2] * 20)
@example([-1, -1, 3])
def test_any_layout_of_groups(layout: list[int]) -> None:
    slot, weights = torch.tensor(layout, dtype=torch.int64), bank(3, 32, 16)
    x = gaussian(len(layout), 32)
    got = grouped_mlp(x, slot, 20, weights.gate_up, weights.down)
    grid = gated_blocks(x.unsqueeze(0).expand(3, -1, -1), weights.gate_up, weights.down)
    for row, owner in enumerate(layout):
        wanted = grid[owner, row] if 0 <= owner < 3 else torch.zeros(32)
        torch.testing.assert_close(got[row], wanted, atol=2e-5, rtol=1e-5)


def test_more_rows_of_a_slot_than_one_tile_holds() -> None:
    weights, x = bank(2, 32, 16), gaussian(150, 32)
    slot = (torch.arange(150) % 50 == 0).long()
    got = grouped_mlp(x, slot, 147, weights.gate_up, weights.down)
    for owner in range(2):
        own = slot == owner
        wanted = reference.gated_blocks(
            x[own].unsqueeze(0),
            [w[owner : owner + 1] for w in weights.gate_up],
            [w[owner : owner + 1] for w in weights.down],
        )
        torch.testing.assert_close(got[own], wanted[0], atol=2e-5, rtol=1e-5)


def test_a_recycled_slot_predicts_by_its_new_weights() -> None:
    weights, x, slot = bank(2, 32, 16), gaussian(4, 32), torch.tensor([0, 1, 1, 0])
    before = grouped_mlp(x, slot, 2, weights.gate_up, weights.down)
    for value in weights.weights:
        value[1] = 0.0
    after = grouped_mlp(x, slot, 2, weights.gate_up, weights.down)
    assert torch.equal(after[slot == 0], before[slot == 0])
    assert torch.equal(after[slot == 1], x[slot == 1])


def test_a_grid_of_rows_needs_no_slots() -> None:
    weights, x = bank(3, 48, 16), gaussian(3, 5, 48)
    wanted = reference.gated_blocks(x, weights.gate_up, weights.down)
    torch.testing.assert_close(gated_blocks(x, weights.gate_up, weights.down), wanted, atol=2e-5, rtol=1e-5)
    one = (weights.gate_up[0], weights.down[0], weights.scale, weights.bias)
    torch.testing.assert_close(normalised_block(x, *one), reference.normalised_block(x, *one), atol=2e-5, rtol=1e-5)


def test_gradients_come_from_the_reference() -> None:
    weights, x = bank(2, 16, 16), gaussian(2, 3, 16)
    leaf = weights.down[0].requires_grad_()
    gated_blocks(x, weights.gate_up, weights.down).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.abs().sum() > 0
