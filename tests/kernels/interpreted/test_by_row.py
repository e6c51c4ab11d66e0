"""A step by kernels is the step in PyTorch: the same numbers, the same resets, whatever is wrong with the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from esamp.candidates import Filters
from esamp.distillers import Distiller, LowRankDistiller, MLPDistiller
from esamp.explorer import Explorer
from esamp.head import Head
from esamp.policy import Fused
from tests.kernels.interpreted.banks import gaussian
from tests.properties.bank import WIDTH, Step, grid, of, step

# NumPy, which computes for the interpreter, warns of numbers that are none.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")

_HEAD = Head(gaussian(400, WIDTH))
_FILTERS = Filters(temperature=0.8, min_p=0.02)
_MAKERS: dict[str, Callable[[], Distiller]] = {
    "mlp": lambda: MLPDistiller(width=16, lr=1e-2),
    "low_rank": lambda: LowRankDistiller(rank=4, lr=1e-2),
    "mlp in bfloat16": lambda: MLPDistiller(width=16, lr=1e-2, storage="bfloat16"),
}
_ORDERS = {"whole": torch.arange(6), "ragged": torch.tensor([5, 0, 3, 1])}


def _pair(make: Callable[[], Distiller], monkeypatch: pytest.MonkeyPatch, **options: object) -> tuple[Explorer, ...]:
    """The same explorer by kernels and in PyTorch; which, it decides when it is made."""
    by_row = of(make(), 2, _FILTERS, _HEAD, **options)
    monkeypatch.setenv("ESAMP_KERNELS", "reference")
    by_group = of(make(), 2, _FILTERS, _HEAD, **options)
    return by_row, by_group


def _run(mind: Explorer, taken: Step, kernels: str, monkeypatch: pytest.MonkeyPatch) -> Fused:
    monkeypatch.setenv("ESAMP_KERNELS", kernels)
    mind.begin(taken.shallow, taken.rows)
    fused = mind.fuse(taken.deep, taken.reference)
    mind.learn(taken.deep, torch.zeros(len(taken.rows), dtype=torch.int64), taken.alive)
    return fused


def _course(order: Tensor) -> list[Step]:
    """Steps of which some hold numbers that are none, and in some of which a row does not count."""
    steps = [step(grid(2)[order] if len(order) < 6 else grid(2), seed) for seed in range(6)]
    steps = [replace(it, reference=_HEAD.full(it.deep)) for it in steps]
    steps[1] = replace(steps[1], alive=torch.arange(len(order)) > 0)
    steps[2].shallow[1, 2] = torch.nan
    steps[3].shallow[0, 0] = torch.inf
    steps[4].deep[1, 1] = torch.nan
    return steps


@pytest.mark.parametrize("name", _MAKERS)
@pytest.mark.parametrize("order", _ORDERS)
def test_it_is_the_step_in_pytorch(name: str, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    by_row, by_group = _pair(_MAKERS[name], monkeypatch)
    pair = ((by_row, "triton"), (by_group, "reference"))
    exact = {"atol": 2e-2, "rtol": 2e-2} if "bfloat16" in name else {"atol": 1e-4, "rtol": 1e-4}
    for taken in _course(_ORDERS[order]):
        got, wanted = (_run(mind, taken, how, monkeypatch) for mind, how in pair)
        assert torch.equal(got.candidates.ids * got.candidates.mask, wanted.candidates.ids)
        assert torch.equal(got.candidates.mask, wanted.candidates.mask)
        held = wanted.candidates.mask
        for one, other in ((got.logits, wanted.logits), (got.log_probs, wanted.log_probs)):
            torch.testing.assert_close(one[held], other[held], **exact)
        torch.testing.assert_close(got.kl, wanted.kl, **exact)
        assert torch.equal(got.kl == 0, wanted.kl == 0)  # the same rows are left alone
        sound = wanted.error_norm.isfinite()
        assert torch.equal(got.error_norm.isfinite(), sound)
        torch.testing.assert_close(got.error_norm[sound], wanted.error_norm[sound], **exact)
        torch.testing.assert_close(by_row.losses(), by_group.losses(), equal_nan=True, **exact)
        assert by_row.resets().tolist() == by_group.resets().tolist()
        assert by_row.bank.updates.tolist() == by_group.bank.updates.tolist()
    assert by_row.resets().tolist() == [3 if order == "whole" else 2, 0 if order == "whole" else 1]
