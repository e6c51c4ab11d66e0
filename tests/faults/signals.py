"""A signal at any moment: at the k-th call of a function of the library, counted, so that a moment can be met again."""

from __future__ import annotations

import inspect
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import esamp

__all__ = ["Moments", "moments"]

_HOME = str(Path(esamp.__file__).parent)
# From the entry of the command's own `run` on, everything has to be in order; what comes before it is Python's.
_BEGIN = "run"


class Moments:
    """Counts calls of the library's functions once a command runs, and sends a signal at one of them.

    Args:
        at: number of the call that the signal comes with; None: it never comes.
        sent: the signal.
    """

    def __init__(self, at: int | None = None, sent: int = signal.SIGINT) -> None:
        self.at, self.sent, self.count, self.running = at, sent, 0, False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(_HOME) or code.co_flags & inspect.CO_GENERATOR:
            # A generator that goes on counts as called, and an error here would skip its `finally`; no signal does.
            return
        self.running = self.running or (code.co_name == _BEGIN and f"{_HOME}/cli/" in code.co_filename)
        if not self.running:
            return
        self.count += 1
        if self.count == self.at:
            sys.setprofile(None)
            signal.raise_signal(self.sent)


@contextmanager
def moments(at: int | None = None, sent: int = signal.SIGINT) -> Generator[Callable[[], int]]:
    """Inside, the signal comes with the `at`-th call; gives the number of calls so far."""
    counter = Moments(at, sent)
    before = sys.getprofile()
    sys.setprofile(counter)
    try:
        yield lambda: counter.count
    finally:
        sys.setprofile(before)
