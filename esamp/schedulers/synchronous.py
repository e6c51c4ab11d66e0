"""No overlap: the simplest scheduler, and the truth the others are held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, final

from typing_extensions import override

from esamp.schedulers.base import OverlapScheduler, Pending, schedulers
from esamp.schedulers.outcome import attempt

__all__ = ["SynchronousScheduler"]

T = TypeVar("T")


@final
@schedulers.register("synchronous")
class SynchronousScheduler(OverlapScheduler):
    """Runs work in line, at the moment it is submitted.

    Examples:
        >>> scheduler = SynchronousScheduler()
        >>> scheduler.wait(scheduler.submit(lambda: 6 * 7))
        42
    """

    @override
    def submit(self, work: Callable[[], T]) -> Pending[T]:
        return attempt(work)

    @override
    def wait(self, pending: Pending[T]) -> T:
        return pending.value()
