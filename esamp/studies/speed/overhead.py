"""What ESamp costs: the same loop with and without it, in alternating pairs of whole runs or of single steps."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from esamp.callbacks import Callback
from esamp.checks import check_integer
from esamp.sampler import ESampSampler
from esamp.schedules import Schedule
from esamp.studies.speed.pairs import Clock, Spread, Times, shares
from esamp.studies.speed.turns import Settle, steps_of, take_turns, twin

__all__ = ["Overhead", "measure_overhead", "measure_step_overhead"]

# The first step of a run holds its prefill and the last one has no forward: what is left must have some steps.
_SHORTEST = 4


@final
@dataclass(frozen=True)
class Overhead:
    """Times of alternating pairs.

    Attributes:
        plain: of each run, or step, with β = 0.
        explored: of the run, or step, with ESamp beside it.
        tokens: tokens of each; the same in all of them.
        unit: "run" or "step".
        candidates: of the steps with ESamp, the mean number of tokens of a row that the filters let through; NaN where
            β was 0 on both sides, and what is measured is the instrument's own zero.
    """

    plain: Times
    explored: Times
    tokens: int
    unit: str = "run"
    candidates: float = float("nan")

    @property
    def wall(self) -> Spread:
        """Of each pair, the time that ESamp adds over the time of plain sampling."""
        return Spread.of(shares(self.plain.wall, self.explored.wall))

    @property
    def cpu(self) -> Spread:
        """The same in processor time."""
        return Spread.of(shares(self.plain.cpu, self.explored.cpu))

    @property
    def loss(self) -> float:
        """Tokens per second that are lost, as a share: what the median pair says."""
        return self.wall.median / (1 + self.wall.median)

    def summary(self) -> str:
        """One line: the median share with its quartiles, the same in processor time, and both speeds."""
        plain, explored = (self.tokens / statistics.median(times.wall) for times in (self.plain, self.explored))
        wall, cpu = self.wall, self.cpu
        what = "The second of two runs with β = 0" if math.isnan(self.candidates) else "ESamp"
        return (
            f"{what} adds {wall.median:+.1%} of the time (median of {len(self.plain.wall)} alternating pairs of "
            f"{self.unit}s; half of them lie between {wall.low:+.1%} and {wall.high:+.1%}), {cpu:+.1%} of the "
            f"processor time; {plain:.1f} tokens/s plain, {explored:.1f} with it"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "unit": self.unit,
            "tokens": self.tokens,
            "candidates": None if math.isnan(self.candidates) else self.candidates,
            "plain": vars(self.plain),
            "explored": vars(self.explored),
            "wall_share": vars(self.wall),
            "cpu_share": vars(self.cpu),
            "loss": self.loss,
            "tokens_per_second": {
                "plain": self.tokens / statistics.median(self.plain.wall),
                "explored": self.tokens / statistics.median(self.explored.wall),
            },
        }


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
    """Time `generate` with β = 0 and with the sampler's β in turn, after one warm-up of each; who goes first changes.

    All samples run to `max_new_tokens`, so that both do the same number of forwards of the same rows. Many short pairs
    withstand a noisy machine better than a few long ones. A sampler with β = 0 shows what is measured where nothing is.

    Raises:
        ValueError: an argument is out of range.
    """
    check_integer("pairs", pairs, low=2, hint="one pair has no spread")
    clock, plain, explored, widths = Clock(sampler.engine.device), Times(), Times(), list[float]()
    for seed in range(pairs + 1):
        workload: dict[str, Any] = {"max_new_tokens": max_new_tokens, "min_p": min_p}
        start = partial(_start, prompts=prompts, n=n, seed=seed, widths=widths, more=callbacks, **workload)
        swapped = seed % 2 == 0
        betas = (sampler.beta, 0.0) if swapped else (0.0, sampler.beta)
        laps = [clock.time(start(sampler, beta)) for beta in betas]
        if seed:
            plain.add(laps[swapped])
            explored.add(laps[not swapped])
    return Overhead(plain, explored, len(prompts) * n * max_new_tokens, "run", _mean(widths))


def measure_step_overhead(
    sampler: ESampSampler,
    prompts: Sequence[str],
    *,
    n: int = 16,
    max_new_tokens: int = 128,
    min_p: float | None = 0.05,
    pairs: int = 4,
    callbacks: Sequence[Callback] = (),
) -> Overhead:
    """Run `generate` with β = 0 and with the sampler's β at once, one step of each in turn, and time the steps.

    The two share the model's weights and nothing else. A pair of steps lies within a fraction of a second, so that what
    the machine does beside them hits both. Where each has its memory is not the same, and worth up to a percent; so in
    every second pair of runs they exchange their places. Each has a scheduler of its own, and a step ends when that has
    nothing left to do. What is not in a step, the setting up and the prefill, is left out; whole runs
    (`measure_overhead`) have it.

    Args:
        sampler: with β = 0 it shows what is measured where nothing is.
        prompts: of both.
        n: samples of each prompt.
        max_new_tokens: steps of a run, at least 4; the first and the last are not counted.
        min_p: the filter of both.
        pairs: pairs of runs, better an even number, each of which gives `max_new_tokens - 2` pairs of steps; one short
            pair before them warms up.
        callbacks: told of the runs of both.

    Raises:
        ValueError: an argument is out of range.
    """
    check_integer("pairs", pairs, low=1)
    check_integer("max_new_tokens", max_new_tokens, low=_SHORTEST, hint="the first step and the last are not counted")
    other, plain, explored, widths = twin(sampler), Times(), Times(), list[float]()
    for seed in range(pairs + 1):
        workload: dict[str, Any] = {"max_new_tokens": max_new_tokens if seed else _SHORTEST, "min_p": min_p}
        start = partial(_start, prompts=prompts, n=n, seed=seed, widths=widths, more=callbacks, **workload)
        swapped = seed % 2 == 0
        betas = (sampler.beta, 0.0) if swapped else (0.0, sampler.beta)
        arms = [start(place, beta) for place, beta in zip((other, sampler), betas, strict=True)]
        laps = take_turns(arms, sampler.engine.device)
        if seed:
            plain.extend(steps_of(laps[swapped]))
            explored.extend(steps_of(laps[not swapped]))
    return Overhead(plain, explored, len(prompts) * n, "step", _mean(widths))


def _mean(widths: Sequence[float]) -> float:
    return statistics.mean(widths) if widths else math.nan


def _start(
    sampler: ESampSampler,
    beta: float | Schedule,
    *,
    prompts: Sequence[str],
    n: int,
    seed: int,
    widths: list[float],
    more: Sequence[Callback],
    **workload: Any,
) -> Callable[..., None]:
    """One generation to the full length, to be called; it notes how many candidates a row had with ESamp."""

    def run(*callbacks: Callback) -> None:
        hooks = [*more, Settle(sampler.scheduler), *callbacks]
        result = sampler.generate(prompts, n, seed=seed, beta=beta, ignore_eos=True, callbacks=hooks, **workload)
        if beta != 0:
            widths.extend(float(sample.candidates.float().mean()) for of in result.samples for sample in of)

    return run
