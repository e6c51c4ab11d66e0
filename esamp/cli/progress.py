"""How far a run is, and how much time is left."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, final

from tqdm import tqdm

__all__ = ["Progress", "time_left"]


def time_left(seconds: float, done: int, left: int) -> str:
    """How long the rest takes if it goes on as before, in words.

    Args:
        seconds: spent.
        done: rows in that time; none: there is nothing to judge by.
        left: rows to come.

    >>> time_left(60.0, 10, 20), time_left(10.0, 10, 20), time_left(5e3, 10, 20), time_left(5.0, 0, 20)
    ('about 2 min left', 'about 20 s left', 'about 2.8 h left', 'time left is not known yet')
    """
    if not done:
        return "time left is not known yet"
    rest = seconds / done * left
    if rest < 60:
        return f"about {rest:.0f} s left"
    return f"about {rest / 60:.0f} min left" if rest < 3600 else f"about {rest / 3600:.1f} h left"


@final
class Progress:
    """Watches a run whose rows come from several processes: a bar in a terminal, else a line now and then on stdout.

    Args:
        total: rows in all.
        count: gives the rows that are there.
        every: seconds between two lines.

    Use it as a context manager: it watches while the body runs.
    """

    def __init__(self, total: int, count: Callable[[], int], every: float = 20.0) -> None:
        self._total, self._count, self._every = total, count, every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Progress:
        self._first, self._start = self._count(), time.monotonic()
        bar: tqdm[Any] | None = None
        if sys.stderr.isatty():
            bar = tqdm(total=self._total, initial=self._first, unit="row", dynamic_ncols=True)
        self._bar = bar
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._show()
        if self._bar is not None:
            self._bar.close()

    def _watch(self) -> None:
        while not self._ended.wait(1.0 if self._bar is not None else self._every):
            self._show()

    def _show(self) -> None:
        done = self._count()
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
            return
        left = time_left(time.monotonic() - self._start, done - self._first, self._total - done)
        print(f"{done} of {self._total} rows ({done / self._total:.0%}), {left}", flush=True)
