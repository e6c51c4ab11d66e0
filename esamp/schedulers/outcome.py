"""Work that has been run: it has a value, or it raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, final

from typing_extensions import override

from esamp.schedulers.base import Pending

__all__ = ["attempt"]

T = TypeVar("T")


def attempt(work: Callable[[], T]) -> Pending[T]:
    """Run `work` and keep what it gave or raised; a request to stop (Ctrl-C, `SystemExit`) goes on to the caller."""
    try:
        return _Done(work())
    except Exception as error:  # raised by `wait`, in every scheduler
        return _Failed(error)


@final
@dataclass(frozen=True, eq=False)
class _Done(Pending[T], Generic[T]):
    result: T

    @override
    def value(self) -> T:
        return self.result


@final
@dataclass(frozen=True, eq=False)
class _Failed(Pending[T], Generic[T]):
    error: Exception

    @override
    def value(self) -> T:
        raise self.error
