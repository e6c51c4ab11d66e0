"""What overlap is worth: the same generation under a scheduler and in line, in alternating pairs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from esamp.checks import check_integer
from esamp.sampler import ESampSampler
from esamp.schedulers import OverlapScheduler, SynchronousScheduler
from esamp.studies.speed.pairs import quartiles, shares

__all__ = ["Overlap", "measure_overlap"]


@final
@dataclass(frozen=True)
class Overlap:
    """Times of alternating pairs.

    Attributes:
        inline: seconds of each run under `SynchronousScheduler`.
        beside: seconds of the run under the scheduler in question that followed it, with the same samples.
        scheduler: its name.
    """

    inline: list[float]
    beside: list[float]
    scheduler: str

    @property
    def median_share(self) -> float:
        """Median over the pairs of the time it takes more, as a share; below zero where overlap pays."""
        return statistics.median(shares(self.inline, self.beside))

    def summary(self) -> str:
        """One line: the median share with its quartiles."""
        low, high = quartiles(shares(self.inline, self.beside))
        return (
            f"{self.scheduler}: {self.median_share:+.1%} of the time in line (median of {len(self.inline)} alternating "
            f"pairs; half of them lie between {low:+.1%} and {high:+.1%})"
        )


def measure_overlap(
    sampler: ESampSampler,
    prompts: Sequence[str],
    *,
    n: int = 16,
    max_new_tokens: int = 16,
    min_p: float | None = 0.05,
    pairs: int = 11,
) -> Overlap:
    """Time `generate` in line and under the sampler's scheduler in turn, after one warm-up of each.

    Raises:
        ValueError: an argument is out of range, or the sampler's scheduler is the synchronous one itself.
    """
    check_integer("pairs", pairs, low=2, hint="one pair has no spread")
    beside, inline = sampler.scheduler, SynchronousScheduler()
    if isinstance(beside, SynchronousScheduler):
        raise ValueError("scheduler must overlap to measure what that is worth, got 'synchronous'; try 'thread'")

    def seconds(scheduler: OverlapScheduler, seed: int) -> float:
        sampler.scheduler = scheduler
        start = time.perf_counter()
        sampler.generate(prompts, n, max_new_tokens=max_new_tokens, min_p=min_p, seed=seed, ignore_eos=True)
        if sampler.engine.device.type != "cpu":  # pragma: no cover (needs a GPU)
            torch.cuda.synchronize(sampler.engine.device)
        return time.perf_counter() - start

    try:
        timed = [(seconds(inline, seed), seconds(beside, seed)) for seed in range(pairs + 1)]
    finally:
        sampler.scheduler = beside
    before, after = zip(*timed[1:], strict=True)
    return Overlap(list(before), list(after), type(beside).__name__)
