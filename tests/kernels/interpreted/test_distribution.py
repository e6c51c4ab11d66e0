"""Distributions over candidates, and the draw from them: the references', in one launch each."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from esamp.kernels.distribution import Tilt, plain_distribution, tilted_distribution
from esamp.kernels.gumbel_draw import gumbel_draw
from esamp.noise import gumbel_argmax
from tests.kernels.interpreted.banks import gaussian

_WIDTHS = [1, 19, 300]


def _case(rows: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(width)
    mask = torch.rand(rows, width, generator=generator) < 0.6
    mask[:, 0] = True
    return gaussian(rows, width) * 4, mask, torch.rand(rows, 1, generator=generator) + 0.5


def _tilt(rows: int, width: int, slope: float = 1.0) -> Tilt:
    slot = torch.arange(rows) % 3
    norm = gaussian(rows, seed=1).abs()
    return Tilt(gaussian(rows, width, seed=2), norm + 0.1, slope, norm, slot, rows, torch.tensor([1, 2, 3]), 2)


@pytest.mark.parametrize("width", _WIDTHS)
def test_a_plain_distribution_is_the_softmax_at_the_temperature(width: int) -> None:
    z, mask, temperature = _case(5, width)
    got = plain_distribution(z, mask, temperature)
    wanted = (z / temperature).masked_fill(~mask, -torch.inf).log_softmax(-1)
    torch.testing.assert_close(got, wanted, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("width", _WIDTHS)
@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_a_tilted_distribution_is_the_references(width: int, slope: float, monkeypatch: pytest.MonkeyPatch) -> None:
    z, mask, temperature = _case(7, width)
    tilt = _tilt(7, width, slope)
    got = tilted_distribution(z, mask, temperature, tilt)
    monkeypatch.setenv("ESAMP_KERNELS", "reference")
    wanted = tilted_distribution(z, mask, temperature, tilt)
    for name, value in vars(wanted).items():
        torch.testing.assert_close(getattr(got, name), value, atol=1e-5, rtol=1e-5)
    # Slot 0 is not ready: its rows are left alone, to the last bit.
    assert (got.kl == 0).tolist() == [row % 3 == 0 or width == 1 for row in range(7)]
    assert torch.equal(got.logits[::3], z[::3].masked_fill(~mask[::3], 0.0))


def test_a_group_with_a_broken_row_is_left_alone_and_that_row_is_not_learnt_from() -> None:
    z, mask, temperature = _case(7, 19)
    tilt = _tilt(7, 19)
    norm, distilled = tilt.norm.clone(), tilt.distilled.clone()
    norm[2], distilled[2] = torch.nan, torch.nan
    got = tilted_distribution(z, mask, temperature, replace(tilt, norm=norm, distilled=distilled))
    assert (got.kl == 0).tolist() == [True, False, True, True, False, True, True]
    assert got.weight.tolist() == [1, 1, 0, 1, 1, 1, 1]
    assert torch.equal(got.logits[2], z[2].masked_fill(~mask[2], 0.0))


@pytest.mark.parametrize("width", _WIDTHS)
@pytest.mark.parametrize("whole", [False, True])
def test_a_draw_is_the_cpus(width: int, whole: bool) -> None:
    z, mask, _ = _case(6, width)
    log_probs = z.masked_fill(~mask, -torch.inf).log_softmax(-1)
    ids = torch.arange(width).expand(6, -1) if whole else torch.randint(0, 50_000, (6, width)).sort(dim=-1).values
    sample, step = torch.arange(6), torch.full((6,), 9)
    keys = (log_probs, ids, 2**40 + 5, sample, step)
    assert torch.equal(gumbel_draw(*keys, whole_vocabulary=whole), gumbel_argmax(*keys))


def test_lists_may_be_the_first_columns_of_wider_ones() -> None:
    z, mask, temperature = _case(5, 300)
    narrow = z[:, :19], mask[:, :19]
    own = [tensor.clone() for tensor in narrow]
    assert torch.equal(plain_distribution(*narrow, temperature), plain_distribution(*own, temperature))
