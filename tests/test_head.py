"""z = c tanh(s (W h + b) / c), for the whole vocabulary, for candidates, and for a mix of hidden states."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from esamp.candidates import Candidates, Filters
from esamp.head import Head

_ROWS, _VOCABULARY, _WIDTH = 2, 400, 8


def _gaussian(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


_WEIGHT, _BIAS, _HIDDEN = (
    _gaussian(_VOCABULARY, _WIDTH, seed=0),
    _gaussian(_VOCABULARY, seed=1),
    _gaussian(2, 8, seed=2),
)

# Each head with the formula written out.
_HEADS: dict[str, tuple[Head, Callable[[Tensor], Tensor]]] = {
    "plain": (Head(_WEIGHT), lambda h: h @ _WEIGHT.T),
    "bias": (Head(_WEIGHT, _BIAS), lambda h: h @ _WEIGHT.T + _BIAS),
    "scale": (Head(_WEIGHT, _BIAS, scale=0.25), lambda h: 0.25 * (h @ _WEIGHT.T + _BIAS)),
    "soft-cap": (
        Head(_WEIGHT, _BIAS, scale=2.0, softcap=3.0),
        lambda h: 3.0 * torch.tanh(2.0 * (h @ _WEIGHT.T + _BIAS) / 3.0),
    ),
}
_heads = pytest.mark.parametrize(("head", "formula"), _HEADS.values(), ids=_HEADS)


@_heads
def test_full_is_the_formula(head: Head, formula: Callable[[Tensor], Tensor]) -> None:
    torch.testing.assert_close(head.full(_HIDDEN), formula(_HIDDEN))


@_heads
# A handful of candidates goes by dot products, half a vocabulary by one projection, all of it is `full` itself.
@pytest.mark.parametrize("filters", [Filters(top_k=3), Filters(top_k=200), Filters()], ids=["few", "many", "all"])
def test_candidates_get_the_logits_of_the_formula(
    head: Head, formula: Callable[[Tensor], Tensor], filters: Filters
) -> None:
    candidates = filters.select(formula(_HIDDEN))
    got, wanted = head.at(_HIDDEN, candidates), formula(_HIDDEN).gather(-1, candidates.ids)
    torch.testing.assert_close(got[candidates.mask], wanted[candidates.mask])


@pytest.mark.parametrize("count", [2, 300])
def test_empty_places_are_zero(count: int) -> None:
    ids = torch.arange(count).expand(_ROWS, -1)
    mask = torch.arange(count) < torch.tensor([[1], [count]])
    got = Head(_WEIGHT, _BIAS).at(_HIDDEN, Candidates(ids * mask, torch.zeros(_ROWS, count), mask))
    assert (got[~mask] == 0).all()
    assert (got[mask] != 0).all()


@pytest.mark.parametrize("name", ["plain", "bias", "scale"])
def test_mixed_is_the_mix_of_logits(name: str) -> None:
    head, formula = _HEADS[name]
    a, b, predicted = torch.tensor([1.5, 1.0]), torch.tensor([0.5, 3.0]), _gaussian(2, 8, seed=3)
    wanted = a.unsqueeze(-1) * formula(_HIDDEN) - b.unsqueeze(-1) * formula(predicted)
    torch.testing.assert_close(head.mixed(_HIDDEN, predicted, a, b), wanted, atol=1e-5, rtol=1e-5)


def test_only_a_soft_cap_makes_a_head_non_linear() -> None:
    assert {name: head.linear for name, (head, _) in _HEADS.items()} == {
        "plain": True,
        "bias": True,
        "scale": True,
        "soft-cap": False,
    }


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_logits_are_float32_whatever_the_model_is(dtype: torch.dtype) -> None:
    head = Head(_WEIGHT.to(dtype), _BIAS.to(dtype))
    few = Filters(top_k=3).select(head.full(_HIDDEN))
    ones = torch.ones(_ROWS)
    for logits in (head.full(_HIDDEN), head.at(_HIDDEN, few), head.mixed(_HIDDEN, _HIDDEN, ones, ones)):
        assert logits.dtype == torch.float32
    tolerance = 1e-5 if dtype == torch.float64 else 0.1
    torch.testing.assert_close(head.full(_HIDDEN), _HEADS["bias"][1](_HIDDEN), atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(
        head.at(_HIDDEN, few), head.full(_HIDDEN).gather(-1, few.ids), atol=tolerance, rtol=tolerance
    )


def test_vocabulary_is_the_number_of_scored_tokens() -> None:
    assert Head(_WEIGHT).vocabulary == _VOCABULARY
