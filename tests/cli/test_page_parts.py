from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from esamp.cli.page.novelty import LEVELS, Scale
from esamp.cli.page.projection import fit_into, principal_plane
from esamp.cli.page.tokens import token_texts


def gaussian(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def utf8(ids) -> str:
    """A byte-level decoder whose token 256 is special."""
    return bytes(i for i in ids if i < 256).decode(errors="replace")


@given(st.text(max_size=12), st.integers(0, 3), st.booleans())
def test_the_pieces_put_together_are_the_text(text: str, cut: int, special: bool):
    ids = [*text.encode(), *([256] if special else [])]
    ids = ids[: max(len(ids) - cut, 0)]
    pieces = token_texts(utf8, ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == utf8(ids)


def test_a_character_belongs_to_the_token_that_finishes_it():
    assert token_texts(utf8, [*"aé€".encode(), 256]) == ["a", "", "é", "", "", "€", ""]


def test_levels_hold_equally_many_tokens_and_grow_with_novelty():
    values = gaussian(800, seed=0).exp()
    levels = Scale([values[:300], values[300:], torch.tensor([math.nan])]).levels(values)
    assert [levels.count(level) for level in range(LEVELS)] == [100] * LEVELS
    in_order = [levels[i] for i in values.argsort().tolist()]
    assert in_order == sorted(in_order)


def test_without_a_prediction_there_is_no_level():
    nothing = torch.tensor([math.nan, math.nan])
    assert Scale([nothing]).levels(nothing) == [None, None]


def test_the_plane_keeps_distances_of_flat_data():
    flat = gaussian(7, 2, seed=0) @ torch.linalg.qr(gaussian(9, 2, seed=1)).Q.T
    plane, share = principal_plane(flat)
    assert share == pytest.approx(1)
    assert torch.allclose(torch.cdist(plane, plane), torch.cdist(flat, flat), atol=1e-5)


@pytest.mark.parametrize("rows", [torch.ones(1, 4), torch.ones(5, 4)])
def test_a_plane_of_equal_points_is_the_middle_of_the_box(rows: torch.Tensor):
    plane, share = principal_plane(rows)
    assert math.isnan(share)
    assert fit_into(plane, 100, 60, 10) == [(50.0, 30.0)] * len(rows)


@given(st.integers(2, 20), st.integers(0, 99))
def test_points_stay_in_the_box_and_touch_it(n: int, seed: int):
    x, y = zip(*fit_into(gaussian(n, 2, seed=seed) * 10, 420, 300, 16), strict=True)
    assert min(x) >= 15.9 and max(x) <= 404.1 and min(y) >= 15.9 and max(y) <= 284.1
    assert max(max(x) - min(x) - 388, max(y) - min(y) - 268) == pytest.approx(0, abs=0.2)
