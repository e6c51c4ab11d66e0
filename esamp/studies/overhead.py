"""What ESamp costs: the same loop with and without it, in alternating pairs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from esamp.callbacks import Callback
from esamp.checks import check_integer
from esamp.sampler import ESampSampler
from esamp.schedules import Schedule
from esamp.studies.pairs import quartiles, shares

__all__ = ["Overhead", "measure_overhead"]


@dataclass(frozen=True)
class Overhead:
    """Times of alternating pairs.

    Attributes:
        plain: seconds of each run with β = 0.
        explored: seconds of the run with ESamp that followed it.
        tokens: tokens of each run; the same in all of them.
    """

    plain: list[float]
    explored: list[float]
    tokens: int

    @property
    def shares(self) -> list[float]:
        """Of each pair, the time ESamp adds over the time of plain sampling."""
        return shares(self.plain, self.explored)

    @property
    def median_share(self) -> float:
        """Median of `shares`."""
        return statistics.median(self.shares)

    @property
    def quartiles(self) -> tuple[float, float]:
        """First and third quartile of `shares`, between which half of the pairs lie."""
        return quartiles(self.shares)

    def summary(self) -> str:
        """One line: the median share with its quartiles, and both speeds."""
        plain, explored = (self.tokens / statistics.median(seconds) for seconds in (self.plain, self.explored))
        low, high = self.quartiles
        return (
            f"ESamp adds {self.median_share:+.1%} of the time (median of {len(self.plain)} alternating pairs; half of "
            f"them lie between {low:+.1%} and {high:+.1%}); {plain:.1f} tokens/s plain, {explored:.1f} with ESamp"
        )


def measure_overhead(
    sampler: ESampSampler,
    prompts: Sequence[str],
    *,
    n: int = 16,
    max_new_tokens: int = 16,
    min_p: float | None = 0.05,
    pairs: int = 11,
    callbacks: Sequence[Callback] = (),
) -> Overhead:
    """Time `generate` with β = 0 and with the sampler's β in turn, after one warm-up of each.

    All samples run to `max_new_tokens`, so that both do the same number of forwards of the same rows. Many short pairs
    withstand a noisy machine better than a few long ones.

    Raises:
        ValueError: an argument is out of range.
    """
    check_integer("pairs", pairs, low=2, hint="one pair has no spread")
    if sampler.beta == 0:
        raise ValueError("beta must be > 0 to measure what ESamp adds, got 0; give the sampler one, such as 0.25")

    def seconds(seed: int, beta: float | Schedule) -> float:
        start = time.perf_counter()
        sampler.generate(
            prompts,
            n,
            max_new_tokens=max_new_tokens,
            min_p=min_p,
            seed=seed,
            beta=beta,
            ignore_eos=True,
            callbacks=callbacks,
        )
        return time.perf_counter() - start

    timed = [(seconds(seed, 0.0), seconds(seed, sampler.beta)) for seed in range(pairs + 1)]
    plain, explored = zip(*timed[1:], strict=True)
    return Overhead(list(plain), list(explored), len(prompts) * n * max_new_tokens)
