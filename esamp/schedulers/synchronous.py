"""No overlap: the simplest scheduler, and the truth the others are held to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, final

from typing_extensions import override

from esamp.schedulers.base import OverlapScheduler, Pending, schedulers

__all__ = ["SynchronousScheduler"]

T = TypeVar("T")


@final
@dataclass(frozen=True)
class _Done(Pending[T], Generic[T]):
    result: T

    @override
    def value(self) -> T:
        return self.result


@final
@dataclass(frozen=True)
class _Failed(Pending[T], Generic[T]):
    error: Exception

    @override
    def value(self) -> T:
        raise self.error


@final
@schedulers.register("synchronous")
class SynchronousScheduler(OverlapScheduler):
    """Runs work in line, at the moment it is submitted.

    >>> scheduler = SynchronousScheduler()
    >>> scheduler.wait(scheduler.submit(lambda: 6 * 7))
    42
    """

    @override
    def submit(self, work: Callable[[], T]) -> Pending[T]:
        try:
            return _Done(work())
        except Exception as error:  # raised by `wait`, where schedulers that run work elsewhere can raise it too
            return _Failed(error)

    @override
    def wait(self, pending: Pending[T]) -> T:
        return pending.value()
