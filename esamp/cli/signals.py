"""SIGTERM as an exception: what ends a job of a cluster must leave as orderly as Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Terminated", "exit_code", "terminable"]

_INTERRUPTED, _TERMINATED = 130, 143


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""


def exit_code(stopped: KeyboardInterrupt) -> int:
    """What a shell is told of a process that a signal ended: 128 and the signal's number."""
    return _TERMINATED if isinstance(stopped, Terminated) else _INTERRUPTED


@contextmanager
def terminable() -> Generator[None]:
    """Inside, SIGTERM raises `Terminated`; outside the main thread, where Python takes no signals, it does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(signum: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
