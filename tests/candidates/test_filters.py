"""Filters keep what transformers' own warpers keep, and candidates are laid out as they say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from esamp.candidates import Filters
from esamp.testing.strategies import filters, logits

_TOKENS = 24


class _NSigma:
    """Top-nσ as its paper defines it, which transformers does not have."""

    def __init__(self, n: float) -> None:
        self.n = n

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        threshold = scores.amax(-1, keepdim=True) - self.n * scores.std(-1, correction=0, keepdim=True)
        return scores.masked_fill(scores < threshold, -torch.inf)


def _transformers(filters: Filters, logits: Tensor) -> Tensor:
    """Which tokens survive the warpers that `generate` would build, in its order; top-nσ by its definition."""
    temperature = filters.filter_temperature or filters.temperature
    warpers: list[Any] = [TemperatureLogitsWarper(temperature)] if temperature != 1.0 else []
    warpers += [_NSigma(filters.top_n_sigma)] if filters.top_n_sigma is not None else []
    warpers += [TopKLogitsWarper(filters.top_k)] if filters.top_k is not None else []
    warpers += [TopPLogitsWarper(filters.top_p)] if filters.top_p is not None and filters.top_p < 1.0 else []
    warpers += [MinPLogitsWarper(filters.min_p)] if filters.min_p is not None else []
    warpers += [TypicalLogitsWarper(filters.typical_p)] if (filters.typical_p or 1.0) < 1.0 else []
    warpers += [EpsilonLogitsWarper(filters.epsilon_cutoff)] if filters.epsilon_cutoff else []
    warpers += [EtaLogitsWarper(filters.eta_cutoff)] if filters.eta_cutoff else []
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
        *(("typical_p", value) for value in (0.0, 1.5)),
        *(("epsilon_cutoff", value) for value in (1.0, -0.1)),
        *(("eta_cutoff", value) for value in (1.0, -0.1)),
        *(("top_n_sigma", value) for value in (0.0, -1.0)),
        *(("filter_temperature", value) for value in (0.0, float("inf"))),
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
    everything = Filters(0.5, 3, 0.9, 0.1, 0.2, 3e-4, 2e-4, 1.5)
    assert everything.describe() == (
        "temperature 0.5, top_n_sigma 1.5, top_k 3, top_p 0.9, min_p 0.1, typical_p 0.2, epsilon_cutoff 0.0003, "
        "eta_cutoff 0.0002"
    )
    assert Filters().describe() == "temperature 1"


def test_top_n_sigma_keeps_by_hand() -> None:
    # mean 1, σ = sqrt((9 + 1 + 1 + 1 + 1 + 1 + 1 + 1) / 8) = 1.414: the threshold is 4 - 1.414 n.
    scores = torch.tensor([[4.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    kept = [Filters(top_n_sigma=n).select(scores).ids.tolist() for n in (1.0, 1.5, 3.0)]
    assert kept == [[[0]], [[0, 1, 2]], [[0, 1, 2, 3, 4, 5, 6, 7]]]
    # What the model forbids is no part of the vocabulary.
    forbidden = torch.cat([scores, torch.full((1, 5), -torch.inf)], dim=1)
    assert Filters(top_n_sigma=1.5).select(forbidden).ids.tolist() == [[0, 1, 2]]


def test_top_n_sigma_does_not_depend_on_temperature() -> None:
    scores = torch.randn(5, 200, generator=torch.Generator().manual_seed(0))
    cold, hot = (Filters(t, top_n_sigma=1.0).keep(scores) for t in (0.5, 4.0))
    assert torch.equal(cold, hot)


def test_entropy_filters_keep_by_hand() -> None:
    # Probabilities 1/2, 1/4, 1/8, 1/8: the entropy is 1.75 ln 2, so -log p is nearest to it at 1/4 (.25 ln 2), then
    # at 1/2 (.75 ln 2), then at 1/8 (1.25 ln 2).
    scores = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    kept = [Filters(typical_p=mass).select(scores).ids.tolist()[0] for mass in (0.2, 0.7, 0.8)]
    assert kept == [[1], [0, 1], [0, 1, 2, 3]]
    assert Filters(epsilon_cutoff=0.2).select(scores).ids.tolist() == [[0, 1]]
    # √.36 exp(-1.75 ln 2) = .178, below ε itself.
    assert Filters(eta_cutoff=0.36).select(scores).ids.tolist() == [[0, 1]]
    assert Filters(epsilon_cutoff=0.36).select(scores).ids.tolist() == [[0]]


def test_filters_look_at_a_temperature_of_their_own() -> None:
    scores = torch.tensor([[0.6, 0.3, 0.06, 0.04]]).log()
    hot = torch.tensor([[30.0]])
    assert Filters(min_p=0.2).select(scores, hot).count().tolist() == [4]
    assert Filters(min_p=0.2, filter_temperature=1.0).select(scores, hot).ids.tolist() == [[0, 1]]
