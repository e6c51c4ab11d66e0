"""How sure a mean over problems is: the bootstrap, which resamples them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from esamp.checks import check_integer

__all__ = ["Interval", "curve_intervals", "interval_of", "mean_interval", "resamples"]

_ENDS = (0.025, 0.975)


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % bootstrap interval over problems.

    Examples:
        >>> interval: Interval = mean_interval(torch.tensor([0.0, 1.0, 1.0, 0.0]))
        >>> interval.value, interval.low < interval.value < interval.high
        (0.5, True)
    """

    value: float
    low: float
    high: float


def mean_interval(values: Float[Tensor, " problems"], draws: int = 2000, seed: int = 0) -> Interval:
    """The mean over problems with its percentile bootstrap interval (Efron & Tibshirani 1993, ch. 13).

    All three numbers are NaN where a value is: what one problem does not have, the mean does not have either.

    Args:
        values: one for each problem; seeds are averaged before, since they are no further problems.
        draws: bootstrap resamples.
        seed: of the resampling.

    Raises:
        TypeError: `draws` is not an integer.
        ValueError: there are fewer than two draws, or there is no problem.

    Examples:
        >>> mean_interval(torch.tensor([1.0, 1.0, 1.0]))
        Interval(value=1.0, low=1.0, high=1.0)
    """
    return curve_intervals(values.unsqueeze(-1), draws, seed)[0]


def curve_intervals(values: Float[Tensor, "problems points"], draws: int = 2000, seed: int = 0) -> list[Interval]:
    """`mean_interval` at every point of a curve, such as pass@k for all k; the same resamples serve all points.

    Each interval stands for its own point: that the whole curve lies within all of them is less likely than 95 %.

    Raises:
        TypeError: `draws` is not an integer.
        ValueError: there are fewer than two draws, or there is no problem.
    """
    if len(values) == 0:
        raise ValueError("values must hold at least one problem, got none")
    picked = resamples(len(values), check_integer("draws", draws, low=2), seed)
    # Counts in place of gathered rows: one product for all points, however many.
    counts = torch.zeros(picked.shape, dtype=torch.float64).scatter_add_(1, picked, torch.ones(picked.shape).double())
    means = counts @ values.double().cpu() / len(values)
    return [interval_of(column) for column in means.unbind(dim=1)]


def resamples(problems: int, draws: int, seed: int) -> Int[Tensor, "draws_and_data problems"]:
    """Indices of problems, with replacement; the first row is the data as they are."""
    drawn = torch.randint(problems, (draws, problems), generator=torch.Generator().manual_seed(seed))
    return torch.cat([torch.arange(problems).unsqueeze(0), drawn])


def interval_of(draws: Float[Tensor, " draws_and_data"]) -> Interval:
    """The percentile interval of a statistic over `resamples`, whose first row is the estimate itself."""
    low, high = draws[1:].double().quantile(torch.tensor(_ENDS, dtype=torch.float64)).tolist()
    return Interval(float(draws[0]), low, high)
