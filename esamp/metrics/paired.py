"""Two methods on the same problems: the mean difference, its interval, and a p-value."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.checks import check_integer
from esamp.metrics.intervals import Interval, mean_interval

__all__ = ["PairedDifference", "paired_difference", "sign_flip_p_value"]

_EXACT = 14
_CHUNK = 4096


@dataclass(frozen=True)
class PairedDifference:
    """How much one method has over another on the same problems.

    Attributes:
        difference: mean over problems of a - b, with its 95 % bootstrap interval.
        p_value: two-sided, of the sign-flip test: how often chance alone would give a mean at least as far from 0.
        problems: how many there are.
        ties: on how many of them both are equal.

    Examples:
        >>> a, b = torch.tensor([1.0, 0.5, 0.5]), torch.tensor([0.5, 0.5, 0.25])
        >>> found: PairedDifference = paired_difference(a, b)
        >>> found.difference.value, found.problems, found.ties
        (0.25, 3, 1)
    """

    difference: Interval
    p_value: float
    problems: int
    ties: int


def paired_difference(
    a: Float[Tensor, "problems ..."], b: Float[Tensor, "same_problems ..."], draws: int = 10_000, seed: int = 0
) -> PairedDifference:
    """Mean difference a - b over problems, its bootstrap interval and the p-value of the sign-flip test.

    Args:
        a: one method's score of each problem, [problems], or of each problem and seed, [problems, seeds]: seeds are
            averaged within their problem, since only problems are independent.
        b: the other method's, row by row of the same problems; its number of seeds may be another.
        draws: resamples, and sign flips where they are not all gone through.
        seed: of both.

    Raises:
        TypeError: `draws` is not an integer.
        ValueError: the problems differ in number, there is none, or a value is NaN.

    Examples:
        >>> paired_difference(torch.tensor([0.5, 0.75, 1.0]), torch.tensor([0.25, 0.5, 0.75])).p_value
        0.25
    """
    if len(a) != len(b):
        raise ValueError(f"a and b must be scores of the same problems, got {len(a)} and {len(b)} rows")
    if len(a) == 0:
        raise ValueError("a must have a row for at least one problem, got none")
    left, right = (values.double().cpu().reshape(len(values), -1).mean(dim=1) for values in (a, b))
    differences = left - right
    if bool(differences.isnan().any()):
        row = int(differences.isnan().nonzero()[0])
        raise ValueError(f"a and b must be numbers, and row {row} holds NaN; leave that problem out of both")
    return PairedDifference(
        mean_interval(differences, draws, seed),
        sign_flip_p_value(differences, draws, seed),
        len(differences),
        int((differences == 0).sum()),
    )


def sign_flip_p_value(differences: Float[Tensor, " problems"], draws: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of Fisher's randomisation test on paired differences (Good 2005, sec. 3.2).

    If the methods could be exchanged within each problem, every sign of a difference would be as likely as its
    opposite. p is the share of sign patterns whose |sum| is at least the observed one: of all 2^m where m <= 14
    differences are not 0, else of `draws` random ones with the observed one counted in (Phipson & Smyth 2010), so
    that p is never 0.

    Raises:
        TypeError: `draws` is not an integer.
        ValueError: `draws` < 2.

    Examples:
        >>> sign_flip_p_value(torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0]))
        0.0625
    """
    check_integer("draws", draws, low=2)
    # The sign of a 0 changes nothing.
    moved = differences.double()[differences != 0]
    # Sums that are equal on paper may differ in their last digits.
    observed = moved.sum().abs() - 1e-9 * moved.abs().sum()
    if len(moved) <= _EXACT:
        patterns = torch.arange(2 ** len(moved)).unsqueeze(-1) >> torch.arange(len(moved)) & 1
        return float(((2.0 * patterns.double() - 1) @ moved).abs().ge(observed).double().mean())
    generator = torch.Generator().manual_seed(seed)
    extreme = 0
    for start in range(0, draws, _CHUNK):
        flips = torch.randint(2, (min(_CHUNK, draws - start), len(moved)), generator=generator)
        extreme += int(((2.0 * flips.double() - 1) @ moved).abs().ge(observed).sum())
    return (extreme + 1) / (draws + 1)
