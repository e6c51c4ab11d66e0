"""Times of alternating pairs, which withstand a noisy machine better than times one after the other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch

__all__ = ["Clock", "Spread", "Times", "quartiles", "shares"]


def shares(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """Of each pair, the time that the second one takes more than the first, as a share of the first."""
    return [second / first - 1 for first, second in zip(before, after, strict=True)]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """First and third quartile, between which half of the values lie."""
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


@final
@dataclass(frozen=True)
class Spread:
    """A median with the quartiles between which half of the values lie."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value.

        >>> Spread.of([1.0, 2.0, 4.0])
        Spread(median=2.0, low=1.5, high=3.0)
        """
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        return cls(statistics.median(values), *quartiles(values))

    def __format__(self, form: str) -> str:
        return f"{self.median:{form}} ({self.low:{form}} … {self.high:{form}})"


@final
@dataclass(frozen=True)
class Times:
    """Of a number of runs of the same work.

    Attributes:
        wall: seconds by the clock on the wall.
        cpu: seconds of processor time, all threads of this process together; what else the machine does leaves them
            nearly alone.
    """

    wall: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])

    def add(self, lap: tuple[float, float]) -> None:
        """One more run: its wall and its processor time."""
        self.wall.append(lap[0])
        self.cpu.append(lap[1])

    def extend(self, other: Times) -> None:
        """All of the other's runs."""
        self.wall.extend(other.wall)
        self.cpu.extend(other.cpu)


@final
class Clock:
    """A stop watch for the wall and for the processors, which waits for a GPU before it looks.

    Args:
        device: whose work is timed.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.start()

    def start(self) -> None:
        """From now on."""
        self._began = self._now()

    def lap(self) -> tuple[float, float]:
        """Wall and processor seconds since the start."""
        now = self._now()
        return now[0] - self._began[0], now[1] - self._began[1]

    def time(self, work: Callable[[], Any]) -> tuple[float, float]:
        """Wall and processor seconds of `work()`."""
        self.start()
        work()
        return self.lap()

    def _now(self) -> tuple[float, float]:
        if self.device.type == "cuda":  # pragma: no cover (needs a GPU)
            torch.cuda.synchronize(self.device)
        return time.perf_counter(), time.process_time()
