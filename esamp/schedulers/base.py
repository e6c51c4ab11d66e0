"""What an overlap scheduler promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import torch

from esamp.registry import Registry

__all__ = ["OverlapScheduler", "Pending", "schedulers"]

T = TypeVar("T")


class Pending(ABC, Generic[T]):
    """Work that was submitted; the scheduler's `wait` gives its value."""

    @abstractmethod
    def value(self) -> T:
        """The value, once the work is done; raises what the work raised."""


class OverlapScheduler(ABC):
    """Decides when work runs, never what it computes: every scheduler gives the same tokens.

    Work runs in the order of submission, after whatever the caller has issued so far, and under the autograd modes of
    the caller. What the caller issues after `submit` may run beside it until the caller waits for it, or for later
    work. Until then nobody may write what the work reads.
    """

    @abstractmethod
    def submit(self, work: Callable[[], T]) -> Pending[T]:
        """Take `work` to be run once, in order."""

    @abstractmethod
    def wait(self, pending: Pending[T]) -> T:
        """The value of submitted work, visible to the caller from here on. Raises what the work raised."""

    def bind(self, device: torch.device) -> OverlapScheduler:
        """The scheduler to use for a model on `device`: this one, unless all it does is to choose.

        Raises:
            ValueError: it does not work for models there.
        """
        return self


schedulers: Registry[OverlapScheduler] = Registry("scheduler", OverlapScheduler)
"""Registry of the overlap schedulers."""
