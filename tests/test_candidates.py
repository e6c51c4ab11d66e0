"""Filters keep what transformers' own warpers keep, and candidates are laid out as they say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from esamp.candidates import Filters
from esamp.testing.strategies import filters, logits

_TOKENS = 24


def _transformers(filters: Filters, logits: Tensor) -> Tensor:
    """Which tokens survive the warpers that `generate` would build, in its order."""
    warpers = [TemperatureLogitsWarper(filters.temperature)] if filters.temperature != 1.0 else []
    warpers += [TopKLogitsWarper(filters.top_k)] if filters.top_k is not None else []
    warpers += [TopPLogitsWarper(filters.top_p)] if filters.top_p is not None and filters.top_p < 1.0 else []
    warpers += [MinPLogitsWarper(filters.min_p)] if filters.min_p is not None else []
    scores = logits
    for warper in warpers:
        scores = warper(torch.zeros(len(logits), 1, dtype=torch.int64), scores)
    return scores > -torch.inf


@settings(max_examples=300)
@given(filters(), logits(3, _TOKENS))
@example(Filters(top_p=0.5), torch.zeros(3, _TOKENS))
@example(Filters(top_p=1e-9), torch.zeros(3, _TOKENS))
@example(Filters(top_k=1), torch.zeros(3, _TOKENS))
@example(Filters(min_p=0.999), torch.zeros(3, _TOKENS))
@example(Filters(top_k=_TOKENS, top_p=1.0, min_p=0.0), torch.zeros(3, _TOKENS))
@example(Filters(temperature=1e-3, top_k=7, top_p=1e-6, min_p=0.5), torch.linspace(-1e4, 1e4, 72).view(3, 24))
def test_the_kept_tokens_are_those_of_transformers(filters: Filters, logits: Tensor) -> None:
    assert torch.equal(filters.keep(logits), _transformers(filters, logits))


@given(filters(), logits(3, _TOKENS))
def test_candidates_list_the_kept_tokens_in_order(filters: Filters, logits: Tensor) -> None:
    keep = filters.keep(logits)
    candidates = filters.select(logits)
    assert torch.equal(candidates.count(), keep.sum(-1))
    assert candidates.ids.shape == candidates.reference.shape == candidates.mask.shape
    assert candidates.whole_vocabulary == filters.keeps_all
    for row in range(len(logits)):
        ids = candidates.ids[row, candidates.mask[row]]
        assert ids.tolist() == keep[row].nonzero().flatten().tolist()
        # Before temperature, and what the model said, to the last bit.
        assert torch.equal(candidates.reference[row, candidates.mask[row]], logits[row, ids])
    if not filters.keeps_all:
        # The list is as wide as its longest row, and empty places, all at the end, hold id 0.
        assert candidates.ids.shape[1] == int(keep.sum(-1).max())
        assert (candidates.ids[~candidates.mask] == 0).all()
        assert (candidates.mask.long().diff(dim=1) <= 0).all()


@settings(max_examples=200, deadline=None)
@given(filters(), st.integers(130, 700), st.integers(0, 2**31), st.floats(0.01, 20.0))
def test_a_large_vocabulary_gives_what_a_look_at_every_token_gives(
    filters: Filters, tokens: int, seed: int, spread: float
) -> None:
    scores = torch.randn(5, tokens, generator=torch.Generator().manual_seed(seed)) * spread
    scores[1] = scores[1].bfloat16()  # many tie
    scores[2, ::3] = -torch.inf
    scores[3] = 1.5
    keep, candidates = filters.keep(scores), filters.select(scores)
    listed = torch.zeros_like(keep).scatter_add_(1, candidates.ids, candidates.mask)
    assert torch.equal(listed, keep)
    assert torch.equal(candidates.count(), keep.sum(-1))
    assert (candidates.reference == scores.gather(1, candidates.ids))[candidates.mask].all()


@given(filters(), logits(3, _TOKENS))
def test_every_row_keeps_its_best_token(filters: Filters, logits: Tensor) -> None:
    best = logits == logits.amax(-1, keepdim=True)
    assert (filters.keep(logits) & best).any(-1).all()


@given(filters(), st.integers(0, 2))
def test_rows_are_filtered_apart(filters: Filters, row: int) -> None:
    scores = torch.randn(3, _TOKENS, generator=torch.Generator().manual_seed(0))
    assert torch.equal(filters.keep(scores)[row], filters.keep(scores[row : row + 1])[0])


@pytest.mark.parametrize("options", [{}, {"top_k": 5}, {"top_p": 0.9}, {"min_p": 0.01}], ids=str)
def test_what_the_model_forbids_is_no_candidate(options: dict[str, Any]) -> None:
    scores = torch.tensor([[1.0, -torch.inf, 0.5, -torch.inf], [0.0, 0.0, 0.0, 0.0]])
    candidates = Filters(**options).select(scores)
    assert candidates.count().tolist() == [2, 4]


@pytest.mark.parametrize("options", [{}, {"top_p": 1.0}, {"min_p": 0.0}, {"temperature": 0.3}], ids=str)
def test_filters_that_are_off_keep_the_whole_vocabulary(options: dict[str, Any]) -> None:
    candidates = Filters(**options).select(torch.zeros(2, 5))
    assert candidates.whole_vocabulary
    assert candidates.ids.tolist() == [[0, 1, 2, 3, 4]] * 2


def test_no_rows_give_no_candidates() -> None:
    candidates = Filters(min_p=0.1).select(torch.zeros(0, 5))
    assert candidates.ids.shape == (0, 0)
    assert candidates.count().tolist() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("temperature", value) for value in (0.0, -1.0, float("nan"), float("inf"))),
        *(("top_k", value) for value in (0, -3)),
        *(("top_p", value) for value in (0.0, 1.5, -0.1, float("nan"))),
        *(("min_p", value) for value in (1.0, -0.1, 1.3, float("nan"))),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be .*, got {value!r}; "):
        Filters(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", "hot"), ("top_k", 2.5), ("top_k", True), ("top_p", "0.9"), ("min_p", [0.1]), ("min_p", True)],
)
def test_values_of_the_wrong_type_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=name):
        Filters(**{name: value})


def test_refusals_name_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"greedy decoding use model.generate\(do_sample=False\)"):
        Filters(temperature=0.0)
    with pytest.raises(ValueError, match="pass None to switch it off"):
        Filters(top_k=0)


def test_describe_names_what_is_on_in_its_order() -> None:
    everything = Filters(temperature=0.5, top_k=3, top_p=0.9, min_p=0.1)
    assert everything.describe() == "temperature 0.5, top_k 3, top_p 0.9, min_p 0.1"
    assert Filters().describe() == "temperature 1"
