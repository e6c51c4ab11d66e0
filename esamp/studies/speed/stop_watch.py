"""A stop watch that gives every moment to the innermost part that is running."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

from esamp.studies.speed.pairs import Clock

__all__ = ["StopWatch", "running", "timed"]


class StopWatch:
    """Which part has taken how long, without the parts inside it.

    Args:
        device: whose work is timed.
        rest: the part that runs when no other does.
    """

    def __init__(self, device: torch.device, rest: str) -> None:
        self._clock = Clock(device)
        self._open = [rest]
        self._spent: dict[str, float] = defaultdict(float)

    def enter(self, part: str) -> None:
        """This part begins; the one around it stands still."""
        self._pass()
        self._open.append(part)

    def leave(self) -> None:
        """The innermost part ends."""
        self._pass()
        self._open.pop()

    def resume(self) -> None:
        """Go on from now: what passed meanwhile belongs to no part."""
        self._clock.start()

    def spent(self) -> dict[str, float]:
        """Seconds of each part since the last call."""
        self._pass()
        spent, self._spent = dict(self._spent), defaultdict(float)
        return spent

    def _pass(self) -> None:
        self._spent[self._open[-1]] += self._clock.lap()[0]
        self._clock.start()


running = threading.local()
"""`running.watch` is the watch of what a thread runs."""


def timed(function: Callable[..., Any], part: str) -> Callable[..., Any]:
    """The same function, which tells the watch of its thread when it begins and ends."""

    @wraps(function)
    def told(*arguments: Any, **named: Any) -> Any:
        watch: StopWatch | None = getattr(running, "watch", None)
        if watch is None:
            return function(*arguments, **named)  # a scheduler's worker
        watch.enter(part)
        try:
            return function(*arguments, **named)
        finally:
            watch.leave()

    return told
