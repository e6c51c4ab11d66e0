"""Filters that a kernel takes keep what the general way keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from esamp.candidates import Candidates, Filters
from esamp.kernels.candidate_filter import min_p_candidates, reference
from tests.kernels.interpreted.banks import gaussian


def _both(filters: Filters, logits: torch.Tensor) -> tuple[Candidates, Candidates]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESAMP_KERNELS", "triton")
        got = filters.select(logits)
        patch.setenv("ESAMP_KERNELS", "reference")
        return got, filters.select(logits)


@pytest.mark.parametrize(
    "options",
    [
        {"min_p": 0.05},
        {"min_p": 0.3, "temperature": 2.0},
        {"min_p": 0.02, "top_k": 5},
        {"min_p": 0.02, "top_p": 0.8},
        {"min_p": 0.02, "top_p": 0.8, "top_k": 20},
        {"min_p": 1e-7, "temperature": 3.0},
    ],
    ids=str,
)
@pytest.mark.parametrize(("rows", "vocabulary"), [(3, 41), (2, 5000), (0, 50)])
def test_candidates_are_those_of_the_general_way(rows: int, vocabulary: int, options: dict[str, Any]) -> None:
    logits = 3 * gaussian(rows, vocabulary)
    logits[:1, ::7] = -torch.inf  # what the model forbids
    got, wanted = _both(Filters(**options), logits)
    assert torch.equal(got.ids, wanted.ids)
    assert torch.equal(got.mask, wanted.mask)
    assert torch.equal(got.reference, wanted.reference)


@settings(max_examples=8)
@given(
    st.lists(st.sampled_from([-5.0, 0.0, 1.0, 1.5, 3.0]), min_size=24, max_size=24),
    st.sampled_from([{"min_p": 0.1}, {"min_p": 0.1, "top_k": 3}, {"min_p": 0.1, "top_p": 0.7}]),
)
def test_ties_are_kept_as_in_the_general_way(entries: list[float], options: dict[str, Any]) -> None:
    got, wanted = _both(Filters(**options), torch.tensor(entries).view(2, 12))
    # Which of two tied tokens at the nucleus's edge stays is up to the sort; how many do is not.
    assert torch.equal(got.count(), wanted.count())
    if "top_p" not in options:
        assert torch.equal(got.ids, wanted.ids)


def test_a_list_that_is_too_short_says_so() -> None:
    logits = torch.zeros(2, 40)
    ids, _, mask, count, log_mass = min_p_candidates(logits, torch.ones(2, 1), 0.5, 8)
    assert ids.tolist() == [list(range(8))] * 2
    assert mask.all()
    assert count.tolist() == [40, 40]
    torch.testing.assert_close(log_mass, logits.logsumexp(-1))


def test_the_kernel_is_its_reference() -> None:
    logits, heat = 2 * gaussian(4, 300), torch.tensor([[0.5], [1.0], [2.0], [0.01]])
    got, wanted = min_p_candidates(logits, heat, 0.1, 64), reference.min_p_candidates(logits, heat, 0.1, 64)
    for one, other in zip(got[:4], wanted[:4], strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(got[4], wanted[4])
