"""Intervals over problems: against hand-computed cases, scipy, and data whose mean is known."""

from __future__ import annotations

import math

import numpy
import pytest
import scipy.stats
import torch

from esamp.metrics import curve_intervals, mean_interval


def test_an_interval_covers_the_mean_as_often_as_it_says():
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for _ in range(200):
        interval = mean_interval(torch.randn(30, generator=generator), draws=400)
        hits += interval.low <= 0.0 <= interval.high
    assert 180 <= hits <= 198


def test_an_interval_is_that_of_scipy_but_for_the_resamples():
    values = torch.rand(40, generator=torch.Generator().manual_seed(1)).square()
    found = mean_interval(values, draws=20_000)
    theirs = scipy.stats.bootstrap(
        (values.numpy(),), numpy.mean, method="percentile", n_resamples=20_000, rng=numpy.random.default_rng(0)
    ).confidence_interval
    assert found.value == pytest.approx(float(values.mean()))
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=0.02)


def test_a_curve_has_the_interval_of_each_of_its_points():
    values = torch.rand(12, 5, generator=torch.Generator().manual_seed(2))
    alone = [mean_interval(column, draws=300, seed=4) for column in values.unbind(dim=1)]
    for point, wanted in zip(curve_intervals(values, draws=300, seed=4), alone, strict=True):
        assert (point.value, point.low, point.high) == pytest.approx((wanted.value, wanted.low, wanted.high))


def test_one_problem_has_an_interval_of_no_width_and_the_seed_says_which_resamples():
    one = mean_interval(torch.tensor([0.25]))
    assert (one.value, one.low, one.high) == (0.25, 0.25, 0.25)
    values = torch.arange(9.0)
    assert mean_interval(values, draws=50) == mean_interval(values, draws=50)
    assert mean_interval(values, draws=50) != mean_interval(values, draws=50, seed=1)


def test_what_has_no_interval_is_refused_by_name():
    with pytest.raises(ValueError, match="draws must be an integer >= 2"):
        mean_interval(torch.ones(3), draws=1)
    with pytest.raises(ValueError, match="values must hold at least one problem"):
        mean_interval(torch.ones(0))


def test_what_one_problem_does_not_have_the_mean_does_not_have_either():
    first, second = curve_intervals(torch.tensor([[1.0, 1.0], [0.0, math.nan]]))
    assert first.value == 0.5
    assert math.isnan(second.value) and math.isnan(second.low) and math.isnan(second.high)
