from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from esamp.metrics import mean_pairwise_cosine, vendi_score

ORDERS = [0.0, 0.1, 0.5, 1.0, 1 + 1e-9, 2.0, 10.0, math.inf]


def embeddings(n: int, d: int, seed: int) -> torch.Tensor:
    return normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("n", [1, 2, 16])
def test_equal_embeddings_count_as_one_and_orthogonal_ones_as_n(n: int, order: float):
    equal = embeddings(1, 384, seed=0).expand(n, -1)
    orthogonal = torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator().manual_seed(1))).Q[:n]
    assert vendi_score(equal, order) == pytest.approx(1, abs=1e-4)
    assert vendi_score(orthogonal, order) == pytest.approx(n, rel=1e-4)


def test_two_clusters_count_as_two():
    rows = torch.eye(5)[[0, 0, 0, 3, 3, 3]]
    assert all(vendi_score(rows, order) == pytest.approx(2, rel=1e-6) for order in ORDERS)


def test_two_vectors_by_hand():
    # K/2 of two unit vectors with cosine c has the eigenvalues (1 + c)/2 and (1 - c)/2.
    c = 0.6
    rows = torch.tensor([[1.0, 0.0], [c, math.sqrt(1 - c * c)]])
    assert vendi_score(rows) == pytest.approx(math.exp(-(0.8 * math.log(0.8) + 0.2 * math.log(0.2))), rel=1e-6)
    assert vendi_score(rows, 2.0) == pytest.approx(1 / (0.8**2 + 0.2**2), rel=1e-6)
    assert vendi_score(rows, 0.5) == pytest.approx((0.8**0.5 + 0.2**0.5) ** 2, rel=1e-6)
    assert vendi_score(rows, 0.0) == pytest.approx(2)
    assert vendi_score(rows, math.inf) == pytest.approx(1 / 0.8, rel=1e-6)
    assert mean_pairwise_cosine(rows) == pytest.approx(c, rel=1e-6)


@pytest.mark.parametrize("n", [3, 8])
@pytest.mark.parametrize("c", [0.2, 0.9])
def test_equal_cosines_by_hand(n: int, c: float):
    # K = (1 - c) I + c 1 1ᵀ has the eigenvalues 1 + (n - 1) c, and n - 1 times 1 - c.
    rows = torch.linalg.cholesky(torch.full((n, n), c, dtype=torch.float64).fill_diagonal_(1.0)).float()
    large, small = (1 + (n - 1) * c) / n, (1 - c) / n
    for order in (0.3, 2.0, 3.5):
        wanted = (large**order + (n - 1) * small**order) ** (1 / (1 - order))
        assert vendi_score(rows, order) == pytest.approx(wanted, rel=1e-5)
    shannon = -large * math.log(large) - (n - 1) * small * math.log(small)
    assert vendi_score(rows) == pytest.approx(math.exp(shannon), rel=1e-5)
    assert vendi_score(rows, math.inf) == pytest.approx(1 / large, rel=1e-5)


@given(st.integers(1, 12), st.integers(2, 20), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_lies_between_one_and_n_falls_with_the_order_and_ignores_the_order_of_rows(n: int, d: int, seed: int):
    rows = embeddings(n, d, seed)
    scores = [vendi_score(rows, order) for order in ORDERS]
    assert all(1 - 1e-6 <= value <= n + 1e-6 for value in scores)
    assert all(a >= b - 1e-6 for a, b in itertools.pairwise(scores))
    shuffled = rows[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
    assert vendi_score(shuffled) == pytest.approx(scores[ORDERS.index(1)])


@given(st.integers(2, 10), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_cosine_is_the_mean_over_all_pairs(n: int, seed: int):
    rows = embeddings(n, 5, seed)
    pairs = [float(rows[i] @ rows[j]) for i in range(n) for j in range(i)]
    assert mean_pairwise_cosine(rows) == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)


def test_one_sample_has_no_pair():
    assert math.isnan(mean_pairwise_cosine(torch.eye(1)))


@pytest.mark.parametrize("function", [vendi_score, mean_pairwise_cosine])
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (torch.tensor([[1.0, 0.0], [3.0, 4.0]]), "row 1 has length 5"),
        (torch.tensor([[math.nan, 0.0]]), "row 0 has length nan"),
        (torch.zeros(0, 4), "at least one row"),
    ],
)
def test_rows_that_are_not_normalised_are_refused(function, rows: torch.Tensor, said: str):
    with pytest.raises(ValueError, match=said):
        function(rows)


@pytest.mark.parametrize("order", [-1.0, math.nan, -math.inf])
def test_a_wrong_order_is_refused_by_name(order: float):
    with pytest.raises(ValueError, match="order must be"):
        vendi_score(torch.eye(2), order)
