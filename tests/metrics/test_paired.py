"""Paired differences: by hand, against scipy, what they must not depend on, and whether they are calibrated."""

from __future__ import annotations

import math

import numpy
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from esamp.metrics import mean_interval, paired_difference, sign_flip_p_value

scores = st.lists(st.integers(-8, 8).map(lambda eighths: eighths / 8), min_size=1, max_size=9)


def test_by_hand():
    # Of the 8 sign patterns of (3, 1, 1), |sum| >= 3 holds for ±(3+1+1) and for ±(3 + 1 - 1), twice each: 6 of 8.
    assert sign_flip_p_value(torch.tensor([3.0, 1.0, -1.0])) == 6 / 8
    assert sign_flip_p_value(torch.tensor([1.0] * 6)) == 2 / 64
    assert sign_flip_p_value(torch.zeros(4)) == 1
    found = paired_difference(torch.tensor([1.0, 0.5, 0.5]), torch.tensor([0.5, 0.5, 0.0]))
    assert found.difference.value == pytest.approx(1 / 3)
    assert (found.problems, found.ties, found.p_value) == (3, 1, 0.5)


@pytest.mark.parametrize("problems", [8, 40])
def test_the_p_value_is_that_of_scipy(problems: int):
    differences = torch.randn(problems, generator=torch.Generator().manual_seed(3)) + 0.4
    theirs = scipy.stats.permutation_test(
        (differences.double().numpy(), numpy.zeros(problems)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=20_000,
        rng=numpy.random.default_rng(0),
    )
    exact = problems <= 14
    assert sign_flip_p_value(differences, 20_000) == pytest.approx(theirs.pvalue, abs=1e-12 if exact else 0.01)


@given(scores, st.integers(-4, 4), st.randoms(use_true_random=False))
def test_neither_a_shift_of_both_nor_the_order_of_problems_matters_to_p(values: list[float], shift: int, random):
    a = torch.tensor(values)
    b = torch.linspace(-1, 1, len(values)).mul(8).round() / 8
    p = paired_difference(a, b, draws=100).p_value
    assert paired_difference(a + shift, b + shift, draws=100).p_value == p
    order = random.sample(range(len(values)), len(values))
    assert paired_difference(a[order], b[order], draws=100).p_value == p


@given(scores)
def test_exchanging_the_methods_turns_the_sign_and_leaves_p(values: list[float]):
    a, b = torch.tensor(values), torch.zeros(len(values))
    forth, back = paired_difference(a, b, draws=50), paired_difference(b, a, draws=50)
    assert forth.p_value == back.p_value
    assert forth.difference.value == pytest.approx(-back.difference.value)
    assert (forth.difference.low, forth.difference.high) == pytest.approx(
        (-back.difference.high, -back.difference.low), abs=1e-12
    )


def test_a_shift_of_the_values_shifts_the_interval():
    values = torch.rand(20, generator=torch.Generator().manual_seed(5))
    here, there = mean_interval(values), mean_interval(values + 3)
    assert (there.low, there.high) == pytest.approx((here.low + 3, here.high + 3), abs=1e-5)


def test_seeds_are_averaged_within_a_problem_and_may_differ_in_number():
    a = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    b = torch.tensor([0.25, 0.5])
    assert paired_difference(a, b) == paired_difference(torch.tensor([0.5, 1.0]), b)


def test_what_makes_a_problem_hard_for_both_cancels():
    generator = torch.Generator().manual_seed(7)
    hard = torch.rand(30, generator=generator) * 10
    found = paired_difference(hard + 0.2 + 0.1 * torch.randn(30, generator=generator), hard)
    assert found.difference.low > 0.1 and found.p_value < 0.01


@pytest.mark.parametrize("problems", [6, 30])
def test_p_values_are_uniform_where_there_is_no_difference(problems: int):
    generator = torch.Generator().manual_seed(11)
    runs = 400
    p = [sign_flip_p_value(torch.randn(problems, generator=generator), draws=200) for _ in range(runs)]
    for level in (0.05, 0.25, 0.5, 0.75):
        share = sum(value <= level for value in p) / runs
        steps = level * 2 ** (problems - 1) if problems <= 14 else math.inf
        reached = level if math.isinf(steps) else math.floor(steps) / 2 ** (problems - 1)
        assert share == pytest.approx(reached, abs=3.5 * math.sqrt(level * (1 - level) / runs))


def test_intervals_of_differences_cover_the_true_one_as_often_as_they_say():
    generator = torch.Generator().manual_seed(13)
    hits = 0
    for _ in range(300):
        # pass@1 of two methods on 40 problems, 8 samples each: the second is right 10 points more often.
        a = (torch.rand(40, 8, generator=generator) < 0.4).float().mean(dim=1)
        b = (torch.rand(40, 8, generator=generator) < 0.3).float().mean(dim=1)
        found = paired_difference(a, b, draws=300).difference
        hits += found.low <= 0.1 <= found.high
    assert 0.90 <= hits / 300 <= 0.98


def test_what_cannot_be_paired_is_refused_by_name():
    with pytest.raises(ValueError, match="same problems, got 2 and 3 rows"):
        paired_difference(torch.ones(2), torch.ones(3))
    with pytest.raises(ValueError, match="at least one problem"):
        paired_difference(torch.ones(0), torch.ones(0))
    with pytest.raises(ValueError, match="row 1 holds NaN"):
        paired_difference(torch.tensor([1.0, math.nan]), torch.ones(2))
