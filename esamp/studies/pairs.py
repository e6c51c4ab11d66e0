"""Times of alternating pairs, which withstand a noisy machine better than times one after the other."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

__all__ = ["quartiles", "shares"]


def shares(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """Of each pair, the time that the second one takes more than the first, as a share of the first."""
    return [second / first - 1 for first, second in zip(before, after, strict=True)]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """First and third quartile, between which half of the values lie."""
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third
